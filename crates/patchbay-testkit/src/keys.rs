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

    /// Makes a key that replicas of a service have in common, as services have it that run apart: writes it to a file, and its public half, with what
    /// they may ask of each other, beside the issuer's.
    pub fn share_identity(&self, service: &str, path: &Path, scopes: &[&str]) -> Result<()> {
        let signer = Signer::load_or_generate(path, KeyOwner::Service(service.to_owned()))?;
        let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<_>, _>>()?;
        let mut jwks = self.signer.jwks();
        jwks.merge(signer.jwks().allowing(&scopes));
        jwks.write(&self.jwks)?;
        Ok(())
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
