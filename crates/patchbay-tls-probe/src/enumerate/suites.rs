//! The suites that a server takes with one version, in its order where it has one.

use super::{groups_for, lists, offer, order};
use crate::{
    ask::{Answer, Asker},
    connection::Stop,
    report::{ProtocolSupport, Suite as ReportedSuite, Version},
    suites::Suite,
    wire::{Flight, KeyExchangeFacts},
};
use futures_util::future::join_all;

/// The suites that a server takes with one version.
pub(crate) struct Taken {
    pub(crate) support: ProtocolSupport,
    /// Bits of the smallest prime that it used.
    pub(crate) prime_bits: Option<u32>,
    /// Why there may be more; none when all were found.
    pub(crate) stop: Option<Stop>,
}

/// Finds them all. Lists are asked for beside each other.
pub(crate) async fn suites(asker: &Asker<'_>, version: Version) -> Taken {
    let found = join_all(lists(version).into_iter().map(|list| drain(asker, version, list))).await;
    let mut stop = None;
    let mut prime_bits = None;
    let mut by_list = Vec::new();
    for one in found {
        prime_bits = smaller(prime_bits, one.prime_bits);
        stop = stop.or(one.stop);
        if !one.chosen.is_empty() {
            by_list.push(one.chosen);
        }
    }
    let order = order::find(asker, version, by_list).await;
    let support = ProtocolSupport {
        version,
        is_supported: true,
        suites: order.suites.into_iter().filter_map(reported).collect(),
        has_server_order: order.is_of_server,
    };
    Taken { support, prime_bits, stop: stop.or(order.stop) }
}

#[derive(Default)]
struct Drained {
    /// In the order in which they were chosen.
    chosen: Vec<u16>,
    prime_bits: Option<u32>,
    stop: Option<Stop>,
}

/// Asks until nothing of a list is taken any more.
async fn drain(asker: &Asker<'_>, version: Version, mut list: Vec<u16>) -> Drained {
    let mut drained = Drained::default();
    while !list.is_empty() {
        match choice(asker, version, &list).await {
            Ok(Some((suite, prime_bits))) => {
                list.retain(|one| *one != suite);
                drained.chosen.push(suite);
                drained.prime_bits = smaller(drained.prime_bits, prime_bits);
            }
            Ok(None) => break,
            Err(stop) => {
                drained.stop = Some(stop);
                break;
            }
        }
    }
    drained
}

/// What a server chooses of a list, with the length of its prime where it used one; none where it takes nothing of it.
pub(super) async fn choice(
    asker: &Asker<'_>,
    version: Version,
    list: &[u16],
) -> Result<Option<(u16, Option<u32>)>, Stop> {
    let groups = groups_for(version);
    let Answer::Chose(flight) = asker.ask(offer(version, list, &groups)).await? else { return Ok(None) };
    let chosen =
        flight.hello.as_ref().filter(|hello| hello.version() == Some(version)).map(|hello| hello.suite);
    // A server that chooses what was not offered would be asked for ever.
    Ok(chosen.filter(|suite| list.contains(suite)).map(|suite| (suite, prime_bits(&flight))))
}

fn prime_bits(flight: &Flight) -> Option<u32> {
    match flight.key_exchange {
        Some(KeyExchangeFacts::PrimeBits(bits)) => Some(bits),
        Some(KeyExchangeFacts::Group(_)) | None => None,
    }
}

fn smaller(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

fn reported(number: u16) -> Option<ReportedSuite> {
    let suite = Suite::by_number(number)?;
    Some(ReportedSuite { name: suite.name, number, severity: suite.severity() })
}
