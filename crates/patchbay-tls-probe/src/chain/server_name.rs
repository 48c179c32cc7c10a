//! Whether a certificate is for a name (RFC 9525): alternative names only, a wildcard is a whole first label and stands for exactly one, addresses are compared as numbers.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;

use crate::certificate::Parsed;

/// Whether `certificate` is for `server_name`, which is a DNS name or an address, with or without brackets.
pub(crate) fn matches(certificate: &Parsed<'_>, server_name: &str) -> bool {
    if let Some(address) = address(server_name) {
        return certificate
            .alternative_names()
            .any(|name| matches!(name, GeneralName::IPAddress(bytes) if is_address(bytes, address)));
    }
    let reference = server_name.strip_suffix('.').unwrap_or(server_name);
    certificate
        .alternative_names()
        .any(|name| matches!(name, GeneralName::DNSName(presented) if is_name(presented, reference)))
}

/// Whether the common name would fit, which clients have not looked at since 2017.
pub(super) fn has_only_in_common_name(certificate: &Parsed<'_>, server_name: &str) -> bool {
    let has_names = certificate.alternative_names().next().is_some();
    !has_names
        && certificate
            .x509
            .subject
            .iter_common_name()
            .filter_map(|name| name.as_str().ok())
            .any(|name| is_name(name, server_name))
}

pub(super) fn address(server_name: &str) -> Option<IpAddr> {
    let bare = server_name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    bare.unwrap_or(server_name).parse().ok()
}

fn is_address(bytes: &[u8], address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => bytes == address.octets(),
        IpAddr::V6(address) => bytes == address.octets(),
    }
}

fn is_name(presented: &str, reference: &str) -> bool {
    let presented = presented.strip_suffix('.').unwrap_or(presented);
    let Some(rest) = presented.strip_prefix("*.") else {
        return !presented.is_empty() && presented.eq_ignore_ascii_case(reference);
    };
    let Some((first, parent)) = reference.split_once('.') else { return false };
    // A wildcard right under the top would be for everybody's names.
    !first.is_empty() && rest.contains('.') && !rest.contains('*') && rest.eq_ignore_ascii_case(parent)
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_wildcard_stands_for_one_whole_label() {
        assert!(is_name("*.example.com", "www.example.com"));
        assert!(is_name("*.Example.com.", "WWW.example.COM"));
        for reference in ["example.com", "a.b.example.com", ".example.com", "www.example.org", "com"] {
            assert!(!is_name("*.example.com", reference), "{reference}");
        }
        for presented in [
            "*",
            "*.",
            "*.com",
            "w*.example.com",
            "*w.example.com",
            "www.*.com",
            "*.*.com",
            "**.example.com",
            "",
        ] {
            assert!(!is_name(presented, "www.example.com"), "{presented}");
        }
    }
}
