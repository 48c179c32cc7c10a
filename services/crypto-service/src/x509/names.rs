//! Names in requests: a subject as RFC 4514 writes it, and alternative names.

use crate::error::Error;
use std::{net::IpAddr, str::FromStr};
use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{
        Tag, Tagged,
        asn1::{Ia5String, Ia5StringRef, PrintableStringRef, Utf8StringRef},
        oid::ObjectIdentifier,
    },
    ext::pkix::name::GeneralName,
    name::Name,
};

/// Bytes of a subject at most.
const SUBJECT_MAX: usize = 1024;

/// Alternative names at most.
pub(super) const ALTERNATIVES_MAX: usize = 100;

/// Characters of a DNS name, and of one of its labels, at most (RFC 1035, section 2.3.4).
const DNS_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// `countryName`, which has two letters (RFC 5280, appendix A.1).
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");

/// Reads a subject; empty text is an empty name.
pub(super) fn subject(text: &str) -> Result<Name, Error> {
    if text.is_empty() {
        return Ok(Name::default());
    }
    if text.len() > SUBJECT_MAX {
        return Err(Error::bad("subject", format!("has {} bytes; {SUBJECT_MAX} are allowed", text.len())));
    }
    let wrong = || {
        Error::bad(
            "subject",
            "must be a name as in RFC 4514, such as `CN=mail.example.com,O=Example`, without spaces around commas",
        )
    };
    let name = Name::from_str(text).map_err(|_| wrong())?;
    if is_readable(&name) { Ok(name) } else { Err(wrong()) }
}

/// Whether a name can be signed. Parsers take any bytes for a value; what is signed must be what its tag says, and not empty.
pub(super) fn is_readable(name: &Name) -> bool {
    name.iter().all(is_value_readable)
}

fn is_value_readable(attribute: &AttributeTypeAndValue) -> bool {
    let value = &attribute.value;
    let text = match value.tag() {
        Tag::PrintableString => PrintableStringRef::try_from(value).map(|text| text.as_str().to_owned()),
        Tag::Utf8String => Utf8StringRef::try_from(value).map(|text| text.as_str().to_owned()),
        Tag::Ia5String => Ia5StringRef::try_from(value).map(|text| text.as_str().to_owned()),
        // Given as hexadecimal DER: the caller's own business.
        _ => return true,
    };
    let Ok(text) = text else { return false };
    let is_country = attribute.oid != COUNTRY || text.len() == 2;
    is_country && !text.is_empty() && !text.contains(char::is_control)
}

/// Reads an alternative name: an address, or a DNS name, whose first label may be `*`.
pub(super) fn alternative(text: &str) -> Result<GeneralName, Error> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let wrong = || {
        Error::bad(
            "alternative_names",
            format!(
                "must be DNS names or IP addresses, and `{}` is neither; write other than ASCII as `xn--...`",
                text.chars().filter(|c| !c.is_control()).take(100).collect::<String>()
            ),
        )
    };
    if !is_dns_name(text) {
        return Err(wrong());
    }
    Ia5String::new(text).map(GeneralName::DnsName).map_err(|_| wrong())
}

fn is_dns_name(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits is what is left of a mistyped address.
    let is_number =
        rest.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= DNS_MAX && !is_number && rest.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subjects_are_read_in_order_and_checked() {
        for good in [
            "CN=mail.example.com,O=Example",
            "C=DE,CN=x",
            "CN=a\\, b,O=\u{00fc}",
            "OU=a+CN=b,DC=example,DC=net",
            "CN=x,OU=1,OU=2",
        ] {
            let name = subject(good).unwrap();
            assert_eq!(name.iter().count(), good.replace("\\,", "").split([',', '+']).count(), "{good}");
        }
        assert!(subject("").unwrap().is_empty());
        let odd = [
            "mail.example.com",
            "CN=",
            "CN=a, O=b",
            "C=Germany,CN=x",
            "X=1",
            "CN=a\\0ab",
            "DC=\u{00fc}",
            ",",
        ];
        for text in odd {
            assert!(matches!(subject(text), Err(Error::BadRequest { field: "subject", .. })), "{text}");
        }
        assert!(subject(&format!("CN={}", "a".repeat(2000))).is_err());
    }

    #[test]
    fn alternative_names_are_addresses_or_dns_names() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert!(matches!(alternative(address).unwrap(), GeneralName::IpAddress(_)), "{address}");
        }
        for name in
            ["example.com", "*.example.com", "xn--mnchen-3ya.example", "_sip.example.com", "localhost"]
        {
            assert!(matches!(alternative(name).unwrap(), GeneralName::DnsName(_)), "{name}");
        }
        for odd in [
            "",
            ".",
            "a..b",
            "-a.com",
            "a b",
            "a.*.com",
            "*",
            "m\u{00fc}nchen.de",
            "192.0.2.300",
            "a\n",
            &"a".repeat(64),
        ] {
            assert!(alternative(odd).is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,100}", bytes in "[A-Z=,+#\\\\0-9a-f. ]{0,60}") {
            drop((subject(&text), alternative(&text), subject(&bytes)));
        }
    }
}
