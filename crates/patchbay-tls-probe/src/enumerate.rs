//! Finds out what a server takes by asking: it chooses one of what is offered, that one is taken off the list, and it is asked again until it refuses.
//!
//! Each question is a connection of its own, so questions are counted and only few run at a time. Whatever is found is told, even when the time is up before all is.

mod alpn;
mod groups;
mod order;
mod suites;
mod versions;

pub(crate) use alpn::application_protocols;
pub(crate) use groups::groups;
pub(crate) use suites::{Taken, suites};
pub(crate) use versions::{First, first_answer};

use crate::{
    ask::{Offer, Share},
    connection::Patience,
    groups::GROUPS,
    report::Version,
    suites::suites_for,
};

/// Suites in one hello: old servers choke on longer lists.
const AT_ONCE: usize = 60;

/// The suites of a version, in lists that old servers can take.
fn lists(version: Version) -> Vec<Vec<u16>> {
    let numbers: Vec<u16> = suites_for(version).iter().map(|suite| suite.number).collect();
    numbers.chunks(AT_ONCE).map(<[u16]>::to_vec).collect()
}

/// The suites that servers take most often.
fn usual(version: Version) -> Vec<u16> {
    lists(version).into_iter().next().unwrap_or_default()
}

/// The groups that a hello of a version names when it is not about groups: all of TLS 1.2 are curves, and in TLS 1.3 the key that comes along must be for one of them.
fn groups_for(version: Version) -> Vec<u16> {
    let of_version = GROUPS.iter().filter(|group| match version {
        Version::Tls13 => group.is_for_tls13(),
        _ => group.is_for_tls12(),
    });
    of_version.map(|group| group.number).collect()
}

fn offer<'a>(version: Version, suites: &'a [u16], groups: &'a [u16]) -> Offer<'a> {
    Offer { version, suites, groups, alpn: &[], share: Share::X25519, patience: Patience::Full }
}
