//! A backup of a key, restored on an empty node that has another root key.

use crate::{settings, worker::Clients};
use anyhow::{Context, Result};
use integration_tests::{admin::reason, crypto::Installation, verdict::TestResult};
use patchbay_proto::crypto::v1::{
    BackupKeyRequest, CreateKeyRequest, DecryptRequest, EncryptRequest, KeyType, RestoreKeyRequest,
    RotateKeyRequest,
};
use std::path::Path;
use tonic::codegen::Bytes;

const NAME: &str = "copied";
const PASSWORD: &str = "correct horse battery staple";

fn installation(folder: &Path) -> Result<Installation> {
    Installation::create(folder, settings().set("backplane.file", &folder.join("store.redb").display()))
}

async fn encrypt(clients: &Clients, plaintext: &'static [u8]) -> Result<Bytes> {
    let request = EncryptRequest { key: NAME.into(), plaintext: plaintext.into(), ..Default::default() };
    Ok(clients.data.clone().encrypt(request).await?.into_inner().ciphertext)
}

async fn decrypt(clients: &Clients, ciphertext: &Bytes) -> Result<Bytes> {
    let request = DecryptRequest { key: NAME.into(), ciphertext: ciphertext.clone(), ..Default::default() };
    Ok(clients.data.clone().decrypt(request).await?.into_inner().plaintext)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_opens_old_ciphertext_on_an_empty_node_with_another_root_key() -> TestResult {
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (here, there) = (installation(here.path())?, (installation(there.path())?, there));
    let old = here.start("old").await?;
    let clients = Clients::connect(&old, &here.admin()?)?;
    let request =
        CreateKeyRequest { name: NAME.into(), r#type: KeyType::Aes256Gcm96.into(), ..Default::default() };
    clients.keys.clone().create_key(request).await?;
    let first = encrypt(&clients, b"of version 1").await?;
    clients.keys.clone().rotate_key(RotateKeyRequest { name: NAME.into() }).await?;
    let second = encrypt(&clients, b"of version 2").await?;
    let request = BackupKeyRequest { name: NAME.into(), password: PASSWORD.into() };
    let backup = clients.keys.clone().backup_key(request).await?.into_inner().backup;
    drop(old);

    let (installation, _folder) = there;
    let mut new = installation.start("new").await?;
    let clients = Clients::connect(&new, &installation.admin()?)?;
    let restore = |password: &str| RestoreKeyRequest {
        name: NAME.into(),
        backup: backup.clone(),
        password: password.into(),
        force: false,
    };
    let refused = clients.keys.clone().restore_key(restore("not the password")).await.err();
    let refused = refused.context("a wrong password was taken")?;
    assert_eq!(reason(&refused), "BACKUP_UNREADABLE");
    clients.keys.clone().restore_key(restore(PASSWORD)).await?;
    new.process.kill()?;
    new.restart().await?;
    let clients = Clients::connect(&new, &installation.admin()?)?;
    assert_eq!(decrypt(&clients, &first).await?, "of version 1");
    assert_eq!(decrypt(&clients, &second).await?, "of version 2");
    let next = encrypt(&clients, b"and on").await?;
    assert_eq!(decrypt(&clients, &next).await?, "and on");
    Ok(())
}
