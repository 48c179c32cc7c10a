//! One key of 32 bytes and what is done with it: wrapping, and deriving.

use super::{Derived, LENGTH};
use crate::error::Error;
use aws_lc_rs::hmac;
use patchbay_crypto::{Secret, aead};

/// A key that wraps.
pub(super) struct WrappingKey {
    wrapping: aead::Key,
    secret: Secret,
    id: String,
}

impl WrappingKey {
    /// Takes 32 bytes.
    pub(super) fn new(secret: Secret) -> Result<Self, Error> {
        if secret.expose().len() != LENGTH {
            return Err(Error::internal(format!("a root key has {LENGTH} bytes")));
        }
        let wrapping =
            aead::Key::new(aead::Algorithm::Xaes256Gcm, &**mac(&secret, "wrap")).map_err(Error::internal)?;
        let id = hex::encode(mac(&secret, "id").get(..8).unwrap_or_default());
        Ok(Self { wrapping, secret, id })
    }

    pub(super) fn random() -> Result<Self, Error> {
        Self::new(Secret::random(LENGTH).map_err(Error::internal)?)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) fn wrap(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut wrapped = Vec::new();
        self.wrapping.seal_into(context.as_bytes(), secret, &mut wrapped).map_err(Error::internal)?;
        Ok(wrapped)
    }

    /// `None` where another key has wrapped it, or it was changed.
    pub(super) fn unwrap(&self, context: &str, wrapped: &[u8]) -> Option<Secret> {
        self.wrapping.open(context.as_bytes(), wrapped).ok()
    }

    /// A secret made from this one, different for each label (HMAC-SHA256).
    #[expect(clippy::unnecessary_box_returns, reason = "what is moved leaves a copy behind")]
    pub(super) fn derive(&self, label: &str) -> Derived {
        mac(&self.secret, label)
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "what is moved leaves a copy behind")]
fn mac(secret: &Secret, label: &str) -> Derived {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let mut derived = Derived::default();
    derived.copy_from_slice(hmac::sign(&key, label.as_bytes()).as_ref());
    derived
}
