use super::*;
use proptest::prelude::*;

/// The first vector that NIST gives for ML-KEM-768: a key pair, a ciphertext with its secret, and a wrong one with the secret that it gives.
const VECTOR: &str = include_str!("../testdata/ml_kem_768.txt");
const SEED: &[u8] = include_bytes!("../testdata/ml_kem_768_seed.pem");
const PUBLIC: &[u8] = include_bytes!("../testdata/ml_kem_768_public.pem");

fn vector(field: &str) -> Vec<u8> {
    let line = VECTOR.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(" = ")).unwrap();
    hex::decode(line).unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::from_expanded(&vector("sk")).unwrap()
}

#[test]
fn as_specified() {
    assert_eq!(key().public().raw(), vector("pk"));
    assert_eq!(key().decapsulate(&vector("ct")).unwrap().into_bytes(), vector("ss"));
    assert_eq!(
        key().decapsulate(&vector("ct_n")).unwrap().into_bytes(),
        vector("ss_n"),
        "implicit rejection"
    );
    assert_eq!(key().to_expanded().unwrap().into_bytes(), vector("sk"));
}

#[test]
fn a_secret_comes_back_and_no_two_are_the_same() {
    let key = PrivateKey::generate().unwrap();
    let (ciphertext, secret) = key.public().encapsulate().unwrap();
    assert_eq!((ciphertext.len(), secret.expose().len()), (CIPHERTEXT_LENGTH, SECRET_LENGTH));
    assert_eq!(key.decapsulate(&ciphertext).unwrap(), secret);
    let (other_ciphertext, other) = key.public().encapsulate().unwrap();
    assert!(other_ciphertext != ciphertext && other != secret);
    assert_ne!(PrivateKey::generate().unwrap().decapsulate(&ciphertext).unwrap(), secret);
}

#[test]
fn a_changed_ciphertext_gives_another_secret_and_a_cut_one_an_error() {
    let key = key();
    let (ciphertext, secret) = (vector("ct"), vector("ss"));
    for at in (0..ciphertext.len()).step_by(17) {
        let mut changed = ciphertext.clone();
        changed[at] ^= 1;
        let found = key.decapsulate(&changed).unwrap();
        assert_ne!(found.expose(), secret, "{at}");
        assert_eq!(key.decapsulate(&changed).unwrap(), found, "the same one each time");
    }
    for length in [0, CIPHERTEXT_LENGTH - 1, CIPHERTEXT_LENGTH + 1] {
        let error = key.decapsulate(&vec![0; length]).unwrap_err();
        assert!(error.to_string().contains("1088"), "{error}");
    }
}

#[test]
fn keys_come_back_in_every_form() {
    for key in [key(), PrivateKey::generate().unwrap()] {
        let pkcs8 = key.to_pkcs8().unwrap();
        let written = pem::write_pkcs8_pem(pkcs8.expose(), Some("secret")).unwrap();
        let read = pem::private_key_from(written.expose(), Some("secret")).unwrap();
        assert_eq!((read.kind, &read.pkcs8), (pem::Kind::MlKem768, &pkcs8));
        let back = PrivateKey::from_pkcs8(pkcs8.expose()).unwrap();
        assert_eq!(back.public().raw(), key.public().raw());
        assert_eq!(back.to_expanded().unwrap(), key.to_expanded().unwrap());
        let spki = key.public().to_spki_der();
        for form in [key.public().raw(), &spki, pem::write_spki_pem(&spki).as_bytes()] {
            assert_eq!(PublicKey::parse(form).unwrap().raw(), key.public().raw());
        }
        let (ciphertext, secret) = PublicKey::parse(&spki).unwrap().encapsulate().unwrap();
        assert_eq!(back.decapsulate(&ciphertext).unwrap(), secret);
        assert_eq!(format!("{key:?}"), "PrivateKey { .. }");
    }
}

