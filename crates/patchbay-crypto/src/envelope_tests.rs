use super::*;
use crate::rsa::{PrivateKey, Size};
use std::sync::LazyLock;

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(Size::Rsa2048).unwrap());

#[test]
fn seals_and_opens_any_amount() {
    for length in [0, 1, 190, 191, 100_000] {
        let plaintext = vec![7; length];
        let body = seal(KEY.public(), b"header", &plaintext).unwrap();
        assert_eq!(body.len(), 2 + 256 + OVERHEAD + length);
        assert_eq!(open(&KEY, b"header", &body).unwrap().expose(), plaintext);
    }
}

#[test]
fn the_form_is_as_documented() {
    let body = seal(KEY.public(), b"", b"secret").unwrap();
    assert_eq!(body[..2], [1, 0]);
    let message_key = KEY.decrypt_oaep(&body[2..258]).unwrap();
    let key = aead::Key::new(aead::Algorithm::Aes256Gcm, message_key.expose()).unwrap();
    assert_eq!(key.open(b"", &body[258..]).unwrap().expose(), b"secret");
}

#[test]
fn every_envelope_has_a_key_of_its_own() {
    let [one, other] = [(); 2].map(|()| seal(KEY.public(), b"", b"secret").unwrap());
    assert_ne!(KEY.decrypt_oaep(&one[2..258]), KEY.decrypt_oaep(&other[2..258]));
}

#[test]
fn every_failure_is_the_same() {
    let body = seal(KEY.public(), b"header", b"secret").unwrap();
    for length in 0..body.len() {
        assert_eq!(open(&KEY, b"header", &body[..length]), Err(Error::Decryption), "cut to {length}");
    }
    for at in (0..body.len()).step_by(3) {
        let mut changed = body.clone();
        changed[at] ^= 0x10;
        assert_eq!(open(&KEY, b"header", &changed), Err(Error::Decryption), "byte {at}");
    }
    let stranger = PrivateKey::generate(Size::Rsa2048).unwrap();
    assert_eq!(open(&stranger, b"header", &body), Err(Error::Decryption));
    assert_eq!(open(&KEY, b"another", &body), Err(Error::Decryption));
}

/// A message key of another length is encrypted by somebody who knows the public key: it is refused like everything else.
#[test]
fn a_message_key_of_another_length_is_refused() {
    let encrypted = KEY.public().encrypt_oaep(&[7; 16]).unwrap();
    let sealing = aead::Key::new(aead::Algorithm::Aes128Gcm, &[7; 16]).unwrap();
    let mut body = [&[1, 0][..], &encrypted].concat();
    sealing.seal_into(b"", b"secret", &mut body).unwrap();
    assert_eq!(open(&KEY, b"", &body), Err(Error::Decryption));
}
