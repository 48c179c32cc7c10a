//! What is to be probed, as people write it: `example.com`, `example.com:8443`, `[::1]:443`, `https://example.com/page`.

use crate::report::StartTls;
use patchbay_egress::{Host, HostError};
use std::net::IpAddr;

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How the connection becomes TLS.
    pub start_tls: StartTls,
    /// The name or address to ask for, and to check the certificate against.
    pub server_name: Host,
}

/// Why a text names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The host cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The name to ask for cannot be read.
    #[error("the server name cannot be used: {0}")]
    ServerName(#[source] HostError),
    /// The port cannot be read.
    #[error("`{0}` is no port: write a number from 1 to 65535")]
    Port(String),
    /// It is an address of something else.
    #[error(
        "an address that begins with `{0}://` cannot be probed: write the host, with a port where it is not 443"
    )]
    Scheme(String),
}

impl Target {
    /// Reads one. Without `start_tls` the port decides; without a port `start_tls` does; without both it is HTTPS. Without `server_name` the host is asked for.
    pub fn parse(
        text: &str,
        start_tls: Option<StartTls>,
        server_name: Option<&str>,
    ) -> Result<Self, TargetError> {
        let authority = authority(text.trim())?;
        let (host, port) = split_port(authority)?;
        let host: Host = host.parse()?;
        let port = port.unwrap_or_else(|| usual_port(start_tls.unwrap_or_default()));
        let server_name = match server_name.filter(|name| !name.is_empty()) {
            Some(name) => name.parse().map_err(TargetError::ServerName)?,
            None => host.clone(),
        };
        Ok(Self { host, port, start_tls: start_tls.unwrap_or_else(|| usual_start_tls(port)), server_name })
    }
}

fn authority(text: &str) -> Result<&str, TargetError> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some((scheme, _)) => {
            return Err(TargetError::Scheme(scheme.chars().take(20).flat_map(char::escape_debug).collect()));
        }
        None => return Ok(text),
    };
    Ok(rest.split(['/', '?', '#']).next().unwrap_or(rest))
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), TargetError> {
    if text.contains('@') || text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    let after_brackets = text.rfind(']').map_or(0, |at| at + 1);
    let (_, rest) = text.split_at_checked(after_brackets).unwrap_or(("", text));
    // Two colons without brackets are an address that cannot be read, not a host and a port.
    match rest.rsplit_once(':') {
        Some((before, port)) if !before.contains(':') => {
            let host = text.get(..text.len() - port.len() - 1).unwrap_or(text);
            Ok((host, Some(read_port(port)?)))
        }
        _ => Ok((text, None)),
    }
}

fn read_port(text: &str) -> Result<u16, TargetError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|port| is_number && *port != 0);
    port.ok_or_else(|| TargetError::Port(text.chars().take(20).flat_map(char::escape_debug).collect()))
}

const fn usual_start_tls(port: u16) -> StartTls {
    match port {
        21 => StartTls::Ftp,
        25 | 587 => StartTls::Smtp,
        143 => StartTls::Imap,
        _ => StartTls::None,
    }
}

const fn usual_port(start_tls: StartTls) -> u16 {
    match start_tls {
        StartTls::None => HTTPS,
        StartTls::Ftp => 21,
        StartTls::Smtp => 25,
        StartTls::Imap => 143,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16, StartTls) {
        let target = Target::parse(text, None, None).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(target.server_name, target.host);
        (target.host.to_string(), target.port, target.start_tls)
    }

    #[test]
    fn servers_are_read() {
        let cases = [
            ("example.com", "example.com", 443, StartTls::None),
            (" Example.com:8443 ", "example.com", 8443, StartTls::None),
            ("https://example.com/a?b#c", "example.com", 443, StartTls::None),
            ("HTTPS://example.com:444?x", "example.com", 444, StartTls::None),
            ("[::1]:443", "::1", 443, StartTls::None),
            ("[::1]", "::1", 443, StartTls::None),
            ("::1", "::1", 443, StartTls::None),
            ("127.0.0.1:25", "127.0.0.1", 25, StartTls::Smtp),
            ("mail.example:587", "mail.example", 587, StartTls::Smtp),
            ("ftp.example:21", "ftp.example", 21, StartTls::Ftp),
            ("imap.example:143", "imap.example", 143, StartTls::Imap),
        ];
        for (text, host, port, start_tls) in cases {
            assert_eq!(parsed(text), (host.to_owned(), port, start_tls), "{text}");
        }
    }

    #[test]
    fn what_is_said_wins_over_what_is_usual() {
        let target = Target::parse("mail.example", Some(StartTls::Smtp), Some("MX.example")).unwrap();
        assert_eq!((target.port, target.server_name.to_string()), (25, "mx.example".to_owned()));
        let target = Target::parse("mail.example:25", Some(StartTls::None), Some("")).unwrap();
        assert_eq!((target.start_tls, target.server_name), (StartTls::None, target.host));
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in ["example.com:", "example.com:0", "example.com:65536", "example.com:+1", "[::1]:x", "a:b"]
        {
            assert!(matches!(Target::parse(text, None, None), Err(TargetError::Port(_))), "{text}");
        }
        for text in ["http://example.com", "ftp://example.com"] {
            assert!(matches!(Target::parse(text, None, None), Err(TargetError::Scheme(_))), "{text}");
        }
        for text in [
            "",
            "https://",
            "user@example.com",
            "https://u:p@example.com:443",
            "example.com/x",
            "1:2:3",
            "[::1",
            "2130706433:443",
        ] {
            assert!(matches!(Target::parse(text, None, None), Err(TargetError::Host(_))), "{text}");
        }
        assert!(matches!(Target::parse("a.example", None, Some("a b")), Err(TargetError::ServerName(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[0-9a-f:\\[\\]/@.]{0,20}") {
            let _outcome = Target::parse(&text, None, None);
        }
    }
}
