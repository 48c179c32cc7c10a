use super::*;
use crate::data::text_form;
use crate::{
    audit::Entry,
    keyring::{
        KeyName, KeyType,
        tests::{alone, plain},
    },
};

async fn key(key_type: KeyType) -> Arc<LoadedKey> {
    let keyring = alone().keyring;
    let name = KeyName::parse("name", "k").unwrap();
    keyring.create(&name, plain(key_type), Entry::by("ada", "key.create", "k")).await.unwrap();
    keyring.get("k").await.unwrap()
}

/// A limit on sizes that lets a message in must let its ciphertext in too, or it could not be decrypted again.
#[tokio::test]
async fn a_ciphertext_is_no_larger_than_its_message() {
    for key_type in [
        KeyType::Xaes256Gcm,
        KeyType::Aes256Gcm96,
        KeyType::ChaCha20Poly1305,
        KeyType::Aes256CbcHmacSha512,
        KeyType::Aes256CbcLegacy,
        KeyType::Aes256GcmSivConvergent,
    ] {
        let key = key(key_type).await;
        for length in [0, 1, 15, 16, 17, 100_000] {
            let plaintext = Bytes::from(vec![7; length]);
            let ciphertext = super::encrypt(&key, key.encrypting(0).unwrap(), b"", &plaintext).unwrap();
            let text = Bytes::from(text_form("vault:v", &ciphertext).unwrap());
            for ciphertext in [ciphertext, text] {
                let decrypt = pb::DecryptRequest { ciphertext: ciphertext.clone(), ..Default::default() };
                let rewrap = pb::RewrapRequest { ciphertext, ..Default::default() };
                for size in [decrypt.size(), rewrap.size()] {
                    assert!(size <= length, "{}: {size} for {length}", key_type.word());
                    assert!(size + 200 > length, "{}: {size} for {length}", key_type.word());
                }
            }
        }
    }
}

#[tokio::test]
async fn an_envelope_is_no_larger_than_its_message() {
    for key_type in [KeyType::Rsa2048, KeyType::Rsa4096] {
        let key = key(key_type).await;
        for length in [0, 1, 100_000] {
            let request = pb::SealEnvelopeRequest { plaintext: vec![7; length].into(), ..Default::default() };
            let envelope = request.run(&key).unwrap().envelope;
            let open = pb::OpenEnvelopeRequest { envelope, ..Default::default() };
            assert!(open.size() <= length, "{} for {length}", open.size());
        }
    }
}
