//! A backup of a key, restored on an empty node that has another root key.

use crate::{settings, worker::Clients};
use anyhow::{Context, Result};
use futures_util::stream;
use integration_tests::{admin::reason, crypto::Installation, verdict::TestResult};
use patchbay_proto::crypto::v1::{
    BackupKeyRequest, BackupRequest, CreateAccountRequest, CreateKeyRequest, DecryptRequest, EncryptRequest,
    GetAccountRequest, KeyType, RestoreKeyRequest, RestoreRequest, RotateKeyRequest,
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

/// A copy of everything: accounts and keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_store_fills_an_empty_node_with_another_root_key() -> TestResult {
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (from, to) = (installation(here.path())?, installation(there.path())?);
    let old = from.start("old").await?;
    let clients = Clients::connect(&old, &from.admin()?)?;
    let request = CreateKeyRequest { name: NAME.into(), ..Default::default() };
    clients.keys.clone().create_key(request).await?;
    let first = encrypt(&clients, b"of version 1").await?;
    clients.keys.clone().rotate_key(RotateKeyRequest { name: NAME.into() }).await?;
    let account =
        CreateAccountRequest { name: "ann".into(), display_name: "Ann".into(), ..Default::default() };
    clients.accounts.clone().create_account(account).await?;
    let password = || PASSWORD.to_owned();
    let mut pieces = clients.admin.clone().backup(BackupRequest { password: password() }).await?.into_inner();
    let mut copy = Vec::new();
    while let Some(piece) = pieces.message().await? {
        copy.push(RestoreRequest { password: password(), chunk: piece.chunk });
    }
    drop(old);

    let mut new = to.start("new").await?;
    let clients = Clients::connect(&new, &to.admin()?)?;
    let restored = clients.admin.clone().restore(stream::iter(copy.clone())).await?.into_inner();
    assert_eq!((restored.keys, restored.accounts), (1, 1));
    let again = clients.admin.clone().restore(stream::iter(copy)).await.err();
    assert_eq!(again.map(|status| reason(&status)).as_deref(), Some("STORE_NOT_EMPTY"));
    new.process.kill()?;
    new.restart().await?;
    let clients = Clients::connect(&new, &to.admin()?)?;
    assert_eq!(decrypt(&clients, &first).await?, "of version 1");
    let asked = clients.accounts.clone().get_account(GetAccountRequest { name: "ann".into() }).await?;
    let ann = asked.into_inner().account.context("the account is told")?;
    assert_eq!(ann.display_name, "Ann");
    Ok(())
}
