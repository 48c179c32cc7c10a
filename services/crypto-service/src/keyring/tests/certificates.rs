//! Requests, chains, and the key with which imports are wrapped.

use super::*;
use crate::{
    keyring::{Existing, Import, Material, Restore},
    x509::{Chain, Wish},
};
use patchbay_crypto::{
    ed25519, pem,
    rsa::{OaepDigest, PublicKey},
    wrap,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, PublicKeyData, SignatureAlgorithm};

/// An authority for tests.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A public key of Ed25519 as rcgen takes it.
struct Raw(Vec<u8>);

impl PublicKeyData for Raw {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of tests");
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A chain for the public half of a version of an Ed25519 key.
    async fn chain(&self, replica: &Replica, name: &str, version: u32) -> Chain {
        Chain::parse(&self.pem(replica, name, version).await).unwrap()
    }

    async fn pem(&self, replica: &Replica, name: &str, version: u32) -> String {
        let key = replica.keyring.get(name).await.unwrap();
        let Material::Ed25519(key) = &key.versions[&version].material else { panic!("it is not Ed25519") };
        let bits = key.public().to_spki_der().split_off(12);
        let params = CertificateParams::new(["example.com".to_owned()]).unwrap();
        let leaf = params.signed_by(&Raw(bits), &self.0).unwrap();
        leaf.pem() + &self.0.pem()
    }
}

async fn set(replica: &Replica, name: &str, version: u32, chain: Option<Chain>) -> Result<Header, Error> {
    replica.keyring.set_certificate(&named(name), version, chain, entry("key.certificate", name)).await
}

async fn told(replica: &Replica, name: &str) -> Vec<bool> {
    let (_, versions) = replica.keyring.describe(&named(name)).await.unwrap();
    versions.iter().map(|version| version.certificate_chain.is_some()).collect()
}

#[tokio::test]
async fn a_chain_belongs_to_the_version_whose_key_it_is_for() {
    let world = World::new();
    let (one, two) = (world.deaf("one"), world.deaf("two"));
    let authority = Authority::new();
    one.create("k", KeyType::Ed25519).await;
    one.rotate("k").await.unwrap();
    let first = authority.chain(&one, "k", 1).await;
    assert!(matches!(set(&one, "k", 0, Some(first.clone())).await, Err(Error::CertificateMismatch)));
    assert!(matches!(set(&one, "k", 3, Some(first.clone())).await, Err(Error::KeyVersion(3))));
    set(&one, "k", 1, Some(first)).await.unwrap();
    assert_eq!(told(&two, "k").await, [true, false], "seen by the other replica");
    set(&two, "k", 0, Some(authority.chain(&two, "k", 2).await)).await.unwrap();
    assert_eq!(told(&one, "k").await, [true, true]);
    set(&one, "k", 1, None).await.unwrap();
    assert_eq!(told(&two, "k").await, [false, true]);
    let operations: Vec<_> =
        one.recorded().await.into_iter().filter(|(op, _, _)| op == "key.certificate").collect();
    assert_eq!(operations.len(), 3);
    one.create("s", KeyType::Xaes256Gcm).await;
    assert_eq!(set(&one, "s", 0, None).await.unwrap_err().reason(), "KEY_TYPE");
    one.keyring.soft_delete(&named("k"), entry("key.soft_delete", "k")).await.unwrap();
    assert!(matches!(set(&one, "k", 1, None).await, Err(Error::KeyDisabled(_))));
}

