//! Addresses of sources: read once, without a login, shown without what is secret in them, and kept with that sealed.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use std::{borrow::Cow, fmt};
use url::Url;
use zeroize::Zeroizing;

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

/// The address of a source, without a login. What is secret in it is neither shown nor printed, and is sealed before it is kept.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Form")]
pub struct Address {
    /// With its secrets hidden.
    shown: String,
    /// What is behind that.
    pub(in crate::cameras) whole: Whole,
}

/// The whole of an address.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::cameras) enum Whole {
    /// What is shown: nothing in it is secret.
    #[default]
    Shown,
    /// As it was given in a call, in the configuration, or in a row of an older version.
    Given(Zeroizing<String>),
    /// As it is kept, encrypted.
    Sealed(String),
}

/// An address as it is configured and kept.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "an address must be a text")]
enum Form {
    Text(String),
    Sealed { shown: String, sealed: String },
}

impl From<Form> for Address {
    fn from(form: Form) -> Self {
        match form {
            Form::Text(text) => Self::from(text),
            Form::Sealed { shown, sealed } => Self { shown, whole: Whole::Sealed(sealed) },
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.shown.clone();
        match &self.whole {
            Whole::Shown => Form::Text(shown).serialize(serializer),
            Whole::Sealed(sealed) => Form::Sealed { shown, sealed: sealed.clone() }.serialize(serializer),
            Whole::Given(_) => {
                Err(S::Error::custom("an address with a secret must be sealed before it is kept"))
            }
        }
    }
}

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        match shown(&text) {
            None => Self { shown: text, whole: Whole::Shown },
            Some(shown) => Self { shown, whole: Whole::Given(text.into()) },
        }
    }
}

impl Address {
    /// An address as it was given, and the name and password that stood in it.
    pub fn split(text: &str) -> (Self, Option<(String, String)>) {
        let Ok(mut url) = Url::parse(text) else { return (Self::from(text.to_owned()), None) };
        let part = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (part(url.username()), part(url.password().unwrap_or_default()));
        if login.0.is_empty() && login.1.is_empty() {
            return (Self::from(text.to_owned()), None);
        }
        // Only addresses without a host refuse this, and those have no login.
        let removed = url.set_username("").and_then(|()| url.set_password(None));
        let text = if removed.is_ok() { url.to_string() } else { text.to_owned() };
        (Self::from(text), Some(login))
    }

    /// The text that may be shown to those who may change the camera: values of parameters that look like secrets are hidden, in the path too.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What is shown, parsed; none where it is no address. It tells where the address leads, and is not what to connect to.
    pub fn shown_url(&self) -> Option<Url> {
        Url::parse(&self.shown).ok()
    }

    /// Whether this is how another one is shown, given back by somebody who means that one.
    pub(in crate::cameras) fn means(&self, other: &Self) -> bool {
        self.whole == Whole::Shown && self.shown == other.shown
    }

    /// Whether both lead to the same port of the same host by the same scheme.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |address: &Self| {
            let url = address.shown_url()?;
            Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port()))
        };
        self == other || place(self).is_some_and(|own| Some(own) == place(other))
    }

    /// What is wrong with it, where it must have one of these schemes.
    pub(super) fn problem(&self, schemes: &[&str]) -> Option<String> {
        let one_of = || schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        let given = match &self.whole {
            Whole::Given(whole) => whole.as_str(),
            Whole::Shown | Whole::Sealed(_) => &self.shown,
        };
        if given.is_empty() || given.len() > MAX {
            return Some(format!(
                "must be an address of 1 to {MAX} bytes, such as {}camera.example",
                one_of()
            ));
        }
        let Some(url) = self.shown_url() else {
            return Some(format!("is no address; it must begin with {} and name a host", one_of()));
        };
        if !schemes.contains(&url.scheme()) {
            return Some(format!("must begin with {}", one_of()));
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Some("must name a host, and a port other than 0".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("must not hold a login: give it as `login`".to_owned());
        }
        if url.fragment().is_some() {
            return Some("must not have a `#`: in a path or a password it is written as %23".to_owned());
        }
        let is_sealed = matches!(self.whole, Whole::Sealed(_));
        if !is_sealed && given.contains(&format!("={HIDDEN}")) {
            return Some(format!("has `{HIDDEN}` where a secret belongs: give the secret"));
        }
        None
    }
}

/// An address with its secrets hidden; none where it has none.
fn shown(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    let query = url.query().map(|query| hidden(query, &['&', ';']));
    let path: Vec<_> = url.path().split('/').map(|part| hidden(part, &['&', ';', '_'])).collect();
    let path = path.join("/");
    if query.as_deref() == url.query() && path == url.path() {
        return None;
    }
    url.set_query(query.as_deref());
    url.set_path(&path);
    Some(url.to_string())
}

/// Parameters with the values of secrets hidden. Some cameras take theirs in the path, as `/user=a_password=b_channel=1`: after a `_` or a `;`, what
/// has no name of its own is part of the secret.
fn hidden(text: &str, between: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_hiding = false;
    let goes_on = |text: &str| text.ends_with(['_', ';']);
    for part in text.split_inclusive(between) {
        match part.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                is_hiding = goes_on(value);
                shown.extend([name, "=", HIDDEN]);
                shown.extend(value.chars().last().filter(|last| between.contains(last)));
            }
            None if is_hiding => is_hiding = goes_on(part),
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
        f.write_str(&self.shown)
    }
}
