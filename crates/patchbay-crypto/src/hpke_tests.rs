use super::*;
use crate::pem;
use std::collections::BTreeMap;

/// The specification's vectors of base mode for the two key encapsulations and the two sizes of AES, first message each (appendix A).
const VECTORS: &str = include_str!("../testdata/hpke_base.txt");

const CURVES: [Curve; 2] = [Curve::X25519, Curve::P256];

struct Vector(BTreeMap<&'static str, &'static str>);

impl Vector {
    fn all() -> Vec<Self> {
        let fields = |block: &'static str| block.lines().filter_map(|line| line.split_once(" = ")).collect();
        VECTORS.split("\n\n").map(|block| Self(fields(block))).filter(|vector| !vector.0.is_empty()).collect()
    }

    fn hex(&self, field: &str) -> Vec<u8> {
        hex::decode(self.0[field]).unwrap()
    }

    fn curve(&self) -> Curve {
        CURVES.into_iter().find(|curve| kem(*curve).to_string() == self.0["kem_id"]).unwrap()
    }

    fn cipher(&self) -> Cipher {
        let ciphers = [Cipher::Aes128Gcm, Cipher::Aes256Gcm];
        ciphers.into_iter().find(|cipher| cipher.id().to_string() == self.0["aead_id"]).unwrap()
    }

    fn key(&self, field: &str) -> PrivateKey {
        PrivateKey::from_raw(self.curve(), &self.hex(field)).unwrap()
    }
}

#[test]
fn as_specified() {
    let vectors = Vector::all();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let (recipient, ephemeral) = (vector.key("skRm"), vector.key("skEm"));
        assert_eq!(recipient.public().raw(), vector.hex("pkRm"));
        let [info, aad, plaintext, enc, ciphertext] =
            ["info", "aad", "pt", "enc", "ct"].map(|field| vector.hex(field));
        let cipher = vector.cipher();
        let sealed = seal_with(cipher, &ephemeral, recipient.public(), &info, &aad, &plaintext).unwrap();
        assert_eq!((&sealed.enc, &sealed.ciphertext), (&enc, &ciphertext));
        let opened = open_with(cipher, &recipient, &enc, &info, &aad, &ciphertext).unwrap();
        assert_eq!(opened.into_bytes(), plaintext);
        if cipher == Cipher::Aes256Gcm {
            assert_eq!(open(&recipient, &enc, &info, &aad, &ciphertext).unwrap().into_bytes(), plaintext);
        }
    }
}

#[test]
fn messages_of_any_length_come_back_and_differ() {
    for curve in CURVES {
        let key = PrivateKey::generate(curve).unwrap();
        for length in [0, 1, 15, 16, 17, 4096, 70_000] {
            let plaintext = vec![7; length];
            let [one, other] = [(); 2].map(|()| seal(key.public(), b"info", b"aad", &plaintext).unwrap());
            assert_eq!(one.enc.len(), curve.public_length());
            assert_eq!(one.ciphertext.len(), length + TAG);
            assert_ne!(one.enc, other.enc);
            assert_ne!(one.ciphertext, other.ciphertext);
            let opened = open(&key, &one.enc, b"info", b"aad", &one.ciphertext).unwrap();
            assert_eq!(opened.into_bytes(), plaintext);
        }
    }
}

#[test]
fn whatever_is_wrong_gives_the_same_error() {
    for curve in CURVES {
        let [key, other] = [(); 2].map(|()| PrivateKey::generate(curve).unwrap());
        let Sealed { enc, ciphertext } = seal(key.public(), b"info", b"aad", b"plaintext").unwrap();
        let refused = |key: &PrivateKey, enc: &[u8], info: &[u8], aad: &[u8], ciphertext: &[u8]| {
            assert_eq!(open(key, enc, info, aad, ciphertext).unwrap_err(), Error::Decryption);
        };
        refused(&other, &enc, b"info", b"aad", &ciphertext);
        refused(&key, &enc, b"Info", b"aad", &ciphertext);
        refused(&key, &enc, b"info", b"AAD", &ciphertext);
        refused(&key, &enc, b"infoa", b"ad", &ciphertext);
        refused(&key, other.public().raw(), b"info", b"aad", &ciphertext);
        refused(&key, &vec![0; enc.len()], b"info", b"aad", &ciphertext);
        for at in 0..enc.len() {
            let mut changed = enc.clone();
            changed[at] ^= 1;
            refused(&key, &changed, b"info", b"aad", &ciphertext);
            refused(&key, &enc[..at], b"info", b"aad", &ciphertext);
        }
        for at in 0..ciphertext.len() {
            let mut changed = ciphertext.clone();
            changed[at] ^= 0x80;
            refused(&key, &enc, b"info", b"aad", &changed);
            refused(&key, &enc, b"info", b"aad", &ciphertext[..at]);
        }
    }
}

/// The high bit of an X25519 key says nothing, and is bound by the encapsulated key as a whole.
#[test]
fn another_form_of_the_encapsulated_key_is_refused() {
    let key = PrivateKey::generate(Curve::X25519).unwrap();
    let Sealed { mut enc, ciphertext } = seal(key.public(), b"", b"", b"plaintext").unwrap();
    enc[31] ^= 0x80;
    assert_eq!(open(&key, &enc, b"", b"", &ciphertext).unwrap_err(), Error::Decryption);
}

#[test]
fn limits_and_keys_that_nobody_has_are_told() {
    let key = PrivateKey::generate(Curve::X25519).unwrap();
    assert!(seal(key.public(), &vec![0; MAX_INFO], b"", b"").is_ok());
    assert!(matches!(seal(key.public(), &vec![0; MAX_INFO + 1], b"", b""), Err(Error::Input(_))));
    assert!(matches!(open(&key, &[9; 32], &vec![0; MAX_INFO + 1], b"", b""), Err(Error::Input(_))));
    let everybodys = PublicKey::from_raw(Curve::X25519, &[0; 32]).unwrap();
    assert!(matches!(seal(&everybodys, b"", b"", b""), Err(Error::Key(_))));
}

/// A key of a file serves as well as one that was made here.
#[test]
fn a_key_from_a_file_opens() {
    let file = include_bytes!("../testdata/x25519_pkcs8.pem");
    let public = include_bytes!("../testdata/x25519_public.pem");
    let sealed = seal(&PublicKey::parse(Curve::X25519, public).unwrap(), b"", b"", b"plaintext").unwrap();
    let key = pem::private_key_from(file, None).unwrap();
    let key = PrivateKey::from_pkcs8(key.pkcs8.expose()).unwrap();
    assert_eq!(open(&key, &sealed.enc, b"", b"", &sealed.ciphertext).unwrap().expose(), b"plaintext");
}
