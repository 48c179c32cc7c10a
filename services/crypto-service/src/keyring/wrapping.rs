//! The key with which callers wrap what they import, so that it crosses the network and their own programs under no other
//! protection than their own: RSA with 4096 bits, made once for an installation and the same on all its replicas.
//!
//! It stands beside the root key's rows and not among the keys: it belongs to the installation, as those do, and is in no backup.

use super::Keyring;
use crate::{audit::Entry, error::Error, store::Table};
use patchbay_backplane::Expect;
use patchbay_crypto::{
    Error as CryptoError, Secret, pem,
    rsa::{self, OaepDigest},
    wrap,
};
use std::sync::Arc;

/// Its row, whose value is the key as PKCS#8 DER, wrapped by the root key for a place of the same name.
pub(crate) const ROW: &str = "wrapping-key";

/// Bytes of the encrypted AES key that wrapped material begins with.
const ENCRYPTED_KEY: usize = 512;

/// Bytes of wrapped material at most: a key file of the largest size, and what wrapping adds.
const WRAPPED_MAX: usize = ENCRYPTED_KEY + pem::MAX_FILE + 16;

/// Bytes of the key that material is wrapped with.
const AES_KEY: usize = 32;

/// How often the row is looked for again after another replica was quicker.
const ATTEMPTS: usize = 4;

impl Keyring {
    /// Public half of the wrapping key as PEM. The first call of an installation makes it, which takes seconds.
    pub(crate) async fn wrapping_key(&self) -> Result<String, Error> {
        Ok(pem::write_spki_pem(&self.wrapping().await?.public().to_spki_der()))
    }

    /// Unwraps what a caller brings. Whatever is wrong with it gives the same error.
    pub(crate) async fn unwrap_import(&self, wrapped: Secret, digest: OaepDigest) -> Result<Secret, Error> {
        if wrapped.expose().len() > WRAPPED_MAX {
            return Err(Error::TooLarge { what: "the wrapped material", limit: WRAPPED_MAX as u64 });
        }
        let key = self.wrapping().await?;
        let unwrap = move || unwrapped(&key, wrapped.expose(), digest);
        self.0.pool.sign(unwrap).await?.map_err(|_| {
            Error::bad(
                "wrapped_material",
                "cannot be unwrapped: it must be 512 bytes of RSA-OAEP for the wrapping key, and the material under AES-KWP",
            )
        })
    }

    async fn wrapping(&self) -> Result<Arc<rsa::PrivateKey>, Error> {
        self.0.wrapping.get_or_try_init(|| self.read_or_make_wrapping()).await.cloned()
    }

    async fn read_or_make_wrapping(&self) -> Result<Arc<rsa::PrivateKey>, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(row) = self.0.store.read_one(Table::Root, ROW).await? {
                self.0.root.reload(&self.0.store).await?;
                let pkcs8 = self.0.root.unwrap(ROW, &row.value)?;
                let read = move || rsa::PrivateKey::from_pkcs8(pkcs8.expose());
                return self.0.pool.sign(read).await?.map(Arc::new).map_err(Error::internal);
            }
            let made = self.0.pool.sign(|| rsa::PrivateKey::generate(rsa::Size::Rsa4096)).await?;
            let made = made.map_err(Error::internal)?;
            let wrapped = self.0.root.wrap(ROW, &made.to_pkcs8())?;
            let change = Table::Root.change(ROW, Expect::Absent, Some(wrapped.into()));
            match self.0.store.commit(vec![change], Entry::by_service("wrapping_key.make", "")).await {
                Ok(_) => return Ok(Arc::new(made)),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict("the wrapping key".to_owned()))
    }
}

fn unwrapped(key: &rsa::PrivateKey, wrapped: &[u8], digest: OaepDigest) -> Result<Secret, CryptoError> {
    let (encrypted, material) = wrapped.split_at_checked(ENCRYPTED_KEY).ok_or(CryptoError::Decryption)?;
    let ephemeral = key.decrypt_oaep_with(digest, encrypted)?;
    if ephemeral.expose().len() != AES_KEY {
        return Err(CryptoError::Decryption);
    }
    wrap::unwrap(ephemeral.expose(), material)
}