#[tokio::test]
async fn chains_go_with_their_versions_and_come_back_with_a_backup() {
    let (_world, replica) = World::alone().await;
    let authority = Authority::new();
    let open = Creation { plaintext_backup_allowed: true, ..plain(KeyType::Ed25519) };
    replica.keyring.create(&named("k"), open, entry("key.create", "k")).await.unwrap();
    replica.rotate("k").await.unwrap();
    for version in [1, 2] {
        set(&replica, "k", version, Some(authority.chain(&replica, "k", version).await)).await.unwrap();
    }
    let backup =
        replica.keyring.backup(&named("k"), Secret::default(), entry("key.backup", "k")).await.unwrap();
    let restore =
        |backup: Secret| Restore { backup, password: Secret::default(), existing: Existing::Replace };
    replica
        .keyring
        .restore(&named("copy"), restore(backup.clone()), entry("key.restore", "copy"))
        .await
        .unwrap();
    assert_eq!(told(&replica, "copy").await, [true, true]);
    // A chain in a backup that somebody has edited must be the version's own, too.
    let json = String::from_utf8(base64_of(&backup)).unwrap();
    let mut edited: serde_json::Value = serde_json::from_str(&json).unwrap();
    edited["versions"][0]["certificate"] = edited["versions"][1]["certificate"].clone();
    let edited = Secret::new(to_base64(edited.to_string().as_bytes()));
    let refused =
        replica.keyring.restore(&named("edited"), restore(edited), entry("key.restore", "edited")).await;
    assert!(matches!(refused, Err(Error::BackupUnreadable)));
    let config = crate::keyring::Configuration { min_decryption: Some(2), ..Default::default() };
    replica.keyring.configure(&named("k"), config, entry("key.config", "k")).await.unwrap();
    replica.keyring.trim(&named("k"), 2, entry("key.trim", "k")).await.unwrap();
    assert_eq!(replica.rows(Table::Keys, "certificate/k/").await.len(), 1);
    let config = crate::keyring::Configuration { deletion_allowed: Some(true), ..Default::default() };
    replica.keyring.configure(&named("k"), config, entry("key.config", "k")).await.unwrap();
    replica.keyring.delete(&named("k"), entry("key.delete", "k")).await.unwrap();
    assert!(replica.rows(Table::Keys, "certificate/k/").await.is_empty());
}

fn base64_of(secret: &Secret) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(secret.expose()).unwrap()
}

fn to_base64(bytes: &[u8]) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes).into_bytes()
}

#[tokio::test]
async fn chains_that_cannot_be_are_refused() {
    let (_world, replica) = World::alone().await;
    let (authority, other) = (Authority::new(), Authority::new());
    replica.create("k", KeyType::Ed25519).await;
    let good = authority.pem(&replica, "k", 1).await;
    assert_eq!(Chain::parse(&good).unwrap().into_pem(), good);
    assert!(
        Chain::parse(&format!("Subject: x\n{good}\n")).unwrap().into_pem()
            == Chain::parse(&good).unwrap().into_pem()
    );
    let leaf = good.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    assert!(Chain::parse(leaf).is_ok(), "what is missing may be known to those who look");
    let odd = [
        "nonsense".to_owned(),
        KeyPair::generate().unwrap().serialize_pem(),
        format!("{leaf}{}", KeyPair::generate().unwrap().serialize_pem()),
        format!("{}{leaf}", authority.0.pem()),
        leaf.repeat(11),
        good[..good.len() - 60].to_owned(),
        "x".repeat(70_000),
        leaf.replace("MII", "MIJ"),
    ];
    for text in odd {
        assert!(matches!(Chain::parse(&text), Err(Error::BadRequest { .. })), "{text}");
    }
    // Both authorities have the same name: only the signature tells them apart.
    let refused = Chain::parse(&format!("{leaf}{}", other.0.pem())).unwrap_err();
    assert!(refused.to_string().contains("certificate 1 was not signed by the one after it"), "{refused}");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of tests");
    let elliptic = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let refused = Chain::parse(&format!("{leaf}{}", elliptic.pem())).unwrap_err();
    assert!(refused.to_string().contains("certificate 1 was not signed by the one after it"), "{refused}");
    // Headers of PEM are no part of a certificate.
    let (begin, rest) = good.split_once('\n').unwrap();
    let headed = format!("{begin}\nComment: mine\n\n{rest}");
    assert_eq!(Chain::parse(&headed).unwrap().into_pem(), good);
}

#[tokio::test]
async fn a_name_of_any_length_makes_no_long_record() {
    let (_world, replica) = World::alone().await;
    replica.create("k", KeyType::Ed25519).await;
    let long = "x".repeat(20_000);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, long.as_str());
    let key = KeyPair::generate().unwrap();
    let template = params.serialize_request(&key).unwrap().der().to_vec().into();
    let wish = Wish { template, ..Wish::default() };
    replica.keyring.certificate_request(&named("k"), 0, wish, entry("key.csr", "k")).await.unwrap();
    let ours = replica.keyring.get("k").await.unwrap().versions[&1].public.clone().unwrap();
    let leaf = params.signed_by(&Raw(ours[12..].to_vec()), &Authority::new().0).unwrap();
    set(&replica, "k", 1, Some(Chain::parse(&leaf.pem()).unwrap())).await.unwrap();
    let longest = replica.rows(Table::Audit, "at/").await.into_iter().map(|(_, value)| value.len()).max();
    assert!(longest.unwrap() < 2000, "{longest:?}");
}

