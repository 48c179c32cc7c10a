//! Reads, checks and prunes all replicas' chains.

use super::{
    HEADS, RECORDS, Stored,
    chain::{Head, hash},
};
use crate::{
    error::Error,
    store::{Store, Table, parse},
};
use patchbay_backplane::{Expect, Order, Scan};
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE: usize = 500;

/// Pages that one request may walk through while it looks for what its filter lets pass.
const PAGES: usize = 40;

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Operations that start with this.
    pub(crate) operation_prefix: String,
    /// This caller; empty for all.
    pub(crate) who: String,
}

impl Filter {
    fn lets_pass(&self, record: &Stored) -> bool {
        record.op.starts_with(&self.operation_prefix) && (self.who.is_empty() || record.who == self.who)
    }
}

/// Records, newest first, and the key to go on after.
pub(crate) async fn read_page(
    store: &Store,
    filter: &Filter,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Stored>, Option<String>), Error> {
    let mut found = Vec::new();
    let mut after = after;
    for _ in 0..PAGES {
        let scan =
            Scan { prefix: RECORDS.to_owned(), after: after.clone(), order: Order::Descending, limit: PAGE };
        let page = store.scan(Table::Audit, scan).await?;
        for record in &page.records {
            after = Some(record.key.clone());
            let stored = parse::<Stored>(record)?.value;
            if filter.lets_pass(&stored) {
                found.push(stored);
            }
            if found.len() == limit {
                return Ok((found, after));
            }
        }
        if !page.more {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}

/// What is known of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Records read.
    pub(crate) records: u64,
    /// Where a record does not fit the one before, or is missing.
    pub(crate) broken_at: Option<u64>,
}

/// Walks all chains. A chain may begin after its first record, because old ones are pruned; it must end where its head says.
pub(crate) async fn verify(store: &Store) -> Result<BTreeMap<String, Checked>, Error> {
    let key = store.chain().key().ok_or(Error::Unavailable)?;
    let mut chains: BTreeMap<String, BTreeMap<u64, Stored>> = BTreeMap::new();
    for stored in all::<Stored>(store, RECORDS).await? {
        chains.entry(stored.1.node.clone()).or_default().insert(stored.1.seq, stored.1);
    }
    let mut heads: BTreeMap<String, Head> = all(store, HEADS)
        .await?
        .into_iter()
        .map(|(key, head)| (key.trim_start_matches(HEADS).to_owned(), head))
        .collect();
    let mut checked: BTreeMap<String, Checked> = BTreeMap::new();
    for (node, records) in &chains {
        let head = heads.remove(node).unwrap_or_default();
        checked.insert(node.clone(), check(key, records, &head));
    }
    Ok(checked)
}

fn check(key: &aws_lc_rs::hmac::Key, records: &BTreeMap<u64, Stored>, head: &Head) -> Checked {
    let mut checked = Checked { records: records.len() as u64, broken_at: None };
    let mut before: Option<&Stored> = None;
    for (seq, record) in records {
        let fits = match before {
            // The hash before a chain's remaining first record has been pruned with it.
            None if *seq > 1 => true,
            None => hash(key, "", record) == record.hash,
            Some(previous) => previous.seq + 1 == *seq && hash(key, &previous.hash, record) == record.hash,
        };
        if !fits {
            checked.broken_at = Some(*seq);
            return checked;
        }
        before = Some(record);
    }
    let end = before.map(|record| (record.seq, record.hash.as_str()));
    if end.is_some_and(|end| end != (head.seq, head.hash.as_str())) {
        checked.broken_at = Some(head.seq);
    }
    checked
}

/// Removes records made before a time, in milliseconds since 1970.
pub(crate) async fn prune(store: &Store, before: u64) -> Result<u64, Error> {
    let end = format!("{RECORDS}{before:014}");
    let mut pruned = 0;
    loop {
        let scan = Scan { prefix: RECORDS.to_owned(), after: None, order: Order::Ascending, limit: PAGE };
        let old: Vec<String> = store
            .scan(Table::Audit, scan)
            .await?
            .records
            .into_iter()
            .map(|record| record.key)
            .take_while(|key| *key < end)
            .collect();
        if old.is_empty() {
            return Ok(pruned);
        }
        pruned += old.len() as u64;
        let changes = old.into_iter().map(|key| Table::Audit.change(key, Expect::Anything, None)).collect();
        store.commit_unrecorded(changes).await?;
    }
}

async fn all<T: serde::de::DeserializeOwned>(store: &Store, prefix: &str) -> Result<Vec<(String, T)>, Error> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let scan =
            Scan { prefix: prefix.to_owned(), after: after.take(), order: Order::Ascending, limit: PAGE };
        let page = store.scan(Table::Audit, scan).await?;
        for record in &page.records {
            found.push((record.key.clone(), parse::<T>(record)?.value));
        }
        if !page.more {
            return Ok(found);
        }
        after = page.records.last().map(|record| record.key.clone());
    }
}
