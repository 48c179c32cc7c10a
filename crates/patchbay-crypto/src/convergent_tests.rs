use super::*;
use proptest::prelude::*;

fn key() -> Key {
    Key::new(&(0..32).collect::<Vec<_>>()).unwrap()
}

/// As another implementation of HKDF, HMAC and AES-256-GCM-SIV has it.
#[test]
fn a_message_is_as_said() {
    let sealed = key().seal(b"aad", b"the same again").unwrap();
    assert_eq!(
        hex::encode(&sealed),
        "75186b672ae5cb187f476adf9e5e6677cb1da3febee773367b593d6a71e883eeb6178929fcacae5c6e67"
    );
    assert_eq!(key().open(b"aad", &sealed).unwrap().expose(), b"the same again");
}

#[test]
fn equal_messages_are_equal_and_others_are_not() {
    let sealed = key().seal(b"aad", b"plaintext").unwrap();
    assert_eq!(key().seal(b"aad", b"plaintext").unwrap(), sealed);
    let others = [
        key().seal(b"aad", b"Plaintext").unwrap(),
        key().seal(b"Aad", b"plaintext").unwrap(),
        key().seal(b"aadp", b"laintext").unwrap(),
        key().seal(b"", b"aadplaintext").unwrap(),
        Key::new(&[9; 32]).unwrap().seal(b"aad", b"plaintext").unwrap(),
    ];
    for other in others {
        assert_ne!(other[..NONCE_LEN], sealed[..NONCE_LEN]);
    }
}

#[test]
fn whatever_is_wrong_gives_the_same_error() {
    let sealed = key().seal(b"aad", b"plaintext").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key().open(b"aad", &changed).unwrap_err(), Error::Decryption, "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(key().open(b"aad", &sealed[..length]).unwrap_err(), Error::Decryption, "{length}");
    }
    assert_eq!(key().open(b"Aad", &sealed).unwrap_err(), Error::Decryption);
    assert_eq!(Key::new(&[9; 32]).unwrap().open(b"aad", &sealed).unwrap_err(), Error::Decryption);
}

/// A message that somebody with the key has sealed with a nonce of another choice has a tag that is right, and is refused.
#[test]
fn a_nonce_that_is_not_the_messages_is_refused() {
    let key = key();
    let mut body = b"plaintext".to_vec();
    let nonce = [7; NONCE_LEN];
    let tag = key
        .cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(b"aad"), &mut body)
        .unwrap();
    body.extend_from_slice(tag.as_ref());
    assert_eq!(open_with(&key.cipher, nonce, b"aad", &body).unwrap().expose(), b"plaintext");
    let sealed = [&nonce[..], &body].concat();
    assert_eq!(key.open(b"aad", &sealed).unwrap_err(), Error::Decryption);
}

#[test]
fn material_of_another_length_is_refused() {
    for length in [0, 16, 31, 33, 64] {
        let error = Key::new(&vec![1; length]).unwrap_err();
        assert!(error.to_string().contains("32 bytes"), "{error}");
        assert!(open_gcm_siv(&vec![1; length], &[0; 12], b"", &[0; 16]).is_err());
    }
    assert_eq!(format!("{:?}", key()), "Key { .. }");
}

proptest! {
    #[test]
    fn messages_come_back(
        aad in prop::collection::vec(any::<u8>(), 0..60),
        plaintext in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let sealed = key().seal(&aad, &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
        prop_assert_eq!(key().open(&aad, &sealed).unwrap().into_bytes(), plaintext);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(key().open(b"", &bytes).unwrap_err(), Error::Decryption);
    }
}
