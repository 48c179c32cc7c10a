use super::*;
use crate::{ecdsa, ed25519, rsa};
use proptest::prelude::*;

const PASSWORD: &str = "hunter2-hunter2";
const PKCS8: &[u8] = include_bytes!("../../testdata/rsa_pkcs8.pem");
const PKCS1: &[u8] = include_bytes!("../../testdata/rsa_pkcs1.pem");
const SCRYPT: &[u8] = include_bytes!("../../testdata/rsa_pbes2_scrypt.pem");
const PBKDF2: &[u8] = include_bytes!("../../testdata/rsa_pbes2_aes-256-cbc_hmacWithSHA256.pem");

fn openssl() -> PrivateKeyInfo {
    private_key_from(PKCS8, None).unwrap()
}

fn der_of(file: &[u8]) -> Secret {
    armor::private_key(file).unwrap().1
}

fn refusal(file: &[u8], password: Option<&str>) -> String {
    private_key_from(file, password).unwrap_err().to_string()
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    let key = openssl();
    assert_eq!(key.kind, Kind::Rsa { bits: 2048 });
    assert_eq!(private_key_from(PKCS1, None).unwrap().pkcs8, key.pkcs8);
    for (file, password) in [(PKCS8, None), (PKCS1, None), (SCRYPT, Some(PASSWORD)), (PBKDF2, Some(PASSWORD))]
    {
        let der = der_of(file);
        assert_eq!(private_key_from(der.expose(), password).unwrap().pkcs8, key.pkcs8, "as DER");
        assert_eq!(private_key_from(file, password).unwrap().pkcs8, key.pkcs8);
    }
    rsa::PrivateKey::from_pkcs8(key.pkcs8.expose()).unwrap();
}

macro_rules! encrypted {
    ($($file:literal),*) => {
        [$(($file, include_bytes!(concat!("../../testdata/rsa_pbes2_", $file, ".pem")).as_slice())),*]
    };
}