/// RFC 9935: another implementation's public key is read and written as it is; its private key is a seed, which is said.
#[test]
fn files_of_others() {
    let public = PublicKey::parse(PUBLIC).unwrap();
    assert_eq!(pem::write_spki_pem(&public.to_spki_der()).as_bytes(), PUBLIC);
    let seed = pem::private_key_from(SEED, None).unwrap();
    assert_eq!(seed.kind, pem::Kind::MlKem768);
    let error = PrivateKey::from_pkcs8(seed.pkcs8.expose()).unwrap_err();
    assert!(error.to_string().contains("a seed only"), "{error}");
}

#[test]
fn the_form_with_both_is_read_and_others_are_not() {
    let octets = |bytes: &[u8]| OctetStringRef::new(bytes).unwrap().to_der().unwrap();
    let sequence = |inside: &[u8]| AnyRef::new(Tag::Sequence, inside).unwrap().to_der().unwrap();
    let read =
        |inside: &[u8]| PrivateKey::from_pkcs8(pem::write_pkcs8(pem::ML_KEM_768, inside).unwrap().expose());
    let (seed, expanded) = (octets(&[1; 64]), octets(&vector("sk")));
    let both = [seed.clone(), expanded.clone()].concat();
    assert_eq!(read(&sequence(&both)).unwrap().public().raw(), vector("pk"));
    for wrong in [
        sequence(&[both, vec![5, 0]].concat()),
        sequence(&seed),
        sequence(&[]),
        [expanded, vec![5, 0]].concat(),
        octets(&[1; 64]),
        vec![5, 0],
        vec![],
    ] {
        assert!(matches!(read(&wrong), Err(Error::Key(_))));
    }
}

#[test]
fn a_damaged_private_key_is_refused() {
    let expanded = vector("sk");
    for at in (0..HASH_END).step_by(131).chain([PUBLIC_AT, HASH_AT - 1, HASH_AT, HASH_END - 1]) {
        let mut damaged = expanded.clone();
        damaged[at] ^= 1;
        assert!(matches!(PrivateKey::from_expanded(&damaged), Err(Error::Key(_))), "{at}");
    }
    for length in [0, 64, PRIVATE_LENGTH - 1, PRIVATE_LENGTH + 1] {
        assert!(matches!(PrivateKey::from_expanded(&vec![0; length]), Err(Error::Key(_))), "{length}");
    }
    // The private half of one key with the public half of another, the hash included.
    let other = PrivateKey::generate().unwrap().to_expanded().unwrap();
    let mixed = [&expanded[..PUBLIC_AT], &other.expose()[PUBLIC_AT..]].concat();
    let error = PrivateKey::from_expanded(&mixed).unwrap_err();
    assert!(error.to_string().contains("public half"), "{error}");
}

#[test]
fn public_keys_that_are_not_reduced_or_not_as_long_are_refused() {
    let public = vector("pk");
    for at in [0, 3, PUBLIC_LENGTH - 35] {
        // 3329 as the first and 3328 as the second number of three bytes; then the other way round.
        for (numbers, is_taken) in
            [([0x01, 0x0d, 0xd0], false), ([0x00, 0x1d, 0xd0], false), ([0x00, 0x0d, 0xd0], true)]
        {
            let mut changed = public.clone();
            changed[at..at + 3].copy_from_slice(&numbers);
            assert_eq!(PublicKey::from_raw(&changed).is_ok(), is_taken, "{at} {numbers:?}");
        }
    }
    let seed = [&public[..PUBLIC_LENGTH - 32], &[0xff; 32]].concat();
    assert!(PublicKey::from_raw(&seed).is_ok(), "the seed may be any bytes");
    for length in [0, PUBLIC_LENGTH - 1, PUBLIC_LENGTH + 1] {
        assert!(PublicKey::from_raw(&vec![0; length]).is_err(), "{length}");
        assert!(PublicKey::parse(&vec![0; length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(PublicKey::parse(&bytes).is_err());
        prop_assert!(PrivateKey::from_pkcs8(&bytes).is_err());
        prop_assert!(expanded(&bytes).map_or(true, |found| found.len() < bytes.len()));
    }
}
