//! The key that wraps all others: read from a file or made from a passphrase, kept in memory alone, and checked
//! against the store at start, so that a wrong one is told before anything is written with it.

use crate::{
    audit::Entry,
    config,
    error::Error,
    store::{Store, Table},
};
use aws_lc_rs::hmac;
use patchbay_backplane::{Change, Expect};
use patchbay_crypto::{Secret, aead};
use std::{fs, io::Read, path::Path};
use zeroize::Zeroizing;

/// Bytes of the key.
pub const LENGTH: usize = 32;

/// Bytes of a key or passphrase file at most.
const MAX_FILE: u64 = 4096;

/// Characters of a passphrase at least.
const PASSPHRASE_MIN: usize = 12;

/// What is sealed in the row that tells whether a root key is the right one.
const CHECK: &[u8] = b"patchbay root key";

/// Row with the salt of a passphrase, and row with the check.
const SALT_ROW: &str = "salt";
const CHECK_ROW: &str = "check";

/// Row with the pepper of an installation whose backup was restored here.
const PEPPER_ROW: &str = "pepper";

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// Nothing is configured.
    #[error("root_key.file or root_key.passphrase_file must be set (`patchbay init-secrets` makes a file)")]
    NotConfigured,
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no key.
    #[error("{0} has not 32 bytes, raw, in Base64 or in hexadecimal")]
    NotAKey(String),
    /// The passphrase is too short.
    #[error("the passphrase in {0} has less than {PASSPHRASE_MIN} characters")]
    ShortPassphrase(String),
    /// The store was written with another root key.
    #[error("this is not the root key that the store was written with; put the right one back")]
    Wrong,
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] Error),
}

/// A secret made from the root key. It stays where it is when it is handed on, and is overwritten in the end.
pub type Derived = Box<Zeroizing<[u8; LENGTH]>>;

/// The root key.
pub struct RootKey {
    wrapping: aead::Key,
    secret: Secret,
    id: String,
    pepper: Derived,
}

impl RootKey {
    /// Reads or makes the key, and checks it against the store; an empty store believes it.
    pub async fn open(config: &config::RootKey, store: &Store) -> Result<Self, RootKeyError> {
        let secret = match (&config.file, &config.passphrase_file) {
            (Some(file), _) => read_key(file)?,
            (None, Some(file)) => {
                let passphrase = read_passphrase(file)?;
                let salt = salt(store).await?;
                derive(&passphrase, &salt)?
            }
            (None, None) => return Err(RootKeyError::NotConfigured),
        };
        let mut key = Self::new(secret)?;
        key.check(store).await?;
        key.read_pepper(store).await?;
        Ok(key)
    }

    /// Takes 32 bytes.
    pub fn new(secret: Secret) -> Result<Self, Error> {
        let wrapping =
            aead::Key::new(aead::Algorithm::Xaes256Gcm, &**mac(&secret, "wrap")).map_err(Error::internal)?;
        let id = hex::encode(mac(&secret, "id").get(..8).unwrap_or_default());
        let pepper = mac(&secret, "pepper");
        Ok(Self { wrapping, secret, id, pepper })
    }

    /// Tells root keys apart without telling anything of them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself, for an encrypted copy of everything.
    pub(crate) fn expose(&self) -> &Secret {
        &self.secret
    }

    /// Wraps a secret for the place that `context` names; it can be unwrapped for that place only.
    pub fn wrap(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut wrapped = Vec::new();
        self.wrapping
            .seal_into(context.as_bytes(), secret.expose(), &mut wrapped)
            .map_err(Error::internal)?;
        Ok(wrapped)
    }

    /// Unwraps what was wrapped for the same place.
    pub fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<Secret, Error> {
        self.wrapping.open(context.as_bytes(), wrapped).map_err(|_| {
            Error::internal(format!("the row {context} was not wrapped by this root key, or was changed"))
        })
    }

    /// A secret of 32 bytes made from this one, different for each label (HMAC-SHA256).
    pub fn derive(&self, label: &str) -> Derived {
        mac(&self.secret, label)
    }

    /// What goes into the hashes of passwords, beside the password: made from this key, unless accounts came from a backup.
    pub fn pepper(&self) -> &[u8; LENGTH] {
        &self.pepper
    }

    /// A change that keeps another installation's pepper, for the next start.
    pub(crate) fn put_pepper(&self, pepper: &Secret) -> Result<Change, Error> {
        let wrapped = self.wrap(PEPPER_ROW, pepper)?;
        Ok(Table::Root.change(PEPPER_ROW, Expect::Anything, Some(wrapped.into())))
    }

    async fn read_pepper(&mut self, store: &Store) -> Result<(), Error> {
        let Some(row) = store.read_one(Table::Root, PEPPER_ROW).await? else { return Ok(()) };
        let pepper = self.unwrap(PEPPER_ROW, &row.value)?;
        let pepper: &[u8; LENGTH] = pepper.expose().try_into().map_err(Error::internal)?;
        self.pepper.copy_from_slice(pepper);
        Ok(())
    }

    /// Two replicas may start at once on an empty store: whose row stands there first decides.
    async fn check(&self, store: &Store) -> Result<(), RootKeyError> {
        if let Some(row) = store.read_one(Table::Root, CHECK_ROW).await? {
            let opened = self.wrapping.open(CHECK_ROW.as_bytes(), &row.value);
            return opened.map(drop).map_err(|_| RootKeyError::Wrong);
        }
        let sealed = self.wrap(CHECK_ROW, &Secret::new(CHECK.to_vec()))?;
        let change = Table::Root.change(CHECK_ROW, Expect::Absent, Some(sealed.into()));
        match store.commit(vec![change], Entry::by_service("root.accept", &self.id)).await {
            Ok(_) => Ok(()),
            Err(Error::Conflict(_)) => Box::pin(self.check(store)).await,
            Err(error) => Err(error.into()),
        }
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "what is moved leaves a copy behind")]
fn mac(secret: &Secret, label: &str) -> Derived {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let mut derived = Derived::default();
    derived.copy_from_slice(hmac::sign(&key, label.as_bytes()).as_ref());
    derived
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
        return Err(RootKeyError::ShortPassphrase(path.display().to_string()));
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