#[test]
fn reads_every_cipher_and_function_that_openssl_writes() {
    let key = openssl();
    for (name, file) in encrypted![
        "aes-128-cbc_hmacWithSHA1",
        "aes-128-cbc_hmacWithSHA256",
        "aes-128-cbc_hmacWithSHA384",
        "aes-128-cbc_hmacWithSHA512",
        "aes-192-cbc_hmacWithSHA1",
        "aes-192-cbc_hmacWithSHA256",
        "aes-192-cbc_hmacWithSHA384",
        "aes-192-cbc_hmacWithSHA512",
        "aes-256-cbc_hmacWithSHA1",
        "aes-256-cbc_hmacWithSHA256",
        "aes-256-cbc_hmacWithSHA384",
        "aes-256-cbc_hmacWithSHA512",
        "scrypt"
    ] {
        assert_eq!(private_key_from(file, Some(PASSWORD)).unwrap().pkcs8, key.pkcs8, "{name}");
        assert_eq!(private_key_from(file, Some("hunter3-hunter3")).unwrap_err(), Error::Decryption, "{name}");
        assert_eq!(refusal(file, None), "this key is encrypted: give its password", "{name}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let keys = [
        openssl().pkcs8,
        ecdsa::PrivateKey::generate(Curve::P521).unwrap().to_pkcs8().unwrap(),
        ed25519::PrivateKey::generate().unwrap().to_pkcs8().unwrap(),
    ];
    for key in keys {
        for password in [None, Some(PASSWORD)] {
            let pem = write_pkcs8_pem(key.expose(), password).unwrap();
            assert_eq!(private_key_from(pem.expose(), password).unwrap().pkcs8, key);
            let der = write_pkcs8_der(key.expose(), password).unwrap();
            assert_eq!(private_key_from(der.expose(), password).unwrap().pkcs8, key);
        }
    }
    assert_eq!(
        write_pkcs8_pem(openssl().pkcs8.expose(), None).unwrap().expose(),
        PKCS8,
        "as OpenSSL writes it"
    );
    assert_eq!(
        write_pkcs8_pem(openssl().pkcs8.expose(), Some("")).unwrap_err().to_string(),
        "an empty password protects nothing"
    );
    assert!(matches!(write_pkcs8_pem(b"no key", None), Err(Error::Key(_))));
}

#[test]
fn public_keys_survive_pem() {
    let spki = rsa::PrivateKey::from_pkcs8(openssl().pkcs8.expose()).unwrap().public().to_spki_der();
    let pem = write_spki_pem(&spki);
    assert_eq!(pem.as_bytes(), include_bytes!("../../testdata/rsa_public.pem"), "as OpenSSL writes it");
    assert_eq!(public_key_from(pem.as_bytes()).unwrap(), (Kind::Rsa { bits: 2048 }, spki.clone()));
    assert_eq!(public_key_from(&spki).unwrap().1, spki);
    assert!(public_key_from(PKCS8).unwrap_err().to_string().contains("`PRIVATE KEY` is no public key"));
}

#[test]
fn a_refusal_says_what_to_do() {
    assert_eq!(refusal(PKCS8, Some(PASSWORD)), "this key is not encrypted: give no password");
    assert_eq!(refusal(b"", None), "there is no key: the input is empty");
    assert_eq!(refusal(&vec![b'a'; MAX_FILE + 1], None), "a key has 65536 bytes at most");
    assert_eq!(refusal(&[PKCS8, PKCS1].concat(), None), "this file has several private keys: give one");
    let old = include_bytes!("../../testdata/rsa_old_encryption.pem");
    assert!(refusal(old, Some(PASSWORD)).contains("openssl pkcs8 -topk8"));
    let pbes1 = include_bytes!("../../testdata/rsa_pbes1.pem");
    assert!(refusal(pbes1, Some(PASSWORD)).contains("old way"));
    let des3 = include_bytes!("../../testdata/rsa_pbes2_des3.pem");
    assert!(refusal(des3, Some(PASSWORD)).contains("AES-128, AES-192 or AES-256"));
    assert!(
        refusal(include_bytes!("../../testdata/rsa_public.pem"), None)
            .contains("`PUBLIC KEY` is no private key")
    );
    let mislabelled = String::from_utf8_lossy(PKCS1).replace("RSA PRIVATE KEY", "EC PRIVATE KEY");
    assert_eq!(
        refusal(mislabelled.as_bytes(), None),
        "this PEM is labelled `EC PRIVATE KEY` and is a `RSA PRIVATE KEY`"
    );
    assert!(refusal(b"hello", None).contains("no private key in PKCS#8, PKCS#1 or SEC 1"));
    assert!(refusal(b"-----BEGIN PRIVATE KEY-----\nMII", None).contains("no end"));
    assert!(refusal(b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----", None).contains("Base64"));
}

#[test]
fn a_file_cannot_ask_for_any_amount_of_work() {
    let der = der_of(PBKDF2);
    // Numbers are exchanged for others of the same length, so that the lengths around them still hold.
    let asks = |document: &[u8], from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let at = document.windows(from.len()).position(|window| window == from).unwrap();
        let mut changed = document.to_vec();
        changed[at..at + to.len()].copy_from_slice(to);
        refusal(&changed, Some(PASSWORD))
    };
    assert!(
        asks(der.expose(), &[2, 2, 8, 0], &[2, 2, 0, 0]).contains("no EncryptedPrivateKeyInfo"),
        "a zero that is not DER"
    );
    let scrypt = der_of(SCRYPT);
    assert!(asks(scrypt.expose(), &[2, 2, 4, 0, 2, 1, 8], &[2, 2, 4, 1, 2, 1, 8]).contains("power of two"));
    assert!(
        asks(scrypt.expose(), &[2, 2, 4, 0, 2, 1, 8], &[2, 2, 0x40, 0, 2, 1, 0x7f]).contains("134217728")
    );
}

#[test]
fn iterations_are_bounded() {
    for (iterations, is_taken) in [(1, true), (0, false), (pbes2::MAX_ITERATIONS + 1, false)] {
        let document = pbes2::tests_document(iterations);
        let refused = pbes2::decrypt(&document, PASSWORD.as_bytes()).unwrap_err();
        assert_eq!(refused == Error::Decryption, is_taken, "{iterations}: {refused}");
    }
}

#[test]
fn debug_tells_no_secret() {
    assert_eq!(format!("{:?}", openssl()), "PrivateKeyInfo { kind: Rsa { bits: 2048 }, pkcs8: Secret(..) }");
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> =
        [PKCS8, PKCS1, SCRYPT, PBKDF2, include_bytes!("../../testdata/ec_p256_sec1.pem")]
            .into_iter()
            .flat_map(|pem| [pem.to_vec(), der_of(pem).expose().to_vec()])
            .collect();
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    (proptest::sample::select(files), changes, any::<prop::sample::Index>()).prop_map(
        |(mut file, changes, end)| {
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            // One in four is cut.
            if end.index(4) == 0 {
                file.truncate(end.index(file.len()));
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(private_key_from(&bytes, None));
        drop(private_key_from(&bytes, Some(PASSWORD)));
        drop(public_key_from(&bytes));
    }

    #[test]
    fn no_changed_file_panics(file in mutated()) {
        let password = file.windows(9).any(|window| window == b"ENCRYPTED").then_some(PASSWORD);
        if let Ok(key) = private_key_from(&file, password) {
            drop(rsa::PrivateKey::from_pkcs8(key.pkcs8.expose()));
            drop(ecdsa::PrivateKey::from_pkcs8(key.pkcs8.expose()));
            drop(ed25519::PrivateKey::from_pkcs8(key.pkcs8.expose()));
        }
        drop(private_key_from(&file, None));
        drop(public_key_from(&file));
    }
}
