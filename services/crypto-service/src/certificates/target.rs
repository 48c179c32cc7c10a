//! A host to watch, as it is written in the configuration.

use patchbay_egress::Host;
use patchbay_tls_probe::{Target as Probed, TargetError as ProbedError, report::StartTls};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A host to watch: `[scheme://]host[:port]`. The scheme says how the connection becomes TLS: `ftp`, `smtp`, `imap` by the protocol's own command, `tls` and `https` from the
/// start; without one it follows from the port.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Target {
    probed: Probed,
    /// `host:port`, by which it is known.
    name: String,
}

/// A text that is no host to watch.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The scheme is not one of those that are known.
    #[error("`{0}` does not begin with https, tls, ftp, smtp or imap")]
    Scheme(String),
    /// Host or port cannot be used.
    #[error("`{text}` is no host to watch: {source}")]
    Host {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: ProbedError,
    },
}

/// Schemes with what they mean.
const SCHEMES: [(&str, StartTls); 5] = [
    ("https", StartTls::None),
    ("tls", StartTls::None),
    ("ftp", StartTls::Ftp),
    ("smtp", StartTls::Smtp),
    ("imap", StartTls::Imap),
];

impl Target {
    /// `host:port`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As the probe takes it; the name to ask for is the host.
    pub(super) fn probed(&self) -> &Probed {
        &self.probed
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (start_tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(known(scheme, text)?), rest.strip_suffix('/').unwrap_or(rest)),
            None => (None, text),
        };
        let probed = Probed::parse(rest, start_tls, None)
            .map_err(|source| TargetError::Host { text: text.to_owned(), source })?;
        let name = match &probed.host {
            Host::Address(address) if address.is_ipv6() => format!("[{address}]:{}", probed.port),
            host => format!("{host}:{}", probed.port),
        };
        Ok(Self { probed, name })
    }
}

fn known(scheme: &str, text: &str) -> Result<StartTls, TargetError> {
    let found = SCHEMES.iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known));
    found.map(|(_, start_tls)| *start_tls).ok_or_else(|| TargetError::Scheme(text.to_owned()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.probed.start_tls {
            StartTls::None => "tls",
            StartTls::Ftp => "ftp",
            StartTls::Smtp => "smtp",
            StartTls::Imap => "imap",
        };
        write!(f, "{scheme}://{}", self.name)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_scheme_and_port_or_without() {
        for (text, name, start_tls) in [
            ("example.com", "example.com:443", StartTls::None),
            ("Example.com:8443", "example.com:8443", StartTls::None),
            ("https://example.com/", "example.com:443", StartTls::None),
            ("smtp://mail.example.com", "mail.example.com:25", StartTls::Smtp),
            ("mail.example.com:587", "mail.example.com:587", StartTls::Smtp),
            ("tls://mail.example.com:25", "mail.example.com:25", StartTls::None),
            ("ftp://192.0.2.1", "192.0.2.1:21", StartTls::Ftp),
            ("imap://mail.example.com:1143", "mail.example.com:1143", StartTls::Imap),
            ("[::1]:8443", "[::1]:8443", StartTls::None),
            ("[2001:db8::1]", "[2001:db8::1]:443", StartTls::None),
            ("::1", "[::1]:443", StartTls::None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.name(), target.probed.start_tls), (name, start_tls), "{text}");
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target, "as it is written again");
        }
    }

    #[test]
    fn what_is_no_host_is_told() {
        for bad in [
            "",
            "example.com:0",
            "example.com:65536",
            "example.com:x",
            "gopher://example.com",
            "example.com/x",
            "a b:1",
            "me@example.com",
            "127.1:443",
            ":443",
            "[::1",
            "[::1]x:4",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
