use super::*;
use aws_lc_rs::encoding::AsRawBytes;
use pkcs8::der::{
    Encode, Tag,
    asn1::{AnyRef, OctetStringRef},
};
use proptest::prelude::*;

const SEED: &[u8] = include_bytes!("../testdata/ml_dsa_65_seed.pem");
const PUBLIC: &[u8] = include_bytes!("../testdata/ml_dsa_65_public.pem");
const SIGNATURE: &[u8] = include_bytes!("../testdata/ml_dsa_65_signature.bin");

fn key() -> PrivateKey {
    PrivateKey::from_seed(&(0..32).collect::<Vec<_>>()).unwrap()
}

/// Another implementation has made the files, from the seed of 0 to 31.
#[test]
fn files_and_signatures_of_others() {
    let read = pem::private_key_from(SEED, None).unwrap();
    assert_eq!(read.kind, pem::Kind::MlDsa65);
    let private = PrivateKey::from_pkcs8(read.pkcs8.expose()).unwrap();
    assert_eq!(private.public().raw(), key().public().raw());
    assert_eq!(pem::write_pkcs8_pem(private.to_pkcs8().unwrap().expose(), None).unwrap().expose(), SEED);
    assert_eq!(pem::write_spki_pem(&private.public().to_spki_der()).as_bytes(), PUBLIC);
    let (kind, spki) = pem::public_key_from(PUBLIC).unwrap();
    assert_eq!(kind, pem::Kind::MlDsa65);
    let public = PublicKey::from_spki(&spki).unwrap();
    assert!(public.verify(b"message", SIGNATURE));
    assert!(!public.verify(b"Message", SIGNATURE));
}

#[test]
fn signs_and_verifies() {
    let key = PrivateKey::generate().unwrap();
    for length in [0, 1, 4096, 200_000] {
        let message = vec![7; length];
        let signature = key.sign(&message).unwrap();
        assert_eq!(signature.len(), SIGNATURE_LENGTH);
        assert!(key.public().verify(&message, &signature));
        assert!(!key.public().verify(&[&message[..], &[0]].concat(), &signature));
    }
    assert_ne!(key.sign(b"message").unwrap(), key.sign(b"message").unwrap(), "signing is random");
    assert!(!PrivateKey::generate().unwrap().public().verify(b"message", &key.sign(b"message").unwrap()));
}

#[test]
fn a_changed_or_cut_signature_is_wrong() {
    let public = key();
    let public = public.public();
    for at in (0..SIGNATURE_LENGTH).step_by(41) {
        let mut changed = SIGNATURE.to_vec();
        changed[at] ^= 1;
        assert!(!public.verify(b"message", &changed), "{at}");
        assert!(!public.verify(b"message", &SIGNATURE[..at]), "{at}");
    }
    assert!(!public.verify(b"message", &[SIGNATURE, &[0]].concat()));
}

#[test]
fn keys_come_back() {
    let key = PrivateKey::generate().unwrap();
    let pkcs8 = key.to_pkcs8().unwrap();
    let back = PrivateKey::from_pkcs8(pkcs8.expose()).unwrap();
    assert_eq!(back.public().raw(), key.public().raw());
    assert_eq!(back.to_pkcs8().unwrap(), pkcs8);
    let spki = key.public().to_spki_der();
    assert!(PublicKey::from_spki(&spki).unwrap().verify(b"message", &back.sign(b"message").unwrap()));
    assert_eq!(PublicKey::from_raw(key.public().raw()).unwrap().to_spki_der(), spki);
    assert_eq!(format!("{key:?}"), "PrivateKey { .. }");
}

/// RFC 9881, section 6: the seed, the expanded key, or both.
#[test]
fn every_form_is_read_and_parts_that_do_not_fit_are_refused() {
    let octets = |bytes: &[u8]| OctetStringRef::new(bytes).unwrap().to_der().unwrap();
    let read =
        |inside: &[u8]| PrivateKey::from_pkcs8(pem::write_pkcs8(pem::ML_DSA_65, inside).unwrap().expose());
    let both = |seed: &[u8], expanded: &[u8]| {
        let inside = [octets(seed), octets(expanded)].concat();
        read(&AnyRef::new(Tag::Sequence, &inside).unwrap().to_der().unwrap())
    };
    let seed: Vec<u8> = (0..32).collect();
    let expanded = key().pair.private_key().as_raw_bytes().unwrap();
    let expanded = expanded.as_ref();

    let with_both = both(&seed, expanded).unwrap();
    assert_eq!(with_both.to_pkcs8().unwrap(), key().to_pkcs8().unwrap(), "written with its seed");
    let without_seed = read(&octets(expanded)).unwrap();
    assert_eq!(without_seed.public().raw(), key().public().raw());
    assert!(key().public().verify(b"message", &without_seed.sign(b"message").unwrap()));
    let again = PrivateKey::from_pkcs8(without_seed.to_pkcs8().unwrap().expose()).unwrap();
    assert_eq!(again.public().raw(), key().public().raw());

    assert!(both(&[9; 32], expanded).is_err(), "a seed of another key");
    assert!(read(&octets(&expanded[1..])).is_err());
    assert!(read(&octets(&seed)).is_err(), "a seed without its tag");
    for length in [0, 31, 33] {
        assert!(PrivateKey::from_seed(&vec![0; length]).unwrap_err().to_string().contains("32"), "{length}");
    }
    for length in [0, 1312, PUBLIC_LENGTH - 1, PUBLIC_LENGTH + 1, 2592] {
        assert!(matches!(PublicKey::from_raw(&vec![0; length]), Err(Error::Key(_))), "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(PrivateKey::from_pkcs8(&bytes).is_err());
        prop_assert!(PublicKey::from_spki(&bytes).is_err());
        prop_assert!(!key().public().verify(b"message", &bytes));
    }
}
