use super::*;
use crate::{
    audit::Entry,
    keyring::{
        KeyName, KeyType,
        tests::{alone, plain},
    },
};

/// Keys by type, each with two versions.
async fn keys<const N: usize>(types: [KeyType; N]) -> [Arc<LoadedKey>; N] {
    let keyring = alone().keyring;
    let mut keys = Vec::new();
    for (number, key_type) in types.into_iter().enumerate() {
        let name = KeyName::parse("name", &format!("k{number}")).unwrap();
        keyring.create(&name, plain(key_type), Entry::by("ada", "key.create", "k")).await.unwrap();
        keyring.rotate(&name, Entry::by("ada", "key.rotate", "k")).await.unwrap();
        keys.push(keyring.get(name.as_str()).await.unwrap());
    }
    keys.try_into().unwrap()
}

fn public(key: &LoadedKey, version: u32) -> Vec<u8> {
    key.versions[&version].public.clone().unwrap()
}

#[tokio::test]
async fn both_sides_make_the_same_secret() {
    for key_type in [KeyType::X25519, KeyType::EcdhP256] {
        let [ada, bob] = keys([key_type; 2]).await;
        let agree = |key: &LoadedKey, key_version, peer: Vec<u8>, info: &'static [u8], length| {
            let request = pb::AgreeRequest {
                key: String::new(),
                key_version,
                peer_public_key: peer.into(),
                info: Bytes::from_static(info),
                length,
            };
            request.check()?;
            request.run(key)
        };
        let here = agree(&ada, 1, public(&bob, 2), b"chat", 0).unwrap();
        let there = agree(&bob, 0, public(&ada, 1), b"chat", 0).unwrap();
        assert_eq!((here.key_version, there.key_version, here.secret.len()), (1, 2, 32));
        assert_eq!(here.secret, there.secret);
        let pem = pem::write_spki_pem(&public(&ada, 1)).into_bytes();
        assert_eq!(agree(&bob, 2, pem, b"chat", 32).unwrap().secret, here.secret);
        assert_ne!(agree(&bob, 0, public(&ada, 1), b"files", 0).unwrap().secret, here.secret);
        assert_ne!(agree(&bob, 0, public(&ada, 2), b"chat", 0).unwrap().secret, here.secret);
        let long = agree(&bob, 0, public(&ada, 1), b"chat", 64).unwrap().secret;
        assert_eq!(long.get(..32), here.secret.get(..), "HKDF gives more of the same");
        for (peer, length) in
            [(Vec::new(), 0), (vec![7; 20], 0), (public(&ada, 1), 15), (public(&ada, 1), 65)]
        {
            assert_eq!(agree(&bob, 0, peer, b"", length).unwrap_err().reason(), "BAD_REQUEST");
        }
        assert_eq!(agree(&bob, 3, public(&ada, 1), b"", 0).unwrap_err().reason(), "KEY_VERSION");
    }
}

#[tokio::test]
async fn x25519_with_a_point_that_gives_zeros_is_refused() {
    let [key] = keys([KeyType::X25519]).await;
    let request = pb::AgreeRequest { peer_public_key: vec![0; 32].into(), ..Default::default() };
    assert_eq!(request.run(&key).unwrap_err().reason(), "BAD_REQUEST");
    let request = pb::SealHpkeRequest::default();
    assert_eq!(seal_for(&[0; 32], &request, 100).unwrap_err().reason(), "BAD_REQUEST");
}

#[tokio::test]
async fn messages_are_sealed_for_a_key_or_for_its_public_half() {
    for key_type in [KeyType::X25519, KeyType::EcdhP256] {
        let [key] = keys([key_type]).await;
        let request = pb::SealHpkeRequest {
            plaintext: Bytes::from_static(b"message"),
            info: Bytes::from_static(b"info"),
            associated_data: Bytes::from_static(b"row"),
            ..Default::default()
        };
        let spki = public(&key, 2);
        let curve = if key_type == KeyType::X25519 { Curve::X25519 } else { Curve::P256 };
        let raw = agreement::PublicKey::from_spki(&spki).unwrap().raw().to_vec();
        assert_eq!(raw.len(), curve.public_length());
        let named = SealFor { key: String::new(), request: request.clone() }.run(&key).unwrap();
        assert_eq!((named.key_version, named.encapsulated_key.len()), (2, raw.len()));
        let pem = pem::write_spki_pem(&spki).into_bytes();
        let given = [&spki, &raw, &pem].map(|public| seal_for(public, &request, 100).unwrap());
        for sealed in [named].into_iter().chain(given) {
            let mut open = pb::OpenHpkeRequest {
                encapsulated_key: sealed.encapsulated_key,
                ciphertext: sealed.ciphertext,
                info: request.info.clone(),
                associated_data: request.associated_data.clone(),
                ..Default::default()
            };
            assert_eq!(open.clone().run(&key).unwrap().plaintext, request.plaintext);
            open.key_version = 1;
            assert_eq!(open.clone().run(&key).unwrap_err().reason(), "DECRYPTION_FAILED");
            (open.key_version, open.info) = (2, Bytes::new());
            assert_eq!(open.run(&key).unwrap_err().reason(), "DECRYPTION_FAILED");
        }
        assert_eq!(seal_for(&spki, &request, 13).unwrap_err().reason(), "TOO_LARGE");
        let versioned = pb::SealHpkeRequest { key_version: 1, ..request };
        assert_eq!(seal_for(&spki, &versioned, 100).unwrap_err().reason(), "BAD_REQUEST");
    }
}

