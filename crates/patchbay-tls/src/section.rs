//! The section of a listener's TLS. Doc comments here are the reference that operators read.

use patchbay_chassis::{Problems, Span};
use rustls::{SupportedProtocolVersion, version};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Unexpected, Visitor},
};
use std::{fmt, path::PathBuf};

/// TLS of a listener: either the two files, or `development`, or neither for plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// File with the certificate and those between it and its authority (PEM). Read again when it changes.
    pub certificate_file: Option<PathBuf>,
    /// File with the certificate's private key (PEM). Read again when it changes.
    pub key_file: Option<PathBuf>,
    /// Makes certificates by a local authority in the folder of `data.dir`, and renews them. Browsers have to trust `tls/ca.pem` in that folder.
    pub development: bool,
    /// Names and addresses in a certificate of `development`, beside this machine's: `patchbay.local`, `192.168.1.20`.
    pub names: Vec<String>,
    /// Oldest version that is spoken: `"1.2"` or `"1.3"`.
    pub minimum_version: Version,
    /// How long browsers are told to come by HTTPS only, to every port of this host name; `"0s"` tells them nothing. Never told with `development`.
    pub hsts: Span,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            development: false,
            names: Vec::new(),
            minimum_version: Version::Tls12,
            hsts: Span::seconds(24 * 3600),
        }
    }
}

/// A version of TLS that can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Version {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Takes the number as well: a variable of the environment that has `1.3` in it is read as one.
impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"1.2\" or \"1.3\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
        match text {
            "1.2" => Ok(Version::Tls12),
            "1.3" => Ok(Version::Tls13),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Version, E> {
        self.visit_str(&number.to_string())
    }
}

impl Version {
    /// This version and those after it.
    pub(crate) fn and_later(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Tls12 => vec![&version::TLS13, &version::TLS12],
            Self::Tls13 => vec![&version::TLS13],
        }
    }
}

impl Tls {
    /// Reports what cannot be used; `key` is where the section stands, such as `listen.tls`.
    pub fn validate(&self, key: &str, problems: &mut Problems) {
        let mut add = |field, message| problems.add(format!("{key}.{field}"), message);
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => add("key_file", "must be set beside certificate_file"),
            (None, Some(_)) => add("certificate_file", "must be set beside key_file"),
            (Some(_), Some(_)) if self.development => add("development", "must not be true beside files"),
            _ => {}
        }
        if !self.names.is_empty() && !self.development {
            add("names", "are for development = true; a file has its own");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Tls)) -> usize {
        let (mut tls, mut problems) = (Tls::default(), Problems::default());
        change(&mut tls);
        tls.validate("listen.tls", &mut problems);
        usize::from(!problems.is_empty())
    }

    #[test]
    fn a_version_is_a_text_or_a_number() {
        use serde::de::value::{Error, F64Deserializer, StrDeserializer};
        let text = |text| Version::deserialize(StrDeserializer::<Error>::new(text));
        let number = |number| Version::deserialize(F64Deserializer::<Error>::new(number));
        assert_eq!((text("1.2"), text("1.3")), (Ok(Version::Tls12), Ok(Version::Tls13)));
        assert_eq!((number(1.2), number(1.3)), (Ok(Version::Tls12), Ok(Version::Tls13)));
        assert!(text("1.1").is_err() && number(1.0).unwrap_err().to_string().contains("\"1.3\""));
    }

    #[test]
    fn half_a_pair_and_two_sources_are_mistakes() {
        assert_eq!(problems(|_| {}), 0);
        assert_eq!(problems(|tls| tls.development = true), 0);
        assert_eq!(problems(|tls| tls.certificate_file = Some("a".into())), 1);
        assert_eq!(problems(|tls| tls.key_file = Some("a".into())), 1);
        assert_eq!(problems(|tls| tls.names.push("a.local".to_owned())), 1);
        let both = |tls: &mut Tls| {
            (tls.certificate_file, tls.key_file) = (Some("a".into()), Some("b".into()));
        };
        assert_eq!(problems(both), 0);
        assert_eq!(
            problems(|tls| {
                both(tls);
                tls.development = true;
            }),
            1
        );
    }
}
