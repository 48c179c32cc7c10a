//! The groups for key exchange that a server takes.

use super::{Offer, Share, groups_for, offer, usual};
use crate::{
    ask::{Answer, Asker},
    connection::Stop,
    groups::{Group, X25519},
    report::Version,
    suites::{KeyExchange, Suite},
    wire::KeyExchangeFacts,
};

/// Names of the groups that were found, and why there may be more.
pub(crate) async fn groups(asker: &Asker<'_>, versions: &[Version]) -> (Vec<&'static str>, Option<Stop>) {
    let (mut found, mut stop) = (Vec::new(), None);
    if versions.contains(&Version::Tls13) {
        stop = of_tls13(asker, &mut found).await.err();
    }
    // SSL 3.0 has no extensions to name groups in.
    let older =
        versions.iter().copied().filter(|version| (Version::Tls10..=Version::Tls12).contains(version)).max();
    if let Some(version) = older {
        stop = stop.or(of_older(asker, version, &mut found).await.err());
    }
    (found.iter().filter_map(|number| Group::by_number(*number)).map(|group| group.name).collect(), stop)
}

/// Asks without a key: the server names the group that it wants one for.
async fn of_tls13(asker: &Asker<'_>, found: &mut Vec<u16>) -> Result<(), Stop> {
    let suites = usual(Version::Tls13);
    let mut list = groups_for(Version::Tls13);
    while let Some(group) =
        named(asker.ask(Offer { share: Share::None, ..offer(Version::Tls13, &suites, &list) }).await?)
    {
        if !list.contains(&group) {
            break;
        }
        list.retain(|one| *one != group);
        found.push(group);
    }
    if found.is_empty() {
        // Some servers want a key in every hello.
        found.extend(named(asker.ask(offer(Version::Tls13, &suites, &list)).await?));
    }
    Ok(())
}

/// Asks with suites on curves alone; the curve stands in the server's half of the key exchange.
async fn of_older(asker: &Asker<'_>, version: Version, found: &mut Vec<u16>) -> Result<(), Stop> {
    let is_ecdhe = |number: &u16| {
        Suite::by_number(*number).is_some_and(|suite| suite.key_exchange() == KeyExchange::Ecdhe)
    };
    let suites: Vec<u16> = usual(version).into_iter().filter(is_ecdhe).collect();
    let mut list = groups_for(version);
    let mut needed = Vec::new();
    loop {
        let answer = asker.ask(offer(version, &suites, &list)).await?;
        let Answer::Chose(flight) = &answer else { return Ok(()) };
        let suite = flight.hello.as_ref().and_then(|hello| Suite::by_number(hello.suite));
        let Some(group) = named(answer).filter(|group| list.contains(group) && !needed.contains(group))
        else {
            return Ok(());
        };
        if !found.contains(&group) {
            found.push(group);
        }
        list.retain(|one| *one != group);
        // The groups also say which keys a certificate may have (RFC 8422, section 5.1.1): a curve that a certificate may be on stays, as the last choice.
        if suite.is_some_and(|suite| suite.name.contains("_ECDSA_")) && group != X25519 {
            list.push(group);
            needed.push(group);
        }
        if list.is_empty() {
            return Ok(());
        }
    }
}

fn named(answer: Answer) -> Option<u16> {
    let Answer::Chose(flight) = answer else { return None };
    match flight.key_exchange {
        Some(KeyExchangeFacts::Group(group)) => Some(group),
        _ => flight.hello.as_ref().and_then(|hello| hello.group),
    }
}
