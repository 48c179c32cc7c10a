//! What keys do, as a backend sees it: every type, every refusal, one at a time and in batches.

use anyhow::Result;
use bytes::Bytes;
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    self as pb, KeyType, agreement_client::AgreementClient, data_client::DataClient, encrypt_result,
    keys_client::KeysClient,
};
use std::collections::HashSet;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Types that encrypt, and whether they bind associated data.
const ENCRYPTING: [(KeyType, bool); 11] = [
    (KeyType::Xaes256Gcm, true),
    (KeyType::Aes128Gcm96, true),
    (KeyType::Aes192Gcm96, true),
    (KeyType::Aes256Gcm96, true),
    (KeyType::Chacha20Poly1305, true),
    (KeyType::Aes256CbcHmacSha512, true),
    (KeyType::Aes256GcmSivConvergent, true),
    (KeyType::Aes256CbcLegacy, false),
    (KeyType::Rsa2048, false),
    (KeyType::Rsa3072, false),
    (KeyType::Rsa4096, false),
];

/// Types that sign.
const SIGNING: [KeyType; 6] = [
    KeyType::Ed25519,
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Rsa2048,
    KeyType::MlDsa65,
];

struct World {
    installation: Installation,
    crypto: Crypto,
    _folder: TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let installation = Installation::create(folder.path(), Settings::default())?;
        let crypto = installation.start("crypto").await?;
        Ok(Self { installation, crypto, _folder: folder })
    }

    fn with(&self, scopes: &[&str]) -> Result<Client> {
        self.crypto.client(&self.installation.keys.token("backend", scopes)?)
    }

    fn data(&self) -> Result<DataClient<Client>> {
        Ok(DataClient::new(self.with(&["admin"])?))
    }

    async fn key(&self, name: &str, kind: KeyType) -> Result<()> {
        let request = pb::CreateKeyRequest { name: name.into(), r#type: kind.into(), ..Default::default() };
        KeysClient::new(self.with(&["admin"])?).create_key(request).await?;
        Ok(())
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[track_caller]
fn assert_refused<T>(answer: Result<tonic::Response<T>, Status>, code: Code, expected: &str) {
    let Err(status) = answer else { panic!("it was not refused") };
    assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{status}");
}

fn encrypt(key: &str, plaintext: &'static [u8], aad: &'static [u8]) -> pb::EncryptRequest {
    pb::EncryptRequest {
        key: key.into(),
        plaintext: plaintext.into(),
        associated_data: aad.into(),
        key_version: 0,
    }
}

fn decrypt(key: &str, ciphertext: Bytes, aad: &'static [u8]) -> pb::DecryptRequest {
    pb::DecryptRequest { key: key.into(), ciphertext, associated_data: aad.into() }
}

#[tokio::test]
async fn every_type_gives_back_what_it_encrypted_and_rewraps_it() -> TestResult {
    let world = World::start().await?;
    let mut data = world.data()?;
    for (kind, binds) in ENCRYPTING {
        let name = kind.as_str_name();
        world.key(name, kind).await?;
        let aad: &[u8] = if binds { b"invoice 7" } else { b"" };
        let sealed = data.encrypt(encrypt(name, b"hello", aad)).await?.into_inner();
        assert_eq!(sealed.key_version, 1);
        assert_eq!(sealed.ciphertext.get(..5), Some(&[1, 0, 0, 0, 1][..]), "{name}");
        KeysClient::new(world.with(&["admin"])?)
            .rotate_key(pb::RotateKeyRequest { name: name.into() })
            .await?;
        let old = data.decrypt(decrypt(name, sealed.ciphertext.clone(), aad)).await?.into_inner();
        assert_eq!((&old.plaintext[..], old.key_version), (&b"hello"[..], 1), "{name}");
        let rewrap = pb::RewrapRequest {
            key: name.into(),
            ciphertext: sealed.ciphertext,
            associated_data: aad.into(),
            key_version: 0,
        };
        let rewrapped = data.rewrap(rewrap).await?.into_inner();
        assert_eq!(rewrapped.key_version, 2, "{name}");
        let new = data.decrypt(decrypt(name, rewrapped.ciphertext, aad)).await?.into_inner();
        assert_eq!((&new.plaintext[..], new.key_version), (&b"hello"[..], 2), "{name}");
        if !binds {
            assert_refused(
                data.encrypt(encrypt(name, b"hello", b"bound")).await,
                Code::InvalidArgument,
                "BAD_REQUEST",
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_largest_message_that_is_taken_comes_back() -> TestResult {
    let world = World::start().await?;
    let mut data = world.data()?;
    let message = Bytes::from(vec![7; 2 << 20]);
    let encrypting = |name: &str, plaintext: Bytes| pb::EncryptRequest {
        key: name.to_owned(),
        plaintext,
        ..Default::default()
    };
    for kind in [KeyType::Xaes256Gcm, KeyType::Aes256CbcHmacSha512, KeyType::Aes256GcmSivConvergent] {
        let name = kind.as_str_name();
        world.key(name, kind).await?;
        let sealed = data.encrypt(encrypting(name, message.clone())).await?.into_inner().ciphertext;
        assert!(data.decrypt(decrypt(name, sealed, b"")).await?.into_inner().plaintext == message, "{name}");
        let larger = [&message[..], b"x"].concat().into();
        let refused = data.encrypt(encrypting(name, larger)).await;
        assert_refused(refused, Code::InvalidArgument, "TOO_LARGE");
    }
    world.key("rsa", KeyType::Rsa2048).await?;
    let seal =
        pb::SealEnvelopeRequest { key: "rsa".into(), plaintext: message.clone(), ..Default::default() };
    let envelope = data.seal_envelope(seal).await?.into_inner().envelope;
    let open = pb::OpenEnvelopeRequest { key: "rsa".into(), envelope, ..Default::default() };
    assert!(data.open_envelope(open).await?.into_inner().plaintext == message);
    world.key("x", KeyType::X25519).await?;
    let mut agreement = AgreementClient::new(world.with(&["admin"])?);
    let seal = pb::SealHpkeRequest {
        recipient: Some(pb::seal_hpke_request::Recipient::Key("x".into())),
        plaintext: message.clone(),
        ..Default::default()
    };
    let sealed = agreement.seal_hpke(seal).await?.into_inner();
    let open = pb::OpenHpkeRequest {
        key: "x".into(),
        encapsulated_key: sealed.encapsulated_key,
        ciphertext: sealed.ciphertext,
        ..Default::default()
    };
    assert!(agreement.open_hpke(open).await?.into_inner().plaintext == message);
    Ok(())
}

#[tokio::test]
async fn whatever_is_wrong_with_a_ciphertext_the_error_is_the_same() -> TestResult {
    let world = World::start().await?;
    let mut data = world.data()?;
    let mut answers = HashSet::new();
    for kind in [KeyType::Xaes256Gcm, KeyType::Aes256Gcm96, KeyType::Aes256CbcHmacSha512, KeyType::Rsa2048] {
        let (name, other) = (kind.as_str_name(), format!("{}-other", kind.as_str_name()));
        world.key(name, kind).await?;
        world.key(&other, kind).await?;
        let aad: &[u8] = if kind == KeyType::Rsa2048 { b"" } else { b"here" };
        let sealed = data.encrypt(encrypt(name, b"sixteen bytes...", aad)).await?.into_inner().ciphertext;
        let mut wrong: Vec<(String, Bytes)> =
            (0..sealed.len()).map(|at| (format!("bit of byte {at}"), flipped(&sealed, at))).collect();
        wrong.extend((0..sealed.len()).step_by(7).map(|end| (format!("cut at {end}"), sealed.slice(..end))));
        wrong.push(("lengthened".into(), [&sealed[..], b"x"].concat().into()));
        wrong.push(("text".into(), Bytes::from_static(b"vault:v1:AAAA")));
        for (what, ciphertext) in wrong {
            let status = data.decrypt(decrypt(name, ciphertext, aad)).await.err();
            let status = status.ok_or_else(|| anyhow::anyhow!("{name}: {what} was decrypted"))?;
            answers.insert((status.code(), reason(&status), status.message().to_owned()));
        }
        let status = data.decrypt(decrypt(&other, sealed.clone(), aad)).await.expect_err("another key");
        answers.insert((status.code(), reason(&status), status.message().to_owned()));
        if kind != KeyType::Rsa2048 {
            let status = data.decrypt(decrypt(name, sealed, b"there")).await.expect_err("other data");
            answers.insert((status.code(), reason(&status), status.message().to_owned()));
        }
    }
    let expected = (Code::InvalidArgument, "DECRYPTION_FAILED".to_owned(), "could not decrypt".to_owned());
    assert_eq!(answers, HashSet::from([expected]));
    Ok(())
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed.into()
}

#[tokio::test]
async fn nonces_are_never_the_same() -> TestResult {
    let world = World::start().await?;
    world.key("nonces", KeyType::Aes256Gcm96).await?;
    let mut data = world.data()?.max_decoding_message_size(64 << 20);
    let items = vec![encrypt("nonces", b"", b""); 1000];
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let request = pb::EncryptBatchRequest { items: items.clone() };
        for result in data.encrypt_batch(request).await?.into_inner().results {
            let Some(encrypt_result::Outcome::Ok(sealed)) = result.outcome else { panic!("an item failed") };
            assert!(seen.insert(sealed.ciphertext), "a nonce was used twice");
        }
    }
    assert_eq!(seen.len(), 10_000);
    Ok(())
}

#[tokio::test]
async fn signatures_and_hmacs_fit_their_message_alone() -> TestResult {
    let world = World::start().await?;
    let mut data = world.data()?;
    for kind in SIGNING {
        let name = kind.as_str_name();
        world.key(name, kind).await?;
        let sign = pb::SignRequest {
            key: name.into(),
            message: Bytes::from_static(b"message"),
            ..Default::default()
        };
        let signed = data.sign(sign).await?.into_inner();
        let verify = |message: &'static [u8], signature: &Bytes| pb::VerifyRequest {
            key: name.into(),
            message: message.into(),
            signature: signature.clone(),
            ..Default::default()
        };
        let verdict = data.verify(verify(b"message", &signed.signature)).await?.into_inner();
        assert_eq!((verdict.is_valid, verdict.key_version), (true, 1), "{name}");
        assert!(!data.verify(verify(b"massage", &signed.signature)).await?.into_inner().is_valid, "{name}");
        let changed = flipped(&signed.signature, 9);
        assert!(!data.verify(verify(b"message", &changed)).await?.into_inner().is_valid, "{name}");
        // What can sign cannot decrypt, unless it is RSA.
        if kind != KeyType::Rsa2048 {
            let wrong = data.decrypt(decrypt(name, Bytes::from_static(b"x"), b"")).await;
            assert_refused(wrong, Code::InvalidArgument, "KEY_TYPE");
            assert_refused(data.encrypt(encrypt(name, b"x", b"")).await, Code::InvalidArgument, "KEY_TYPE");
        }
    }
    world.key("mac", KeyType::Hmac).await?;
    let hmac = pb::HmacRequest { key: "mac".into(), message: "m".into(), ..Default::default() };
    let hmac = data.hmac(hmac).await?.into_inner().hmac;
    let check = |hmac: Bytes| pb::VerifyHmacRequest {
        key: "mac".into(),
        message: "m".into(),
        hmac,
        ..Default::default()
    };
    assert!(data.verify_hmac(check(hmac.clone())).await?.into_inner().is_valid);
    assert!(!data.verify_hmac(check(flipped(&hmac, 0))).await?.into_inner().is_valid);
    assert!(
        !data.verify_hmac(check(hmac.slice(..16))).await?.into_inner().is_valid,
        "a part is not the whole"
    );
    Ok(())
}

#[tokio::test]
async fn broken_digests_and_impossible_wishes_are_refused() -> TestResult {
    let world = World::start().await?;
    world.key("rsa", KeyType::Rsa2048).await?;
    world.key("ed", KeyType::Ed25519).await?;
    let mut data = world.data()?;
    let rsa = pb::SignRequest { key: "rsa".into(), message: "m".into(), ..Default::default() };
    for digest in [pb::DigestAlgorithm::Md5, pb::DigestAlgorithm::Sha1, pb::DigestAlgorithm::Blake2b512] {
        let request = pb::SignRequest { digest: digest.into(), ..rsa.clone() };
        assert_refused(data.sign(request).await, Code::InvalidArgument, "BAD_REQUEST");
    }
    let short_digest = pb::SignRequest { prehashed: true, ..rsa.clone() };
    assert_refused(data.sign(short_digest).await, Code::InvalidArgument, "BAD_REQUEST");
    let long_salt =
        pb::SignRequest { salt_length: pb::SaltLength::Explicit.into(), salt_bytes: 4000, ..rsa.clone() };
    assert_refused(data.sign(long_salt).await, Code::InvalidArgument, "BAD_REQUEST");
    let foreign_scheme = pb::SignRequest { scheme: pb::SignatureScheme::EcdsaAsn1.into(), ..rsa.clone() };
    assert_refused(data.sign(foreign_scheme).await, Code::InvalidArgument, "BAD_REQUEST");
    let prehashed =
        pb::SignRequest { key: "ed".into(), message: "m".into(), prehashed: true, ..Default::default() };
    assert_refused(data.sign(prehashed).await, Code::InvalidArgument, "BAD_REQUEST");
    let too_long = pb::EncryptRequest { plaintext: vec![0; 191].into(), ..encrypt("rsa", b"", b"") };
    assert_refused(data.encrypt(too_long).await, Code::InvalidArgument, "TOO_LARGE");
    let no_version = pb::EncryptRequest { key_version: 2, ..encrypt("rsa", b"x", b"") };
    assert_refused(data.encrypt(no_version).await, Code::InvalidArgument, "KEY_VERSION");
    assert_refused(data.encrypt(encrypt("nobody", b"x", b"")).await, Code::NotFound, "NOT_FOUND");
    for size in [0, 65_537] {
        assert_refused(data.random(pb::RandomRequest { size }).await, Code::InvalidArgument, "BAD_REQUEST");
    }
    Ok(())
}

#[tokio::test]
async fn one_bad_item_does_not_spoil_a_batch() -> TestResult {
    let world = World::start().await?;
    world.key("app-a", KeyType::Xaes256Gcm).await?;
    world.key("app-b", KeyType::Rsa2048).await?;
    world.key("other", KeyType::Xaes256Gcm).await?;
    let mut data = DataClient::new(world.with(&["keys:use:app-*"])?);
    let items = vec![
        encrypt("app-a", b"1", b""),
        encrypt("other", b"2", b""),
        encrypt("app-none", b"3", b""),
        encrypt("app-b", b"4", b""),
        encrypt("app-a", b"5", b""),
    ];
    let results = data.encrypt_batch(pb::EncryptBatchRequest { items }).await?.into_inner().results;
    let reasons: Vec<String> = results
        .iter()
        .map(|result| match &result.outcome {
            Some(encrypt_result::Outcome::Error(error)) => error.reason.clone(),
            _ => String::new(),
        })
        .collect();
    assert_eq!(reasons, ["", "PERMISSION_DENIED", "NOT_FOUND", "", ""]);
    let sealed = results.into_iter().filter_map(|result| match result.outcome {
        Some(encrypt_result::Outcome::Ok(sealed)) => Some(sealed.ciphertext),
        _ => None,
    });
    let keys = ["app-a", "app-b", "app-a"];
    let items = keys.into_iter().zip(sealed).map(|(key, ciphertext)| decrypt(key, ciphertext, b"")).collect();
    let results = data.decrypt_batch(pb::DecryptBatchRequest { items }).await?.into_inner().results;
    let opened: Vec<Bytes> = results
        .into_iter()
        .filter_map(|result| match result.outcome {
            Some(pb::decrypt_result::Outcome::Ok(opened)) => Some(opened.plaintext),
            _ => None,
        })
        .collect();
    assert_eq!(opened, [&b"1"[..], b"4", b"5"]);
    let items = vec![encrypt("app-a", b"", b""); 1001];
    assert_refused(
        data.encrypt_batch(pb::EncryptBatchRequest { items }).await,
        Code::InvalidArgument,
        "BAD_REQUEST",
    );
    Ok(())
}

#[tokio::test]
async fn a_scope_is_for_an_operation_and_a_name() -> TestResult {
    let world = World::start().await?;
    world.key("app-a", KeyType::Xaes256Gcm).await?;
    let sealed = world.data()?.encrypt(encrypt("app-a", b"x", b"")).await?.into_inner().ciphertext;
    let mut encrypts = DataClient::new(world.with(&["keys:encrypt:app-*"])?);
    encrypts.encrypt(encrypt("app-a", b"x", b"")).await?;
    assert_refused(
        encrypts.encrypt(encrypt("web-a", b"x", b"")).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );
    assert_refused(
        encrypts.decrypt(decrypt("app-a", sealed.clone(), b"")).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );
    let mut uses = DataClient::new(world.with(&["keys:use:app-a"])?);
    uses.decrypt(decrypt("app-a", sealed, b"")).await?;
    let mut keys = KeysClient::new(world.with(&["keys:use:*"])?);
    let rotate = pb::RotateKeyRequest { name: "app-a".into() };
    assert_refused(keys.rotate_key(rotate).await, Code::PermissionDenied, "PERMISSION_DENIED");
    Ok(())
}

#[tokio::test]
async fn envelopes_hold_any_amount_and_are_bound_to_their_version() -> TestResult {
    let world = World::start().await?;
    world.key("mail", KeyType::Rsa3072).await?;
    let mut data = world.data()?;
    let plaintext = Bytes::from(vec![5; 1 << 20]);
    let seal = pb::SealEnvelopeRequest {
        key: "mail".into(),
        plaintext: plaintext.clone(),
        associated_data: "to you".into(),
        key_version: 0,
    };
    let sealed = data.seal_envelope(seal).await?.into_inner().envelope;
    let open = |envelope: Bytes, aad: &'static str| pb::OpenEnvelopeRequest {
        key: "mail".into(),
        envelope,
        associated_data: aad.into(),
    };
    assert_eq!(data.open_envelope(open(sealed.clone(), "to you")).await?.into_inner().plaintext, plaintext);
    KeysClient::new(world.with(&["admin"])?).rotate_key(pb::RotateKeyRequest { name: "mail".into() }).await?;
    let other_version = flipped(&flipped(&sealed, 4), 4);
    assert_eq!(other_version, sealed);
    let mut changed = sealed.to_vec();
    changed[4] = 2;
    for (envelope, aad) in
        [(changed.into(), "to you"), (sealed.clone(), "to me"), (sealed.slice(..500), "to you")]
    {
        assert_refused(
            data.open_envelope(open(envelope, aad)).await,
            Code::InvalidArgument,
            "DECRYPTION_FAILED",
        );
    }
    Ok(())
}

#[tokio::test]
async fn data_keys_come_with_their_ciphertext_or_without_their_plaintext() -> TestResult {
    let world = World::start().await?;
    world.key("wrapping", KeyType::Xaes256Gcm).await?;
    let mut data = world.data()?;
    for (bits, bytes) in [(0, 32), (128, 16), (256, 32), (512, 64)] {
        let request = pb::GenerateDataKeyRequest { key: "wrapping".into(), bits, ..Default::default() };
        let made = data.generate_data_key(request).await?.into_inner();
        assert_eq!(made.plaintext.len(), bytes);
        let opened = data.decrypt(decrypt("wrapping", made.ciphertext, b"")).await?.into_inner();
        assert_eq!(opened.plaintext, made.plaintext);
    }
    let request =
        pb::GenerateDataKeyRequest { key: "wrapping".into(), wrapped_only: true, ..Default::default() };
    assert!(data.generate_data_key(request).await?.into_inner().plaintext.is_empty());
    let odd = pb::GenerateDataKeyRequest { key: "wrapping".into(), bits: 100, ..Default::default() };
    assert_refused(data.generate_data_key(odd).await, Code::InvalidArgument, "BAD_REQUEST");
    Ok(())
}
