//! What kind of address one is, after IANA's registries of special-purpose addresses (RFC 6890).
//!
//! IPv6 has many ways to write an IPv4 address (mapped, compatible, translated, NAT64, 6to4, ISATAP): each is taken for what it leads to, so that none is a way around a check. What looks like several of
//! them at once is taken for the worst.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What kind of address one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Of the open internet.
    Public,
    /// This machine.
    Loopback,
    /// Neighbours on the same wire.
    LinkLocal,
    /// A private network (RFC 1918, RFC 4193).
    Private,
    /// A carrier's shared network (RFC 6598).
    Shared,
    /// Where a cloud tells a machine its secrets.
    Metadata,
    /// A group of receivers.
    Multicast,
    /// All at once.
    Broadcast,
    /// None.
    Unspecified,
    /// For examples in texts.
    Documentation,
    /// For measurements in laboratories.
    Benchmark,
    /// Of a range that is not in use, or of a translation that hides where it leads.
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::Shared => "an address of a carrier's shared network",
            Self::Metadata => "a cloud's metadata address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "an address for documentation",
            Self::Benchmark => "an address for benchmarks",
            Self::Reserved => "a reserved address",
        })
    }
}

/// What kind of address this is; one that carries an IPv4 address is of that one's kind.
pub fn kind_of(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => translated(address).map_or_else(|| kind_on_its_way(address), kind_of_v4),
    }
}

/// The IPv4 addresses that an IPv6 address may lead to.
pub(crate) fn leads_to(address: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let found = match address {
        IpAddr::V4(_) => [None; 3],
        IpAddr::V6(address) => [translated(address), by_6to4(address), by_isatap(address)],
    };
    found.into_iter().flatten()
}

/// The kind of an address that is routed as it is written, and may be unpacked at the end: it is public only where both it and all that it carries are.
fn kind_on_its_way(address: Ipv6Addr) -> AddressKind {
    let carried = [by_6to4(address), by_isatap(address)].into_iter().flatten().map(kind_of_v4);
    let mut kinds = std::iter::once(kind_of_v6(address)).chain(carried);
    kinds.find(|kind| *kind != AddressKind::Public).unwrap_or(AddressKind::Public)
}

/// Metadata services of clouds: the usual one, AWS for containers, Azure, Alibaba, Oracle.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Metadata services of AWS and of Google by IPv6.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn kind_of_v4(address: Ipv4Addr) -> AddressKind {
    if METADATA_V4.contains(&address) {
        return AddressKind::Metadata;
    }
    match address.octets() {
        [0, ..] => AddressKind::Unspecified,
        [127, ..] => AddressKind::Loopback,
        [169, 254, ..] => AddressKind::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::Shared,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressKind::Documentation,
        [198, 18..=19, ..] => AddressKind::Benchmark,
        [224..=239, ..] => AddressKind::Multicast,
        [255, 255, 255, 255] => AddressKind::Broadcast,
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> AddressKind {
    if METADATA_V6.contains(&address) {
        return AddressKind::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressKind::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        // fec0::/10 were site-local addresses (RFC 3879).
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressKind::Private,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Documentation,
        [0x2001, 2, 0, ..] => AddressKind::Benchmark,
        // 2001::/23 has protocols' own addresses: Teredo, whose servers pass packets on into private networks, and ORCHID, which are no addresses of machines.
        [0x2001, 0..=0x01ff, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

/// Addresses that are only another way to write an IPv4 address: compatible (RFC 4291), mapped, translated (RFC 2765), NAT64 (RFC 6052).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // The unspecified and the loopback address look like compatible ones and are not.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from_segments(high, low)),
        _ => None,
    }
}

/// 6to4 (RFC 3056).
fn by_6to4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x2002, high, low, ..] = address.segments() else { return None };
    Some(from_segments(high, low))
}

/// ISATAP (RFC 5214): in any network, the last half says where a router of that network sends it.
fn by_isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] = address.segments() else { return None };
    Some(from_segments(high, low))
}

fn from_segments(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressKind::{
        Benchmark, Broadcast, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private, Public,
        Reserved, Shared, Unspecified,
    };

    #[test]
    fn kinds_are_told_apart() {
        let cases: &[(AddressKind, &[&str])] = &[
            (
                Public,
                &["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111"],
            ),
            (Loopback, &["127.0.0.1", "127.255.0.9", "::1"]),
            (LinkLocal, &["169.254.1.1", "fe80::1", "febf::1"]),
            (
                Private,
                &["10.9.8.7", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fdff::1", "fec0::1"],
            ),
            (Shared, &["100.64.0.1", "100.127.255.255"]),
            (
                Metadata,
                &["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"],
            ),
            (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1"]),
            (Broadcast, &["255.255.255.255"]),
            (Unspecified, &["0.0.0.0", "0.1.2.3", "::"]),
            (Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff:fff::1"]),
            (Benchmark, &["198.18.0.1", "198.19.255.255", "2001:2::1"]),
            (
                Reserved,
                &[
                    "192.0.0.1",
                    "192.88.99.1",
                    "240.0.0.1",
                    "2001:0:1::1",
                    "100::1",
                    "5f00::1",
                    "64:ff9b:1::1",
                ],
            ),
        ];
        for (kind, addresses) in cases {
            for address in *addresses {
                assert_eq!(kind_of(address.parse().unwrap()), *kind, "{address}");
            }
        }
    }

    #[test]
    fn an_ipv4_address_within_an_ipv6_address_is_taken_for_what_it_is() {
        for (inner, kind) in [
            ("127.0.0.1", Loopback),
            ("10.0.0.1", Private),
            ("169.254.169.254", Metadata),
            ("8.8.8.8", Public),
        ] {
            let v4: Ipv4Addr = inner.parse().unwrap();
            let [a, b, c, d] = v4.octets();
            let forms = [
                format!("::ffff:{inner}"),
                format!("::{inner}"),
                format!("::ffff:0:{inner}"),
                format!("64:ff9b::{inner}"),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
                format!("2606:4700::5efe:{inner}"),
            ];
            for form in forms {
                assert_eq!(kind_of(form.parse().unwrap()), kind, "{form}");
            }
        }
    }

    #[test]
    fn an_address_of_several_forms_is_taken_for_the_worst_of_them() {
        for (address, kind) in [
            // A public address at the end of a 6to4 network that begins with a private one, and the other way round.
            ("2002:a00:1::5efe:8.8.8.8", Private),
            ("2002:7f00:1::200:5efe:8.8.8.8", Loopback),
            ("2002:808:808::5efe:10.0.0.1", Private),
            // A public address in a network that is not.
            ("fd00::5efe:8.8.8.8", Private),
            ("fe80::5efe:8.8.8.8", LinkLocal),
            ("2001:db8::5efe:8.8.8.8", Documentation),
            ("2001:0:1::5efe:8.8.8.8", Reserved),
            ("::5efe:8.8.8.8", Reserved),
            ("2002:808:808::5efe:1.1.1.1", Public),
        ] {
            assert_eq!(kind_of(address.parse().unwrap()), kind, "{address}");
        }
    }
}
