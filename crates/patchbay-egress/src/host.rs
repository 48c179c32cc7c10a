//! Names and addresses of hosts as people write them, read by one rule.
//!
//! Texts that other programs read as an address although they do not look like one (`127.1`, `0x7f000001`, `2130706433`) are refused rather than understood: what is checked must be what is
//! connected to, whoever reads it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Bytes of a name (RFC 1035, section 2.3.4), without a dot at its end.
const NAME_BYTES: usize = 253;
/// Bytes of one part of a name.
const LABEL_BYTES: usize = 63;
/// Bytes of a text that is looked at at all: a name in other scripts may grow or shrink when it is written in ASCII.
const TEXT_BYTES: usize = 1024;

/// A host, by name or by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower-case ASCII, other scripts in their `xn--` form, without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is nothing.
    #[error("the host is empty: write a name or an address")]
    Empty,
    /// It is too long.
    #[error("the host is too long: a name has at most 253 characters, and 63 between two dots")]
    TooLong,
    /// It has a user in it.
    #[error("`{0}` has a user in it: write the host alone, without what stands before the @")]
    UserInfo(String),
    /// It is an address with a zone.
    #[error(
        "`{0}` names an interface: addresses with a zone (after %) are of one machine alone and cannot be used here"
    )]
    Zone(String),
    /// It is a number that some programs take for an address.
    #[error(
        "`{0}` ends like a number and is no address: write an address as four decimal numbers, such as 192.0.2.1"
    )]
    OddAddress(String),
    /// It is in brackets, and is no IPv6 address.
    #[error("`{0}` is no IPv6 address in brackets: write it as [2001:db8::1]")]
    BadBrackets(String),
    /// It has characters that no name has.
    #[error("`{0}` is no name of a host: names have letters, digits, hyphens and dots")]
    BadName(String),
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > TEXT_BYTES {
            return Err(HostError::TooLong);
        }
        if text.contains('@') {
            return Err(HostError::UserInfo(shown(text)));
        }
        if let Some(rest) = text.strip_prefix('[') {
            return in_brackets(text, rest);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        if text.contains('%') {
            return Err(HostError::Zone(shown(text)));
        }
        name(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(address) => address.fmt(out),
        }
    }
}

fn in_brackets(text: &str, rest: &str) -> Result<Host, HostError> {
    if rest.contains('%') {
        return Err(HostError::Zone(shown(text)));
    }
    let address = rest.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
    address.map(|address| Host::Address(address.into())).ok_or_else(|| HostError::BadBrackets(shown(text)))
}

fn name(text: &str) -> Result<Host, HostError> {
    // UTS #46: full-width digits and dots become plain ones here, so what follows looks at the result.
    let ascii = idna::domain_to_ascii(text).map_err(|_| HostError::BadName(shown(text)))?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > NAME_BYTES || name.split('.').any(|label| label.len() > LABEL_BYTES) {
        return Err(HostError::TooLong);
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err(HostError::OddAddress(shown(text)));
    }
    if !name.split('.').all(is_label) {
        return Err(HostError::BadName(shown(text)));
    }
    Ok(Host::Name(name.to_owned()))
}

/// Whether resolvers may read a name that ends with this part as an address: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x");
    hexadecimal.map_or_else(
        || !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
        |digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
    )
}

/// Underscores are no part of a host's name, and in use all the same.
fn is_label(label: &str) -> bool {
    let is_hyphen = |byte: Option<u8>| byte == Some(b'-');
    !label.is_empty()
        && !is_hyphen(label.bytes().next())
        && !is_hyphen(label.bytes().next_back())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

/// A text for an error, cut short and with nothing that a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, HostError> {
        text.parse::<Host>().map(|host| host.to_string())
    }

    #[test]
    fn names_and_addresses_are_read() {
        let cases = [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("redis", "redis"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("例子.测试", "xn--fsqu00a.xn--0zwm56d"),
            ("192.0.2.1", "192.0.2.1"),
            ("１９２．０．２．１", "192.0.2.1"),
            ("127。0。0。1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::1", "::1"),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn odd_texts_are_refused_by_name() {
        for text in [
            "2130706433",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "0x7f000001",
            "1.2.3.4.5",
            "example.0x",
            "256.1.1.1",
            "01.2.3.4",
        ] {
            assert!(matches!(parsed(text), Err(HostError::OddAddress(_))), "{text}: {:?}", parsed(text));
        }
        for text in ["user@example.com", "a:b@127.0.0.1", "@"] {
            assert!(matches!(parsed(text), Err(HostError::UserInfo(_))), "{text}");
        }
        for text in ["fe80::1%eth0", "[fe80::1%25eth0]", "fe80::1%1"] {
            assert!(matches!(parsed(text), Err(HostError::Zone(_))), "{text}");
        }
        for text in ["[::1", "[127.0.0.1]", "[]", "[::1]x", "[v1.x]"] {
            assert!(matches!(parsed(text), Err(HostError::BadBrackets(_))), "{text}");
        }
        for text in [
            "a b",
            "a/b",
            "a..b",
            "-a.example",
            "a-.example",
            ".a",
            "a\0b",
            "a\nb",
            "a\\b",
            "a:b",
            "example.com:",
            "a#b",
            "a?b",
        ] {
            assert!(matches!(parsed(text), Err(HostError::BadName(_))), "{text}: {:?}", parsed(text));
        }
        assert_eq!(parsed(""), Err(HostError::Empty));
        assert_eq!(parsed("."), Err(HostError::Empty));
        assert_eq!(parsed(&"a".repeat(64)), Err(HostError::TooLong));
        assert_eq!(parsed(&"a.".repeat(150)), Err(HostError::TooLong));
        assert_eq!(parsed(&"a".repeat(2000)), Err(HostError::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_reads_the_same_again(text in "\\PC{0,40}|[0-9a-fx.:\\[\\]%@]{0,40}") {
            if let Ok(host) = text.parse::<Host>() {
                assert_eq!(host.to_string().parse::<Host>(), Ok(host));
            }
        }
    }
}
