//! What crypto-service refuses to start with, and that it says what to do.

use anyhow::{Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{self as pb, data_client::DataClient, keys_client::KeysClient};
use patchbay_testkit::redis::{Persistence, RedisServer};
use std::{fs, path::Path};
use tempfile::TempDir;

/// Settings of a replica that keeps its rows in a file.
fn on_file(folder: &Path) -> Settings {
    Settings::default().set("backplane.file", &folder.join("store.redb").display())
}

/// Encrypts with a key that is made for it.
async fn encrypt(installation: &Installation, crypto: &Crypto) -> Result<Bytes> {
    let client = crypto.client(&installation.admin()?)?;
    let create = pb::CreateKeyRequest { name: "kept".into(), ..Default::default() };
    KeysClient::new(client.clone()).create_key(create).await?;
    let request = pb::EncryptRequest { key: "kept".into(), plaintext: "hello".into(), ..Default::default() };
    Ok(DataClient::new(client).encrypt(request).await?.into_inner().ciphertext)
}

async fn decrypt(installation: &Installation, crypto: &Crypto, ciphertext: Bytes) -> Result<Bytes> {
    let request = pb::DecryptRequest { key: "kept".into(), ciphertext, ..Default::default() };
    let mut data = DataClient::new(crypto.client(&installation.admin()?)?);
    Ok(data.decrypt(request).await?.into_inner().plaintext)
}

/// Starts a replica that must not start, and returns what it said.
async fn refused(installation: &Installation, name: &str) -> Result<String> {
    match installation.start(name).await {
        Ok(_) => bail!("it started"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test]
async fn a_root_key_may_be_raw_hexadecimal_or_base64() -> TestResult {
    let folder = TempDir::new()?;
    let installation = Installation::create(folder.path(), on_file(folder.path()))?;
    let file = folder.path().join("root.key");
    let raw = fs::read(&file)?;
    let hexadecimal: String = raw.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let crypto = installation.start("raw").await?;
    let ciphertext = encrypt(&installation, &crypto).await?;
    drop(crypto);
    for (name, form) in [("hex", hexadecimal + "\n"), ("base64", STANDARD.encode(&raw) + "\n")] {
        fs::write(&file, form)?;
        let crypto = installation.start(name).await?;
        assert_eq!(decrypt(&installation, &crypto, ciphertext.clone()).await?, "hello", "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn another_root_key_is_refused_before_anything_is_written() -> TestResult {
    let folder = TempDir::new()?;
    let installation = Installation::create(folder.path(), on_file(folder.path()))?;
    let file = folder.path().join("root.key");
    let right = fs::read(&file)?;
    let crypto = installation.start("first").await?;
    let ciphertext = encrypt(&installation, &crypto).await?;
    drop(crypto);
    fs::write(&file, [7; 32])?;
    let said = refused(&installation, "wrong").await?;
    assert!(said.contains("not the root key that the store was written with"), "{said}");
    fs::write(&file, "too short")?;
    let said = refused(&installation, "short").await?;
    assert!(said.contains("32 bytes"), "{said}");
    fs::remove_file(&file)?;
    let said = refused(&installation, "gone").await?;
    assert!(said.contains("root.key"), "{said}");
    fs::write(&file, right)?;
    let crypto = installation.start("again").await?;
    assert_eq!(decrypt(&installation, &crypto, ciphertext).await?, "hello");
    Ok(())
}

#[tokio::test]
async fn a_passphrase_opens_what_it_closed() -> TestResult {
    let folder = TempDir::new()?;
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n")?;
    let settings = on_file(folder.path()).set("root_key.passphrase_file", &passphrase.display());
    let installation = Installation::without_root_key(folder.path(), settings)?;
    let crypto = installation.start("first").await?;
    let ciphertext = encrypt(&installation, &crypto).await?;
    drop(crypto);
    let crypto = installation.start("second").await?;
    assert_eq!(decrypt(&installation, &crypto, ciphertext).await?, "hello");
    drop(crypto);
    fs::write(&passphrase, "another horse battery staple")?;
    let said = refused(&installation, "wrong").await?;
    assert!(said.contains("not the root key that the store was written with"), "{said}");
    fs::write(&passphrase, "short")?;
    let said = refused(&installation, "short").await?;
    assert!(said.contains("less than 12 characters"), "{said}");
    Ok(())
}

#[tokio::test]
async fn nothing_configured_is_said_with_what_to_do() -> TestResult {
    let folder = TempDir::new()?;
    let installation = Installation::without_root_key(folder.path(), on_file(folder.path()))?;
    let said = refused(&installation, "bare").await?;
    assert!(said.contains("root_key.file") && said.contains("init-secrets"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_redis_that_may_lose_what_it_acknowledged_is_refused() -> TestResult {
    for persistence in [Persistence::None, Persistence::EverySecond] {
        let redis = RedisServer::start(persistence).await?;
        let folder = TempDir::new()?;
        let settings = Settings::default().set("backplane.url", &redis.url());
        let installation = Installation::create(folder.path(), settings)?;
        let said = refused(&installation, "crypto").await?;
        assert!(said.contains("appendfsync always"), "{said}");
    }
    Ok(())
}
