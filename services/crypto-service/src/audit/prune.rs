//! Removes old records from the front of chains, and keeps the place where each chain goes on.

use super::{
    PAGE, RECORDS, Stored, anchor_of,
    mark::{Kind, Mark},
};
use crate::{
    error::Error,
    store::{Store, Table},
};
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use std::collections::BTreeMap;

/// Where a chain begins, and what to expect in the row that says so.
struct Front {
    /// `None` where the row was altered: nothing more is removed from such a chain.
    place: Option<Mark>,
    expect: Expect,
    has_moved: bool,
}

/// Removes records made before a time, in milliseconds since 1970. The place of the last one is written in the same commit. A record
/// that does not fit the one before is kept with all that follow: removing them would remove what a verification finds.
pub(crate) async fn prune(store: &Store, before: u64) -> Result<u64, Error> {
    let end = format!("{RECORDS}{before:014}");
    let mut fronts: BTreeMap<String, Front> = BTreeMap::new();
    let (mut pruned, mut kept) = (0, 0);
    let mut after = None;
    loop {
        let scan = Scan { prefix: RECORDS.to_owned(), after, order: Order::Ascending, limit: PAGE };
        let page = store.scan(Table::Audit, scan).await?;
        after = page.records.last().map(|row| row.key.clone());
        let old: Vec<Record> = page.records.into_iter().take_while(|row| row.key < end).collect();
        let mut changes = Vec::new();
        for row in &old {
            changes.extend(removal(store, &mut fronts, row).await?);
        }
        let removed = changes.len() as u64;
        kept += old.len() as u64 - removed;
        if !commit(store, &mut fronts, changes).await? {
            // Another replica is at it.
            return Ok(pruned);
        }
        pruned += removed;
        if !page.more || after.as_ref().is_none_or(|last| *last >= end) {
            break;
        }
    }
    if kept > 0 {
        tracing::warn!(
            kept,
            "old audit records are kept because their chains are broken; verify the audit log"
        );
    }
    Ok(pruned)
}

async fn removal(
    store: &Store,
    fronts: &mut BTreeMap<String, Front>,
    row: &Record,
) -> Result<Option<Change>, Error> {
    let Some(record) = Stored::read(row) else { return Ok(None) };
    if !fronts.contains_key(&record.node) {
        let (place, expect) = anchor_of(store, &record.node).await?;
        fronts.insert(record.node.clone(), Front { place, expect, has_moved: false });
    }
    let key = store.chain().key()?;
    let next = fronts
        .get_mut(&record.node)
        .filter(|front| front.place.as_ref().is_some_and(|place| place.leads_to(key, &record)));
    let Some(front) = next else { return Ok(None) };
    front.place = Some(Mark::of(&record));
    front.has_moved = true;
    Ok(Some(Table::Audit.change(row.key.as_str(), Expect::Revision(row.revision), None)))
}

/// False where a row is not as expected.
async fn commit(
    store: &Store,
    fronts: &mut BTreeMap<String, Front>,
    mut changes: Vec<Change>,
) -> Result<bool, Error> {
    let key = store.chain().key()?;
    let moved = |(_, front): &(&String, &mut Front)| front.has_moved;
    for (node, front) in fronts.iter_mut().filter(moved) {
        let Some(place) = &front.place else { continue };
        let anchor = place.sealed(key, Kind::Anchor, node);
        changes.push(Table::Audit.put(Kind::Anchor.row(node), front.expect, &anchor)?);
    }
    if changes.is_empty() {
        return Ok(true);
    }
    let revision = match store.commit_unrecorded(changes).await {
        Ok(revision) => revision,
        Err(Error::Conflict(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    for (_, front) in fronts.iter_mut().filter(moved) {
        front.expect = Expect::Revision(revision);
        front.has_moved = false;
    }
    Ok(true)
}
