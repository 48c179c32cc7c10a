//! Sources that are reached by an address, and their logins.

use super::{Address, Violation};
use patchbay_chassis::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// Bytes of a name and of a password at most.
const MAX_USERNAME: usize = 256;
const MAX_PASSWORD: usize = 1024;

/// Bytes of a SHA-256.
const FINGERPRINT: usize = 32;

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);

/// A camera that speaks RTSP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RtspSpec {
    /// `rtsp://` or `rtsps://`.
    pub url: Address,
    /// What the camera asks for.
    pub login: Option<LoginSpec>,
    /// How it sends: `auto`, `tcp` or `udp`.
    pub transport: RtspTransportSpec,
    /// SHA-256 of its certificate in hexadecimal, where it is not signed by a public authority.
    pub certificate_fingerprint: Option<String>,
}

/// How an RTSP camera sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RtspTransportSpec {
    /// By TCP, and by UDP where the camera refuses that.
    #[default]
    Auto,
    /// Within the RTSP connection.
    Tcp,
    /// In datagrams beside it.
    Udp,
}

/// A file, a live stream or an HLS playlist behind an HTTP address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UrlSpec {
    /// `http://` or `https://`.
    pub url: Address,
    /// What the server asks for.
    pub login: Option<LoginSpec>,
    /// SHA-256 of its certificate in hexadecimal, where it is not signed by a public authority.
    pub certificate_fingerprint: Option<String>,
}

/// JPEG pictures over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MjpegSpec {
    /// `http://` or `https://`.
    pub url: Address,
    /// What the server asks for.
    pub login: Option<LoginSpec>,
    /// SHA-256 of its certificate in hexadecimal, where it is not signed by a public authority.
    pub certificate_fingerprint: Option<String>,
    /// Time between two fetches, where the address gives a single picture; 100 ms to 60 s.
    pub interval: Span,
}

impl Default for MjpegSpec {
    fn default() -> Self {
        Self {
            url: Address::default(),
            login: None,
            certificate_fingerprint: None,
            interval: Span::seconds(1),
        }
    }
}

/// What a source asks for. Of the three forms of a password at most one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoginSpec {
    /// Name.
    pub username: String,
    /// File with the password, read each time that the source is opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The password as it is kept, encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub sealed: Option<String>,
    /// The password as it was given in a call; never kept.
    #[serde(skip)]
    pub given: Option<ClearPassword>,
    /// The call asked for the password that is kept.
    #[serde(skip)]
    pub keep: bool,
}

impl LoginSpec {
    /// Whether there is a password in any form.
    pub fn has_password(&self) -> bool {
        self.password_file.is_some() || self.sealed.is_some() || self.given.is_some()
    }

    /// What is wrong with it, after its name.
    pub(crate) fn problem(&self) -> Option<String> {
        let password = self.given.as_ref().map_or("", ClearPassword::expose);
        if self.username.len() > MAX_USERNAME || password.len() > MAX_PASSWORD {
            return Some(format!(
                "must have {MAX_USERNAME} bytes of name and {MAX_PASSWORD} of password at most"
            ));
        }
        if self.username.chars().chain(password.chars()).any(char::is_control) {
            return Some("must not have control characters".to_owned());
        }
        let forms = [self.password_file.is_some(), self.sealed.is_some(), self.given.is_some()];
        if forms.into_iter().filter(|is_set| *is_set).count() > 1 {
            return Some("must have one password".to_owned());
        }
        let is_empty = self.username.is_empty() && !self.has_password();
        is_empty.then(|| "must have a name; leave it out where none is needed".to_owned())
    }
}

/// A password in the clear, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ClearPassword(Zeroizing<String>);

impl ClearPassword {
    /// Takes it.
    pub fn new(password: impl Into<Zeroizing<String>>) -> Self {
        Self(password.into())
    }

    /// For whoever seals it or logs in with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClearPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl RtspSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        remote(found, &self.fields(), &["rtsp", "rtsps"]);
        let is_tls = self.url.shown_url().is_some_and(|url| url.scheme() == "rtsps");
        if is_tls && self.transport == RtspTransportSpec::Udp {
            found.push(Violation::new(
                "rtsp.transport",
                "must not be UDP with rtsps://, which is one connection",
            ));
        }
    }

    fn fields(&self) -> Fields<'_> {
        Fields {
            names: ["rtsp.url", "rtsp.login", "rtsp.certificate_fingerprint"],
            url: &self.url,
            login: self.login.as_ref(),
            fingerprint: self.certificate_fingerprint.as_deref(),
        }
    }
}

impl UrlSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        let fields = Fields {
            names: ["url.url", "url.login", "url.certificate_fingerprint"],
            url: &self.url,
            login: self.login.as_ref(),
            fingerprint: self.certificate_fingerprint.as_deref(),
        };
        remote(found, &fields, &["http", "https"]);
    }
}

impl MjpegSpec {
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        let fields = Fields {
            names: ["mjpeg.url", "mjpeg.login", "mjpeg.certificate_fingerprint"],
            url: &self.url,
            login: self.login.as_ref(),
            fingerprint: self.certificate_fingerprint.as_deref(),
        };
        remote(found, &fields, &["http", "https"]);
        if !INTERVALS.contains(&self.interval.duration()) {
            found.push(Violation::new("mjpeg.interval", "must be from 0.1 s to 60 s"));
        }
    }
}

/// What the sources of this file have in common, with the names under which callers know it.
struct Fields<'a> {
    names: [&'static str; 3],
    url: &'a Address,
    login: Option<&'a LoginSpec>,
    fingerprint: Option<&'a str>,
}

fn remote(found: &mut Vec<Violation>, fields: &Fields<'_>, schemes: &[&str]) {
    let [url, login, fingerprint] = fields.names;
    found.extend(fields.url.problem(schemes).map(|problem| Violation::new(url, problem)));
    if let Some(problem) = fields.login.and_then(LoginSpec::problem) {
        found.push(Violation::new(login, problem));
    }
    if fields.fingerprint.is_some_and(|text| fingerprint_bytes(text).is_none()) {
        found.push(Violation::new(fingerprint, "must be the 64 hexadecimal digits of a SHA-256"));
    }
}

/// The bytes of a fingerprint, with or without colons.
pub(crate) fn fingerprint_bytes(text: &str) -> Option<[u8; FINGERPRINT]> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    hex::decode(digits).ok()?.try_into().ok()
}
