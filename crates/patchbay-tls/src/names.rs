//! For which names the local authority signs. It is trusted by browsers of the people who use it, so whoever gets hold
//! of its key must not be able to pose as a bank: the permitted names stand in the authority's own certificate (name
//! constraints, RFC 5280, section 4.2.1.10), and browsers hold it to them.

use crate::error::TlsError;
use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Domains that nobody can own on the public Internet.
const DOMAINS: [&str; 7] = ["localhost", "local", "lan", "internal", "home.arpa", "test", "example"];

/// Networks of this machine and of private networks.
const NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// Longest name of a host (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// Names by which this machine is always reached.
pub(crate) const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The machine's own name, where it has one that can stand in a certificate.
pub(crate) fn of_this_machine() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    machine(name.trim())
}

/// A name without a dot is taken as networks tell it (RFC 6762, section 3): who may sign for `dev` or `app` may sign for
/// all that is below it, and these are domains of the Internet.
fn machine(name: &str) -> Option<String> {
    let name = canonical(name).ok()?;
    let is_whole = name.contains(['.', ':']) || DOMAINS.contains(&name.as_str());
    Some(if is_whole { name } else { format!("{name}.local") })
}

/// One spelling for each name; `*.` may stand before a name of a host.
pub(crate) fn canonical(name: &str) -> Result<String, TlsError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(address.to_canonical().to_string());
    }
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    let host = lower.strip_prefix("*.").unwrap_or(&lower);
    let is_host = host.len() <= MAX_NAME && host.split('.').all(is_label);
    if is_host { Ok(lower) } else { Err(TlsError::NotAName(name.to_owned())) }
}

fn is_label(label: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_hyphen_outside = label.starts_with('-') || label.ends_with('-');
    (1..=63).contains(&label.len()) && !has_hyphen_outside && label.bytes().all(is_inside)
}

/// What a new authority is held to.
pub(crate) fn constraints(machine: Option<&str>) -> NameConstraints {
    let own = machine.filter(|name| !is_below(name, DOMAINS));
    let domains = DOMAINS.into_iter().chain(own).map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let networks = NETWORKS
        .into_iter()
        .map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix)));
    NameConstraints { permitted_subtrees: domains.chain(networks).collect(), excluded_subtrees: Vec::new() }
}

/// Whether an authority with these domains may sign for a canonical name.
pub(crate) fn is_permitted(name: &str, domains: &[String]) -> bool {
    match name.parse() {
        Ok(address) => NETWORKS.into_iter().any(|network| contains(network, address)),
        Err(_) => is_below(name, domains.iter().map(String::as_str)),
    }
}

fn is_below<'d>(name: &str, domains: impl IntoIterator<Item = &'d str>) -> bool {
    let is_in =
        |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    domains.into_iter().any(is_in)
}

fn contains((network, prefix): (IpAddr, u8), address: IpAddr) -> bool {
    let shift = |width: u32| width.saturating_sub(u32::from(prefix));
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (name, expected) in [
            ("Example.LOCAL.", Some("example.local")),
            ("*.home.lan", Some("*.home.lan")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("", None),
            ("a..b", None),
            ("a b", None),
            ("-a.local", None),
            ("https://a.local", None),
            ("a.*.local", None),
            ("例.local", None),
        ] {
            assert_eq!(canonical(name).ok().as_deref(), expected, "{name}");
        }
        assert!(canonical(&"a".repeat(64)).is_err() && canonical(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn a_machine_is_no_domain_of_the_internet() {
        for (name, expected) in [
            ("dev", "dev.local"),
            ("NAS", "nas.local"),
            ("nas.example.org", "nas.example.org"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(machine(name).as_deref(), Some(expected));
        }
        assert_eq!(machine("(none)"), None);
        let signs = |machine: &str| {
            constraints(Some(machine)).permitted_subtrees.into_iter().any(|subtree| {
                matches!(subtree, GeneralSubtree::DnsName(name) if is_below("bank.dev", [name.as_str()]))
            })
        };
        assert!(!signs(&super::machine("dev").unwrap()));
        assert!(signs("dev"), "it would");
    }

    #[test]
    fn the_public_internet_is_not_ours() {
        let domains: Vec<String> = DOMAINS.map(str::to_owned).into();
        for good in [
            "localhost",
            "a.localhost",
            "*.b.local",
            "nas.home.arpa",
            "10.1.2.3",
            "192.168.0.9",
            "::1",
            "fd00::1",
            "fe80::9",
        ] {
            assert!(is_permitted(good, &domains), "{good}");
        }
        for bad in [
            "bank.com",
            "notlocal",
            "local.com",
            "home",
            "8.8.8.8",
            "172.32.0.1",
            "::2",
            "2001:db8::1",
            "11.0.0.1",
        ] {
            assert!(!is_permitted(bad, &domains), "{bad}");
        }
    }
}
