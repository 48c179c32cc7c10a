//! Agreement, HPKE and encapsulation as a backend sees them: who may, what is refused, and what is recorded of keys that are brought and
//! certified. Whether the numbers are right is for the vectors and the programs of others.

use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Client, Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_crypto::agreement::{Curve, PrivateKey};
use patchbay_proto::crypto::v1::{
    self as pb, KeyType, admin_client::AdminClient, agreement_client::AgreementClient,
    encapsulate_request::Recipient as For, keys_client::KeysClient, seal_hpke_request::Recipient,
};
use std::collections::BTreeSet;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;

struct World {
    installation: Installation,
    crypto: Crypto,
    _folder: TempDir,
}

/// The calls that name a key, and the word of their scope.
const CALLS: [(&str, &str); 5] = [
    ("agree", "agree"),
    ("seal", "encrypt"),
    ("open", "decrypt"),
    ("encapsulate", "encrypt"),
    ("decapsulate", "decrypt"),
];

impl World {
    async fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let installation = Installation::create(folder.path(), Settings::default())?;
        let crypto = installation.start("crypto").await?;
        let world = Self { installation, crypto, _folder: folder };
        for (name, kind) in
            [("app-x", KeyType::X25519), ("app-k", KeyType::MlKem768), ("app-e", KeyType::Ed25519)]
        {
            let key = pb::CreateKeyRequest { name: name.into(), r#type: kind.into(), ..Default::default() };
            world.keys(&["admin"])?.create_key(key).await?;
        }
        Ok(world)
    }

    fn with(&self, scopes: &[&str]) -> Result<Client> {
        self.crypto.client(&self.installation.keys.token("backend", scopes)?)
    }

    fn keys(&self, scopes: &[&str]) -> Result<KeysClient<Client>> {
        Ok(KeysClient::new(self.with(scopes)?))
    }

    /// Does one of the calls; what it gets need not be good to be refused for its scope first.
    async fn call(&self, call: &str, scope: &str) -> Result<Result<(), Status>> {
        let mut agreement = AgreementClient::new(self.with(&[scope])?);
        let (x, k) = ("app-x".to_owned(), "app-k".to_owned());
        Ok(match call {
            "agree" => {
                let peer_public_key = peer()?.into();
                let request = pb::AgreeRequest { key: x, peer_public_key, ..Default::default() };
                agreement.agree(request).await.map(drop)
            }
            "seal" => {
                let request =
                    pb::SealHpkeRequest { recipient: Some(Recipient::Key(x)), ..Default::default() };
                agreement.seal_hpke(request).await.map(drop)
            }
            "open" => {
                let request = pb::OpenHpkeRequest { key: x, ..Default::default() };
                agreement.open_hpke(request).await.map(drop)
            }
            "encapsulate" => {
                let request = pb::EncapsulateRequest { recipient: Some(For::Key(k)), key_version: 0 };
                agreement.encapsulate(request).await.map(drop)
            }
            _ => {
                let ciphertext = vec![1; 1088].into();
                let request = pb::DecapsulateRequest { key: k, ciphertext, ..Default::default() };
                agreement.decapsulate(request).await.map(drop)
            }
        })
    }
}