#[tokio::test]
async fn secrets_are_encapsulated_for_a_key_or_for_its_public_half() {
    let [key] = keys([KeyType::MlKem768]).await;
    let spki = public(&key, 2);
    let raw = ml_kem::PublicKey::from_spki(&spki).unwrap().raw().to_vec();
    let named = EncapsulateFor { key: String::new(), key_version: 0 }.run(&key).unwrap();
    assert_eq!(named.key_version, 2);
    for made in [named, encapsulate_for(&spki, 0).unwrap(), encapsulate_for(&raw, 0).unwrap()] {
        let mut request = pb::DecapsulateRequest { ciphertext: made.ciphertext, ..Default::default() };
        assert_eq!(request.clone().run(&key).unwrap().shared_secret, made.shared_secret);
        request.key_version = 1;
        let other = request.clone().run(&key).unwrap().shared_secret;
        assert_ne!(other, made.shared_secret, "another secret, and no error (FIPS 203)");
        request.ciphertext.truncate(1087);
        assert_eq!(request.run(&key).unwrap_err().reason(), "BAD_REQUEST");
    }
    for odd in [Vec::new(), vec![0; 100], raw[1..].to_vec(), vec![0xff; 1184], vec![0; 20_000]] {
        assert_eq!(encapsulate_for(&odd, 0).unwrap_err().reason(), "BAD_REQUEST");
    }
    assert_eq!(encapsulate_for(&raw, 1).unwrap_err().reason(), "BAD_REQUEST");
}

#[tokio::test]
async fn each_type_does_its_own_and_nothing_else() {
    let types = [KeyType::X25519, KeyType::MlKem768, KeyType::MlDsa65, KeyType::Aes256GcmSivConvergent];
    for (key, key_type) in keys(types).await.into_iter().zip(types) {
        let peer = agreement::PrivateKey::generate(Curve::X25519).unwrap().public().raw().to_vec();
        let ciphertext = Bytes::from(vec![1; 1088]);
        let agrees = pb::AgreeRequest { peer_public_key: peer.into(), ..Default::default() }.run(&key);
        let seals = SealFor { key: String::new(), request: pb::SealHpkeRequest::default() }.run(&key);
        let encapsulates = EncapsulateFor { key: String::new(), key_version: 0 }.run(&key);
        let decapsulates = pb::DecapsulateRequest { ciphertext, ..Default::default() }.run(&key);
        let signs = pb::SignRequest::default().run(&key);
        let encrypts = pb::EncryptRequest::default().run(&key);
        let can = |done: Option<Error>, able: KeyType| match done {
            None => key_type == able,
            Some(error) => {
                key_type != able && error.reason() == "KEY_TYPE" && error.to_string().contains("can")
            }
        };
        assert!(can(agrees.err(), KeyType::X25519) && can(seals.err(), KeyType::X25519), "{key_type:?}");
        assert!(can(encapsulates.err(), KeyType::MlKem768), "{key_type:?}");
        assert!(can(decapsulates.err(), KeyType::MlKem768), "{key_type:?}");
        assert!(can(signs.err(), KeyType::MlDsa65), "{key_type:?}");
        assert!(can(encrypts.err(), KeyType::Aes256GcmSivConvergent), "{key_type:?}");
    }
}

#[tokio::test]
async fn the_same_message_has_the_same_ciphertext_with_a_convergent_key() {
    let [key] = keys([KeyType::Aes256GcmSivConvergent]).await;
    let encrypt = |plaintext: &'static [u8], aad: &'static [u8], key_version| {
        let (plaintext, associated_data) = (Bytes::from_static(plaintext), Bytes::from_static(aad));
        let request = pb::EncryptRequest { plaintext, associated_data, key_version, ..Default::default() };
        request.run(&key).unwrap().ciphertext
    };
    let ciphertext = encrypt(b"card 1", b"cards", 0);
    assert_eq!(encrypt(b"card 1", b"cards", 2), ciphertext);
    for other in
        [encrypt(b"card 2", b"cards", 0), encrypt(b"card 1", b"", 0), encrypt(b"card 1", b"cards", 1)]
    {
        assert_ne!(other, ciphertext);
    }
    let request = pb::DecryptRequest {
        ciphertext: ciphertext.clone(),
        associated_data: Bytes::from_static(b"cards"),
        ..Default::default()
    };
    assert_eq!(request.clone().run(&key).unwrap().plaintext, "card 1");
    let wrong = pb::DecryptRequest { associated_data: Bytes::new(), ..request };
    assert_eq!(wrong.run(&key).unwrap_err().reason(), "DECRYPTION_FAILED");
    // A data key is random: only that it is wrapped is convergent.
    let made = [(); 2].map(|()| pb::GenerateDataKeyRequest::default().run(&key).unwrap());
    assert!(made[0].plaintext != made[1].plaintext && made[0].ciphertext != made[1].ciphertext);
}

/// A limit on sizes that lets a message in must let its ciphertext in too, or it could not be opened again.
#[tokio::test]
async fn a_sealed_message_is_no_larger_than_the_message() {
    for key_type in [KeyType::X25519, KeyType::EcdhP256] {
        let [key] = keys([key_type]).await;
        for length in [0, 1, 100_000] {
            let request = pb::SealHpkeRequest { plaintext: vec![7; length].into(), ..Default::default() };
            let sealed = SealFor { key: String::new(), request }.run(&key).unwrap();
            let open = pb::OpenHpkeRequest {
                encapsulated_key: sealed.encapsulated_key,
                ciphertext: sealed.ciphertext,
                ..Default::default()
            };
            assert_eq!(open.size(), length);
            assert_eq!(open.run(&key).unwrap().plaintext.len(), length);
        }
    }
}
