//! What is secret about cameras: passwords, and parts of addresses. Given in a call, kept encrypted, opened when the source is.
//!
//! Everything is sealed for the name of its camera, always with the same outcome (AES-256-GCM-SIV), so that adding the same camera again is seen to change
//! nothing. What is kept goes only to the place for which it was given, and only to who was believed there: whoever changes that must know it.

mod addresses;
mod key;
mod logins;

pub(super) use addresses::uncover;

use super::SourceSpec;
use crate::config;
use base64::{Engine, prelude::BASE64_STANDARD};
use patchbay_chassis::{Context, StartError};
use patchbay_crypto::{Error, Secret, convergent};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seals and opens what is secret. Cheap to clone.
#[derive(Clone)]
pub(super) struct Secrets {
    key: Arc<convergent::Key>,
}

impl Secrets {
    /// With the key of the file that is configured, or else with one made of the service's.
    pub(super) fn open(section: &config::Cameras, context: &Context) -> Result<Self, StartError> {
        let material = match &section.login_key_file {
            None => Secret::new(context.secret("camera-logins").to_vec()),
            Some(path) => {
                key::of_file(path).map_err(|error| StartError::failed("use cameras.login_key_file", error))?
            }
        };
        let key = convergent::Key::new(material.expose());
        let key = key.map_err(|error| StartError::failed("use the key for the secrets of cameras", error))?;
        Ok(Self { key: Arc::new(key) })
    }

    /// `of` says what the text belongs to, and must be said again to open it.
    fn seal(&self, of: &str, text: &str) -> Result<String, Error> {
        Ok(BASE64_STANDARD.encode(self.key.seal(of.as_bytes(), text.as_bytes())?))
    }

    /// None where it was sealed with another key or belongs to something else.
    fn open_sealed(&self, of: &str, sealed: &str) -> Option<Zeroizing<String>> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let text = self.key.open(of.as_bytes(), &sealed).ok()?;
        Some(Zeroizing::new(std::str::from_utf8(text.expose()).ok()?.to_owned()))
    }
}

/// Whether somebody else than before would be believed to be the camera: who is pinned instead of public authorities, too, may be somebody in between.
fn is_another_believed(before: &SourceSpec, source: &SourceSpec) -> bool {
    before.fingerprint() != source.fingerprint()
}

/// With a key of one byte again and again.
#[cfg(test)]
fn secrets(byte: u8) -> Secrets {
    Secrets { key: Arc::new(convergent::Key::new(&[byte; convergent::KEY_LENGTH]).unwrap()) }
}
