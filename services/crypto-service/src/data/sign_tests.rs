use super::*;
use crate::{
    audit::Entry,
    keyring::{
        KeyName, KeyType,
        tests::{alone, plain},
    },
};

/// A key with this many versions.
async fn key(key_type: KeyType, versions: u32) -> Arc<LoadedKey> {
    let keyring = alone().keyring;
    let name = KeyName::parse("name", "k").unwrap();
    keyring.create(&name, plain(key_type), Entry::by("ada", "key.create", "k")).await.unwrap();
    for _ in 1..versions {
        keyring.rotate(&name, Entry::by("ada", "key.rotate", "k")).await.unwrap();
    }
    keyring.get("k").await.unwrap()
}

#[tokio::test]
async fn the_newest_hundred_versions_are_tried_where_none_is_named() {
    let key = key(KeyType::Hmac, 120).await;
    for made in [1, 20, 21, 120] {
        let message = bytes::Bytes::from_static(b"message");
        let request = pb::HmacRequest { key_version: made, message: message.clone(), ..Default::default() };
        let hmac = request.run(&key).unwrap().hmac;
        for key_version in [0, made] {
            let check = pb::VerifyHmacRequest {
                message: message.clone(),
                hmac: hmac.clone(),
                key_version,
                ..Default::default()
            };
            assert_eq!(check.is_slow(&key), key_version == 0, "many versions are the pool's");
            let is_tried = key_version == made || made > 20;
            let expected =
                pb::VerifyHmacResponse { is_valid: is_tried, key_version: if is_tried { made } else { 0 } };
            assert_eq!(check.run(&key).unwrap(), expected, "made by {made}, asked for {key_version}");
        }
    }
}

#[tokio::test]
async fn types_that_hash_with_their_key_take_no_digest() {
    for key_type in [KeyType::Ed25519, KeyType::MlDsa65] {
        let key = key(key_type, 1).await;
        let wishes = [
            pb::SignRequest { message: vec![7; 32].into(), prehashed: true, ..Default::default() },
            pb::SignRequest { scheme: SignatureScheme::Pss.into(), ..Default::default() },
        ];
        for request in wishes {
            assert_eq!(request.run(&key).unwrap_err().reason(), "BAD_REQUEST", "{key_type:?}");
        }
    }
}

#[tokio::test]
async fn a_signature_by_an_old_version_is_known_whether_it_is_named_or_not() {
    let types =
        [KeyType::Ed25519, KeyType::MlDsa65, KeyType::EcdsaP256, KeyType::EcdsaP521, KeyType::Rsa2048];
    for key_type in types {
        let key = key(key_type, 3).await;
        for (made, prehashed) in [(1, false), (2, false), (3, false), (1, true)] {
            if prehashed && matches!(key_type, KeyType::Ed25519 | KeyType::MlDsa65) {
                continue;
            }
            let length = if key_type == KeyType::EcdsaP521 { 64 } else { 32 };
            let message = bytes::Bytes::from(vec![7; length]);
            let request = pb::SignRequest {
                message: message.clone(),
                prehashed,
                key_version: made,
                ..Default::default()
            };
            let signature = request.run(&key).unwrap().signature;
            for key_version in [0, made] {
                let check = pb::VerifyRequest {
                    message: message.clone(),
                    signature: signature.clone(),
                    prehashed,
                    key_version,
                    ..Default::default()
                };
                assert!(!check.is_slow(&key));
                let verdict = check.run(&key).unwrap();
                assert_eq!((verdict.is_valid, verdict.key_version), (true, made), "{key_type:?}");
            }
            let other = pb::VerifyRequest {
                message: vec![8; length].into(),
                signature,
                prehashed,
                ..Default::default()
            };
            assert!(!other.run(&key).unwrap().is_valid, "{key_type:?}");
        }
    }
}
