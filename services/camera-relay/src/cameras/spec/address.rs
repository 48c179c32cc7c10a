//! Addresses of sources: read once, without a login, and shown without what is secret in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// Bytes of an address at most.
const MAX: usize = 2048;

/// What stands in place of a value that is not shown.
const HIDDEN: &str = "***";

/// Names of query parameters in which cameras take passwords and tokens.
const SECRETS: [&str; 12] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "psw",
    "pw",
    "token",
    "auth",
    "key",
    "apikey",
    "secret",
    "signature",
];

/// The address of a source, as it was given but for a login.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// An address as it was given, and the name and password that stood in it.
    pub fn split(text: &str) -> (Self, Option<(String, String)>) {
        let Ok(mut url) = Url::parse(text) else { return (Self(text.to_owned()), None) };
        let part = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (part(url.username()), part(url.password().unwrap_or_default()));
        if login.0.is_empty() && login.1.is_empty() {
            return (Self(text.to_owned()), None);
        }
        // Only addresses without a host refuse this, and those have no login.
        let removed = url.set_username("").and_then(|()| url.set_password(None));
        let text = if removed.is_ok() { url.to_string() } else { text.to_owned() };
        (Self(text), Some(login))
    }

    /// As it was given: it may hold secrets in its parameters.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Parsed; none where it is no address.
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// The text that may be shown to those who may change the camera: values of parameters that look like secrets are hidden, in the path too.
    pub fn shown(&self) -> String {
        let Some(mut url) = self.url() else { return self.0.clone() };
        let query = url.query().map(|query| hidden(query, &['&']));
        let path: Vec<_> = url.path().split('/').map(|part| hidden(part, &['&', ';', '_'])).collect();
        let path = path.join("/");
        if query.as_deref() == url.query() && path == url.path() {
            return self.0.clone();
        }
        url.set_query(query.as_deref());
        url.set_path(&path);
        url.to_string()
    }

    /// Whether both lead to the same port of the same host by the same scheme.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |address: &Self| {
            let url = address.url()?;
            Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port()))
        };
        self == other || place(self).is_some_and(|own| Some(own) == place(other))
    }

    /// What is wrong with it, where it must have one of these schemes.
    pub(super) fn problem(&self, schemes: &[&str]) -> Option<String> {
        let one_of = || schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        if self.0.is_empty() || self.0.len() > MAX {
            return Some(format!(
                "must be an address of 1 to {MAX} bytes, such as {}camera.example",
                one_of()
            ));
        }
        let Some(url) = self.url() else {
            return Some(format!("is no address; it must begin with {} and name a host", one_of()));
        };
        if !schemes.contains(&url.scheme()) {
            return Some(format!("must begin with {}", one_of()));
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Some("must name a host, and a port other than 0".to_owned());
        }
        if url.fragment().is_some() {
            return Some("must not have a `#`: in a path or a password it is written as %23".to_owned());
        }
        if self.shown().contains(HIDDEN) && self.0.contains(&format!("={HIDDEN}")) {
            return Some(format!("has `{HIDDEN}` where a secret belongs: give the secret"));
        }
        None
    }
}

/// Parameters with the values of secrets hidden. Some cameras take theirs in the path, as `/user=a_password=b_channel=1`: after a `_`, what has
/// no name of its own is part of the secret.
fn hidden(text: &str, between: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_hiding = false;
    for part in text.split_inclusive(between) {
        match part.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                is_hiding = value.ends_with('_');
                shown.extend([name, "=", HIDDEN]);
                shown.extend(value.chars().last().filter(|last| between.contains(last)));
            }
            None if is_hiding => is_hiding = part.ends_with('_'),
            _ => {
                is_hiding = false;
                shown.push_str(part);
            }
        }
    }
    shown
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['_', '-'], "");
    SECRETS.iter().any(|secret| name == *secret || (secret.len() > 4 && name.ends_with(secret)))
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}
