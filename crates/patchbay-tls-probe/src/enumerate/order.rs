//! Whether a server chooses by its own order, and which one it is.

use super::suites::choice;
use crate::{
    ask::Asker,
    connection::Stop,
    report::Version,
    suites::{Cipher, Suite, suites_for},
};

/// The suites of a version in order.
pub(super) struct Order {
    pub(super) suites: Vec<u16>,
    pub(super) is_of_server: bool,
    /// Why the order is not known; none when it is.
    pub(super) stop: Option<Stop>,
}

/// Finds the order. `by_list` has what was chosen of each list, in the order in which it was. Without an order of the server they come in ours, the strongest first.
pub(super) async fn find(asker: &Asker<'_>, version: Version, by_list: Vec<Vec<u16>>) -> Order {
    let all: Vec<u16> = by_list.iter().flatten().copied().collect();
    let as_asked =
        |suites: &[u16], stop| Order { suites: in_our_order(version, suites), is_of_server: false, stop };
    if all.len() < 2 {
        return as_asked(&all, None);
    }
    match has_own(asker, version, &all).await {
        Ok(true) => (),
        Ok(false) => return as_asked(&all, None),
        Err(stop) => return as_asked(&all, Some(stop)),
    }
    match merge(asker, version, by_list).await {
        Ok(suites) => Order { suites, is_of_server: true, stop: None },
        Err((suites, stop)) => Order { suites, is_of_server: true, stop: Some(stop) },
    }
}

/// Asks once in one order and once in the other: a server without an order of its own chooses what comes first both times, which are two things.
async fn has_own(asker: &Asker<'_>, version: Version, all: &[u16]) -> Result<bool, Stop> {
    let Some((chosen, _)) = choice(asker, version, all).await? else { return Ok(false) };
    let other = choice(asker, version, &with_last(all, chosen)).await?;
    Ok(other.is_some_and(|(other, _)| other == chosen))
}

/// The list turned round, with one at its end. `ChaCha20` comes late, too: servers that have their own order give way to a client that puts it first, as phones do.
fn with_last(all: &[u16], last: u16) -> Vec<u16> {
    let is_chacha =
        |number: &u16| Suite::by_number(*number).is_some_and(|suite| suite.cipher() == Cipher::ChaCha20);
    let others = all.iter().rev().copied().filter(|number| *number != last);
    let (chacha, plain): (Vec<_>, Vec<_>) = others.partition(is_chacha);
    plain.into_iter().chain(chacha).chain([last]).collect()
}

/// Puts several lists, each in the server's order, into one: it is asked for the best of all until only one list is left.
async fn merge(
    asker: &Asker<'_>,
    version: Version,
    mut by_list: Vec<Vec<u16>>,
) -> Result<Vec<u16>, (Vec<u16>, Stop)> {
    let mut merged = Vec::new();
    while by_list.len() > 1 {
        let rest: Vec<u16> = by_list.iter().flatten().copied().collect();
        match choice(asker, version, &rest).await {
            Ok(Some((chosen, _))) => {
                merged.push(chosen);
                for list in &mut by_list {
                    list.retain(|one| *one != chosen);
                }
                by_list.retain(|list| !list.is_empty());
            }
            // It took them a moment ago.
            Ok(None) => break,
            Err(stop) => {
                merged.extend(rest);
                return Err((merged, stop));
            }
        }
    }
    merged.extend(by_list.into_iter().flatten());
    Ok(merged)
}

fn in_our_order(version: Version, suites: &[u16]) -> Vec<u16> {
    suites_for(version).iter().map(|suite| suite.number).filter(|number| suites.contains(number)).collect()
}
