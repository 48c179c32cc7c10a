//! Addresses: at which of them viewers are told to reach the media port, and whose limits theirs count against.
//!
//! A viewer behind the same name as the page cannot be asked where it stands, so the answer goes by what is known: what the operator has
//! configured; else the address that the viewer itself has dialled; else the addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses in one answer at most: each is a candidate that every viewer tries.
const MOST: usize = 8;

/// Beginnings of the names of interfaces that lead only to containers and machines on this one.
const INSIDE: [&str; 6] = ["docker", "br-", "veth", "virbr", "cni", "flannel"];

/// An address of this machine, and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Name, such as `eth0`.
    pub(crate) name: String,
    /// Address.
    pub(crate) address: IpAddr,
}

/// Which addresses the media port is reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    /// It is bound to an address of IPv4: one of IPv6 would be tried in vain.
    Ipv4,
    /// It is bound to an address of IPv6, and so, as `[::]`, to both.
    Both,
}

impl Families {
    /// By the address to which it is bound.
    pub(crate) fn of(bound: IpAddr) -> Self {
        if bound.is_ipv4() { Self::Ipv4 } else { Self::Both }
    }

    fn have(self, address: IpAddr) -> bool {
        self == Self::Both || address.is_ipv4()
    }
}

/// The addresses for one viewer, best first. `host` is the authority that it has dialled, as in the header `Host`. What is configured is not judged:
/// something in between may translate.
pub(crate) fn choose(
    configured: &[IpAddr],
    host: Option<&str>,
    interfaces: &[Interface],
    families: Families,
) -> Vec<IpAddr> {
    if !configured.is_empty() {
        return first(configured.iter().copied());
    }
    let mut dialled = host.map(dialled).unwrap_or_default();
    dialled.retain(|address| families.have(*address));
    if !dialled.is_empty() {
        return dialled;
    }
    let outside = interfaces.iter().filter(|interface| leads_outside(interface)).map(|at| at.address);
    let outside = first(outside.filter(|address| families.have(*address)));
    if outside.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { outside }
}

/// The addresses of this machine; none where the system does not tell.
pub(crate) fn interfaces() -> Vec<Interface> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the system does not tell the addresses of its interfaces: set `media.public_addresses`");
        Vec::new()
    });
    found.into_iter().map(|found| Interface { address: found.ip(), name: found.name }).collect()
}

/// What an authority means as addresses: an address literal itself, `localhost` the two of this machine, another name nothing.
fn dialled(authority: &str) -> Vec<IpAddr> {
    let host = without_port(authority.trim());
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let address = literal.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    address.filter(|address| is_of_one_machine(*address)).into_iter().collect()
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // In `[::1]` the last colon is part of the address.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    }
}

fn leads_outside(interface: &Interface) -> bool {
    let address = interface.address;
    let inside = INSIDE.iter().any(|prefix| interface.name.starts_with(prefix));
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !inside && !link_local && !address.is_loopback() && is_of_one_machine(address)
}

fn is_of_one_machine(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// IPv4 first, for more networks carry it; each once.
fn first(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut chosen: Vec<IpAddr> = Vec::new();
    for address in addresses.map(|address| address.to_canonical()) {
        if !chosen.contains(&address) {
            chosen.push(address);
        }
    }
    chosen.sort_by_key(IpAddr::is_ipv6);
    chosen.truncate(MOST);
    chosen
}

/// Against whose limits an address counts: one household has one IPv4 address, or one IPv6 network of 64 bits.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