#[tokio::test]
async fn a_request_is_signed_by_the_version_that_was_asked_for_and_recorded() {
    let (_world, replica) = World::alone().await;
    for (name, key_type) in [("e", KeyType::Ed25519), ("p", KeyType::EcdsaP384), ("r", KeyType::Rsa2048)] {
        replica.create(name, key_type).await;
        replica.rotate(name).await.unwrap();
        let request = async |version| {
            let wish = Wish { subject: "CN=example.com".to_owned(), ..Wish::default() };
            replica.keyring.certificate_request(&named(name), version, wish, entry("key.csr", name)).await
        };
        let (newest, number) = request(0).await.unwrap();
        assert_eq!(number, 2);
        let (older, number) = request(1).await.unwrap();
        assert_eq!((number, older == newest), (1, false));
        assert!(newest.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
        assert!(matches!(request(3).await, Err(Error::KeyVersion(3))));
    }
    replica.create("x", KeyType::X25519).await;
    let wish = Wish { subject: "CN=x".to_owned(), ..Wish::default() };
    let refused = replica.keyring.certificate_request(&named("x"), 0, wish, entry("key.csr", "x")).await;
    assert_eq!(refused.unwrap_err().reason(), "KEY_TYPE");
    let recorded = replica.recorded().await.into_iter().filter(|(operation, _, _)| operation == "key.csr");
    assert_eq!(recorded.count(), 6);
}

#[tokio::test]
async fn all_replicas_unwrap_with_one_key() {
    let world = World::new();
    let (one, two) = (world.deaf("one"), world.deaf("two"));
    let (first, second) = tokio::join!(one.keyring.wrapping_key(), two.keyring.wrapping_key());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second, "whichever was quicker");
    assert_eq!(world.deaf("three").keyring.wrapping_key().await.unwrap(), first);
    let made = one.recorded().await.into_iter().filter(|(operation, _, _)| operation == "wrapping_key.make");
    assert_eq!(made.count(), 1);
    let (_, spki) = pem::public_key_from(first.as_bytes()).unwrap();
    let public = PublicKey::from_spki(&spki).unwrap();
    assert_eq!(public.bits(), 4096);
    let ephemeral = Secret::random(32).unwrap();
    let seed = ed25519::PrivateKey::generate().unwrap();
    let pkcs8 = seed.to_pkcs8().unwrap();
    let mut wrapped = public.encrypt_oaep(ephemeral.expose()).unwrap();
    wrapped.extend(wrap::wrap(ephemeral.expose(), pkcs8.expose()).unwrap());
    let unwrap = async |bytes: Vec<u8>, digest| two.keyring.unwrap_import(Secret::new(bytes), digest).await;
    let material = unwrap(wrapped.clone(), OaepDigest::Sha256).await.unwrap();
    assert!(material == pkcs8);
    let (key_type, password) = (KeyType::Ed25519, Secret::default());
    let import = Import { key_type, material, password, exportable: false };
    two.keyring.import(&named("k"), import, entry("key.import", "k")).await.unwrap();
    let key = two.keyring.get("k").await.unwrap();
    assert_eq!(key.versions[&1].public.clone().unwrap(), seed.public().to_spki_der());
    // Whatever is wrong, it is the same that is said.
    let mut odd = vec![(wrapped.clone(), OaepDigest::Sha1), (Vec::new(), OaepDigest::Sha256)];
    for at in [0, 511, 512, wrapped.len() - 1] {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        odd.push((changed, OaepDigest::Sha256));
    }
    let short = public.encrypt_oaep(&ephemeral.expose()[..16]).unwrap();
    odd.push(([&short, &wrapped[512..]].concat(), OaepDigest::Sha256));
    let mut said = std::collections::BTreeSet::new();
    for (bytes, digest) in odd {
        let error = unwrap(bytes, digest).await.unwrap_err();
        assert_eq!(error.reason(), "BAD_REQUEST");
        said.insert(error.to_string());
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(unwrap(vec![0; 100_000], OaepDigest::Sha256).await.unwrap_err().reason(), "TOO_LARGE");
}
