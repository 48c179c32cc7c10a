//! Where the seal key comes from: a file, or a passphrase and the salt that the store keeps.

use super::{LENGTH, RootKeyError};
use crate::{
    audit::Entry,
    config,
    error::Error,
    store::{Store, Table},
};
use patchbay_backplane::Expect;
use patchbay_crypto::Secret;
use std::{fs, io::Read, path::Path};

/// Bytes of a key or passphrase file at most.
const MAX_FILE: u64 = 4096;

/// Characters of a passphrase at least.
const PASSPHRASE_MIN: usize = 12;

/// Row with the salt of a passphrase.
const SALT_ROW: &str = "salt";

/// Reads or makes the seal key; `None` where people bring it in shares.
pub(crate) async fn read_seal_key(
    config: &config::RootKey,
    store: &Store,
) -> Result<Option<Secret>, RootKeyError> {
    match (&config.file, &config.passphrase_file) {
        _ if config.shares => Ok(None),
        (Some(file), _) => read_key(file).map(Some),
        (None, Some(file)) => {
            let passphrase = read_passphrase(file)?;
            let salt = salt(store).await?;
            Ok(Some(derive(&passphrase, &salt)?))
        }
        (None, None) => Err(RootKeyError::NotConfigured),
    }
}

fn read(path: &Path) -> Result<Secret, RootKeyError> {
    let failed = |source| RootKeyError::Read { path: path.display().to_string(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::with_capacity(LENGTH * 4);
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Secret::new(bytes))
}

fn read_key(path: &Path) -> Result<Secret, RootKeyError> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let content = read(path)?;
    if content.expose().len() == LENGTH {
        return Ok(content);
    }
    let text = content.expose().trim_ascii();
    let decoded = match text.len() {
        64 => hex::decode(text).ok(),
        _ => STANDARD.decode(text).ok(),
    };
    let decoded = decoded.filter(|bytes| bytes.len() == LENGTH);
    decoded.map(Secret::new).ok_or_else(|| RootKeyError::NotAKey(path.display().to_string()))
}

fn read_passphrase(path: &Path) -> Result<Secret, RootKeyError> {
    let content = read(path)?;
    let text = content.expose().trim_ascii();
    if text.len() < PASSPHRASE_MIN {
        return Err(RootKeyError::ShortPassphrase { path: path.display().to_string(), min: PASSPHRASE_MIN });
    }
    Ok(Secret::new(text.to_vec()))
}

/// The passphrase's salt; made and stored by whoever starts first.
async fn salt(store: &Store) -> Result<Vec<u8>, RootKeyError> {
    if let Some(row) = store.read_one(Table::Root, SALT_ROW).await? {
        return Ok(row.value.to_vec());
    }
    let salt = Secret::random(16).map_err(Error::internal)?;
    let change = Table::Root.change(SALT_ROW, Expect::Absent, Some(salt.expose().to_vec().into()));
    match store.commit(vec![change], Entry::by_service("root.salt", "")).await {
        Ok(_) => Ok(salt.expose().to_vec()),
        Err(Error::Conflict(_)) => Box::pin(self::salt(store)).await,
        Err(error) => Err(error.into()),
    }
}

/// Argon2id (RFC 9106, section 4, second recommendation: 64 MiB, 3 passes, 4 lanes).
fn derive(passphrase: &Secret, salt: &[u8]) -> Result<Secret, Error> {
    patchbay_crypto::password::argon2id_key(passphrase.expose(), salt, 64 * 1024, 3, 4, LENGTH)
        .map_err(Error::internal)
}
