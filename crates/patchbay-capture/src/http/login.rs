//! Logins: Basic and Digest (RFC 7616, RFC 7617), as the host asks for them.

use super::client::Question;
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
    /// The `Authorization` of a request to this path, if the host has asked for one before.
    pub(super) fn authorization(
        &self,
        credentials: &Credentials,
        path: &str,
        question: &Question<'_>,
    ) -> Option<String> {
        let (method, content) = (question.method(), question.content());
        let mut challenge = self.challenge.lock();
        let params = PasswordParams {
            username: &credentials.username,
            password: credentials.password.expose_secret(),
            uri: path,
            method: method.as_str(),
            body: Some(&content),
        };
        challenge.as_mut()?.respond(&params).ok()
    }

    /// Keeps what a host asked for.
    pub(super) fn keep(&self, challenge: Challenge) {
        *self.challenge.lock() = Some(challenge.0);
    }
}

/// What a host asks for.
pub(super) struct Challenge(PasswordClient);

impl Challenge {
    /// From the head of an answer; in words what is wrong with it otherwise.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, String> {
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
        builder.build().map(Self).map_err(unknown)
    }

    /// Whether whoever is on the way can read the login that is asked for: Basic is not encrypted.
    pub(super) fn is_readable(&self) -> bool {
        matches!(self.0, PasswordClient::Basic(_))
    }
}
