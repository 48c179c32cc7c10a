//! Logging in at a camera: digest where it offers that, else basic (RFC 7616, RFC 7617).

use crate::{Credentials, rtsp::message::Head};
use http_auth::{PasswordClient, PasswordParams};
use patchbay_media::hub::{Reason, SourceError};
use secrecy::ExposeSecret;

/// Most bytes of a challenge that are read.
const MAX_CHALLENGE: usize = 4096;

/// The login, and the newest challenge.
pub(super) struct Login {
    credentials: Option<Credentials>,
    challenge: Option<PasswordClient>,
}

impl Login {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, challenge: None }
    }

    /// Whether the camera has asked for a login before.
    pub(super) fn is_known(&self) -> bool {
        self.challenge.is_some()
    }

    /// Takes what a 401 asks for. Fails when that cannot be answered, or was already, with words for the user.
    pub(super) fn challenged(&mut self, response: &Head) -> Result<(), SourceError> {
        if self.credentials.is_none() {
            let text = "the camera asks for a login: set its user and password";
            return Err(SourceError::permanent(text).because(Reason::Unauthorized));
        }
        let is_new = self.challenge.is_none() || response.all("WWW-Authenticate").any(is_stale);
        if !is_new {
            let text = "the camera does not accept this login: check user and password (some cameras have a login of their own for RTSP, and some lock out for minutes after wrong ones)";
            return Err(SourceError::permanent(text).because(Reason::Unauthorized));
        }
        let mut builder = PasswordClient::builder();
        for challenge in response.all("WWW-Authenticate").filter(|text| text.len() <= MAX_CHALLENGE) {
            builder = builder.challenges(challenge);
        }
        let challenge = builder.build().map_err(|_| {
            let text = "the camera asks for a kind of login that is not supported: set it to digest or basic";
            SourceError::permanent(text).because(Reason::Unauthorized)
        })?;
        self.challenge = Some(challenge);
        Ok(())
    }

    /// The header that proves the login for one request; none where nothing has asked for it.
    pub(super) fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        let parameters = PasswordParams {
            username: &credentials.username,
            password: credentials.password.expose_secret(),
            uri,
            method,
            body: Some(&[]),
        };
        self.challenge.as_mut()?.respond(&parameters).ok()
    }
}

/// Whether only the nonce is too old (RFC 7616, section 3.3).
fn is_stale(challenge: &str) -> bool {
    let compact: String = challenge.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    compact.to_ascii_lowercase().contains("stale=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(challenges: &[&str]) -> Head {
        let headers = challenges.iter().map(|text| ("WWW-Authenticate".to_owned(), (*text).to_owned()));
        Head { start: "RTSP/1.0 401 Unauthorized".to_owned(), headers: headers.collect() }
    }

    fn login() -> Login {
        Login::new(Some(Credentials { username: "u".to_owned(), password: "p".into() }))
    }

    const DIGEST: &str = r#"Digest realm="cam", nonce="abc""#;

    #[test]
    fn digest_is_preferred_in_whatever_order_they_come() {
        for order in [[r#"Basic realm="cam""#, DIGEST], [DIGEST, r#"Basic realm="cam""#]] {
            let mut login = login();
            assert_eq!(login.authorization("DESCRIBE", "rtsp://c/"), None);
            login.challenged(&asks(&order)).unwrap();
            let header = login.authorization("DESCRIBE", "rtsp://c/").unwrap();
            assert!(header.starts_with("Digest ") && !header.contains("\"p\""), "{header}");
        }
    }

    #[test]
    fn wrong_missing_and_unknown_logins_have_words_of_their_own() {
        let mut anonymous = Login::new(None);
        assert!(anonymous.challenged(&asks(&[DIGEST])).unwrap_err().to_string().contains("asks for a login"));
        let mut login = login();
        assert!(
            login.challenged(&asks(&["Negotiate abc"])).unwrap_err().to_string().contains("kind of login")
        );
        login.challenged(&asks(&[DIGEST])).unwrap();
        let wrong = login.challenged(&asks(&[DIGEST])).unwrap_err();
        assert!(wrong.to_string().contains("does not accept") && wrong.reason() == Reason::Unauthorized);
        login.challenged(&asks(&[r#"Digest realm="cam", nonce="def", stale="TRUE""#])).unwrap();
    }
}