fn peer() -> Result<Vec<u8>> {
    Ok(PrivateKey::generate(Curve::X25519)?.public().raw().to_vec())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[track_caller]
fn assert_refused<T>(answer: Result<tonic::Response<T>, Status>, expected: &str) {
    let Err(status) = answer else { panic!("it was not refused") };
    assert_eq!(reason(&status), expected, "{status}");
}

#[tokio::test]
async fn each_call_asks_for_its_scope_on_this_key() -> TestResult {
    let world = World::start().await?;
    for (call, word) in CALLS {
        let words = ["agree", "encrypt", "decrypt", "sign", "read", "manage"];
        for other in words.into_iter().filter(|other| *other != word) {
            let refused = world.call(call, &format!("keys:{other}:*")).await?.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{call} with {other}: {refused}");
        }
        let refused = world.call(call, &format!("keys:{word}:other-*")).await?.unwrap_err();
        assert_eq!(reason(&refused), "PERMISSION_DENIED", "{call} on another key");
        for allowed in [format!("keys:{word}:app-*"), "keys:use:app-*".to_owned(), "admin".to_owned()] {
            match world.call(call, &allowed).await? {
                Ok(()) => assert_ne!(call, "open"),
                Err(status) => assert_eq!((call, reason(&status).as_str()), ("open", "DECRYPTION_FAILED")),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_token_encrypts_for_a_public_key_and_nobody_without_one() -> TestResult {
    let world = World::start().await?;
    let mut agreement = AgreementClient::new(world.with(&["chat:publish:room/lobby"])?);
    let seal = |public_key: Vec<u8>| pb::SealHpkeRequest {
        recipient: Some(Recipient::PublicKey(public_key.into())),
        plaintext: "message".into(),
        ..Default::default()
    };
    let sealed = agreement.seal_hpke(seal(peer()?)).await?.into_inner();
    assert_eq!((sealed.encapsulated_key.len(), sealed.ciphertext.len(), sealed.key_version), (32, 23, 0));
    assert_refused(agreement.seal_hpke(seal(vec![1; 7])).await, "BAD_REQUEST");
    assert_refused(agreement.seal_hpke(seal(Vec::new())).await, "BAD_REQUEST");
    assert_refused(agreement.seal_hpke(pb::SealHpkeRequest::default()).await, "BAD_REQUEST");
    assert_refused(agreement.encapsulate(pb::EncapsulateRequest::default()).await, "BAD_REQUEST");
    let mut stranger = AgreementClient::new(world.crypto.stranger()?);
    assert_refused(stranger.seal_hpke(seal(peer()?)).await, "TOKEN_MISSING");
    assert_refused(stranger.encapsulate(pb::EncapsulateRequest::default()).await, "TOKEN_MISSING");
    assert_refused(stranger.agree(pb::AgreeRequest::default()).await, "TOKEN_MISSING");
    let mut keys = KeysClient::new(world.crypto.stranger()?);
    assert_refused(keys.get_wrapping_key(pb::GetWrappingKeyRequest {}).await, "TOKEN_MISSING");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() -> TestResult {
    let world = World::start().await?;
    let mut agreement = AgreementClient::new(world.with(&["admin"])?);
    let agree = |key: &str, peer: Vec<u8>| pb::AgreeRequest {
        key: key.to_owned(),
        peer_public_key: peer.into(),
        ..Default::default()
    };
    assert_refused(agreement.agree(agree("none", peer()?)).await, "NOT_FOUND");
    assert_refused(agreement.agree(agree("app-k", peer()?)).await, "KEY_TYPE");
    assert_refused(agreement.agree(agree("app-x", vec![0; 32])).await, "BAD_REQUEST");
    let later = pb::AgreeRequest { key_version: 2, ..agree("app-x", peer()?) };
    assert_refused(agreement.agree(later).await, "KEY_VERSION");
    let long = pb::AgreeRequest { info: vec![0; 1025].into(), ..agree("app-x", peer()?) };
    assert_refused(agreement.agree(long).await, "BAD_REQUEST");
    let large = pb::SealHpkeRequest {
        recipient: Some(Recipient::Key("app-x".into())),
        plaintext: vec![0; 3 << 20].into(),
        ..Default::default()
    };
    assert_refused(agreement.seal_hpke(large).await, "TOO_LARGE");
    world.keys(&["admin"])?.soft_delete_key(pb::SoftDeleteKeyRequest { name: "app-x".into() }).await?;
    assert_refused(agreement.agree(agree("app-x", peer()?)).await, "KEY_DISABLED");
    Ok(())
}

#[tokio::test]
async fn imports_requests_and_certificates_are_recorded_done_or_refused() -> TestResult {
    let world = World::start().await?;
    let mut keys = world.keys(&["admin"])?;
    let csr = pb::CreateCertificateRequestRequest {
        name: "app-e".into(),
        subject: "CN=example.com".into(),
        ..Default::default()
    };
    let made = keys.create_certificate_request(csr.clone()).await?.into_inner();
    assert!(made.csr_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----") && made.version == 1);
    assert_refused(
        world.keys(&["keys:csr:other-*"])?.create_certificate_request(csr).await,
        "PERMISSION_DENIED",
    );
    let chain = |pem: &str| pb::SetCertificateRequest {
        name: "app-e".into(),
        version: 0,
        certificate_chain_pem: pem.to_owned(),
    };
    keys.set_certificate(chain("")).await?;
    assert_refused(keys.set_certificate(chain("nonsense")).await, "BAD_REQUEST");
    let import = pb::ImportKeyRequest {
        name: "brought".into(),
        wrapped_material: vec![1; 600].into(),
        ..Default::default()
    };
    assert_refused(keys.import_key(import).await, "BAD_REQUEST");
    let request = pb::ListAuditRequest { page_size: 100, ..Default::default() };
    let audit = AdminClient::new(world.with(&["admin"])?).list_audit(request).await?.into_inner();
    let told: BTreeSet<_> =
        audit.records.iter().map(|record| (record.operation.as_str(), record.outcome.as_str())).collect();
    for expected in [
        ("key.csr", "ok"),
        ("key.csr", "PERMISSION_DENIED"),
        ("key.certificate", "ok"),
        ("key.certificate", "BAD_REQUEST"),
        ("key.import", "BAD_REQUEST"),
        ("wrapping_key.make", "ok"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
    }
    let csr = audit.records.iter().find(|record| record.operation == "key.csr" && record.outcome == "ok");
    assert_eq!(csr.context("it is there")?.detail, "version 1, CN=example.com");
    Ok(())
}
