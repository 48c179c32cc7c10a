//! Keys and tokens for a test: a key set file as the services read it, and tokens good or bad in one way.

use anyhow::Result;
use patchbay_auth::{Claims, KeyOwner, Signer};
use std::path::{Path, PathBuf};

/// An issuer whose key set lies in a folder.
pub struct Keys {
    signer: Signer,
    jwks: PathBuf,
}

impl Keys {
    /// Makes a key and writes `jwks.json`.
    pub fn create(folder: &Path) -> Result<Self> {
        let signer = Signer::generate(KeyOwner::Issuer)?;
        let jwks = folder.join("jwks.json");
        signer.jwks().write(&jwks)?;
        Ok(Self { signer, jwks })
    }

    /// Path of the key set.
    pub fn jwks(&self) -> &Path {
        &self.jwks
    }

    /// The issuer's signer.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Signs claims as they are, however wrong.
    pub fn sign(&self, claims: &serde_json::Value) -> Result<String> {
        Ok(self.signer.sign(claims)?)
    }

    /// Mints a token that is good for 15 minutes.
    pub fn token(&self, subject: &str, scopes: &[&str]) -> Result<String> {
        let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<_>, _>>()?;
        Ok(self.signer.mint(Claims { name: Some(subject.to_owned()), ..Claims::new(subject, scopes) })?)
    }
}
