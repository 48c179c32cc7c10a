//! Logins: Basic and Digest (RFC 7616, RFC 7617), as the host asks for them.

use crate::Credentials;
use http_auth::{PasswordClient, PasswordParams};
use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use parking_lot::Mutex;
use secrecy::ExposeSecret;

/// The host's last challenge, which answers requests until another comes.
#[derive(Default)]
pub(super) struct Login {
    challenge: Mutex<Option<PasswordClient>>,
}

impl Login {
    /// The `Authorization` of a GET of this path, if the host has asked for one before.
    pub(super) fn authorization(&self, credentials: &Credentials, path: &str) -> Option<String> {
        let mut challenge = self.challenge.lock();
        let params = PasswordParams {
            username: &credentials.username,
            password: credentials.password.expose_secret(),
            uri: path,
            method: "GET",
            body: Some(&[]),
        };
        challenge.as_mut()?.respond(&params).ok()
    }

    /// Keeps what a host asked for; in words what is wrong with that otherwise.
    pub(super) fn learn(&self, headers: &HeaderMap) -> Result<(), String> {
        let mut builder = PasswordClient::builder();
        let mut asked = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            asked.push(
                text.split_whitespace().next().unwrap_or_default().chars().take(20).collect::<String>(),
            );
            builder = builder.challenges(text);
        }
        let unknown =
            |_| if asked.is_empty() { "it does not say which".to_owned() } else { asked.join(", ") };
        let known = builder.build().map_err(unknown)?;
        *self.challenge.lock() = Some(known);
        Ok(())
    }
}
