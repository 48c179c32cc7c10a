//! Checks all replicas' chains. What is proved, and what is not, stands in `docs/guides/keys.md`.

use super::{
    PAGE, RECORDS, Stored, anchor_of,
    mark::{Kind, Mark},
};
use crate::{
    error::Error,
    store::{Store, Table},
};
use aws_lc_rs::hmac;
use patchbay_backplane::{Order, Record, RecordPage, Scan};
use std::collections::BTreeMap;

/// What is known of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Records that fit.
    pub(crate) records: u64,
    /// The first record that is missing, does not fit the one before, or stands where it does not belong.
    pub(crate) broken_at: Option<u64>,
}

/// Walks all chains, a page of rows at a time; what is kept is one place for each chain. Rows of records that belong to no chain are
/// told under an empty name.
///
/// Heads are read first. Records up to them have been there before the walk began, so that each must be met; those after them are
/// being written meanwhile, and need a head by the end.
pub(crate) async fn verify(store: &Store) -> Result<BTreeMap<String, Checked>, Error> {
    let mut verification = Verification { store, key: store.chain().key()?, walks: BTreeMap::new() };
    for (node, end) in store.chain().ends().await {
        verification.walks.entry(node).or_default().due.push(end);
    }
    for (node, head) in verification.heads().await? {
        let walk = verification.walks.entry(node).or_default();
        walk.head = head.seq;
        walk.due.push(head);
    }
    verification.walk().await?;
    verification.finish().await
}

struct Verification<'a> {
    store: &'a Store,
    key: &'a hmac::Key,
    walks: BTreeMap<String, Walk>,
}

/// How far a chain has been followed.
#[derive(Default)]
struct Walk {
    place: Mark,
    /// Last record that must be met; 0 for a chain that had no head when the walk began.
    head: u64,
    /// Places that the chain must lead through.
    due: Vec<Mark>,
    /// Greatest number met after the head.
    newest: u64,
    checked: Checked,
}

impl Walk {
    /// Goes to a place; one that is due must be met with the same hash.
    fn go(&mut self, place: Mark) {
        if self.due.iter().any(|due| due.seq == place.seq && due.hash != place.hash) {
            self.breaks_at(place.seq);
        }
        self.place = place;
    }

    fn breaks_at(&mut self, seq: u64) {
        self.checked.broken_at.get_or_insert(seq);
    }
}

impl Verification<'_> {
    async fn heads(&self) -> Result<Vec<(String, Mark)>, Error> {
        let mut heads = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(Kind::Head.prefix(), after).await?;
            for row in &page.records {
                let node = row.key.trim_start_matches(Kind::Head.prefix());
                // One that was not written with the key is no head, and a chain without one is broken.
                let head = Mark::open(self.key, Kind::Head, node, &row.value).unwrap_or_default();
                heads.push((node.to_owned(), head));
            }
            if !page.more {
                return Ok(heads);
            }
            after = page.records.last().map(|row| row.key.clone());
        }
    }

    async fn page(&self, prefix: &str, after: Option<String>) -> Result<RecordPage, Error> {
        let scan = Scan { prefix: prefix.to_owned(), after, order: Order::Ascending, limit: PAGE };
        self.store.scan(Table::Audit, scan).await
    }

    async fn walk(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.page(RECORDS, after).await?;
            for row in &page.records {
                match Stored::read(row) {
                    Some(record) => self.meet(row, &record).await?,
                    None => self.stray(row),
                }
            }
            if !page.more {
                return Ok(());
            }
            after = page.records.last().map(|row| row.key.clone());
            // Hashing a page takes a while, and others want the thread.
            tokio::task::yield_now().await;
        }
    }

    async fn meet(&mut self, row: &Record, record: &Stored) -> Result<(), Error> {
        let walk = self.walks.entry(record.node.clone()).or_default();
        if walk.checked.broken_at.is_some() {
            return Ok(());
        }
        if record.seq > walk.head {
            walk.newest = walk.newest.max(record.seq);
            return Ok(());
        }
        let is_gap = record.seq > walk.place.seq && !walk.place.leads_to(self.key, record);
        if is_gap && !skip_pruned(self.store, walk, &record.node).await? {
            walk.breaks_at(walk.place.seq + 1);
            return Ok(());
        }
        if record.seq <= walk.place.seq {
            // It was pruned after its page had been read, or somebody has put it there.
            if self.store.read_one(Table::Audit, &row.key).await?.is_some() {
                walk.breaks_at(record.seq);
            }
            return Ok(());
        }
        if is_gap && !walk.place.leads_to(self.key, record) {
            walk.breaks_at(walk.place.seq + 1);
            return Ok(());
        }
        walk.go(Mark::of(record));
        walk.checked.records += 1;
        Ok(())
    }

    /// A row that cannot be read, or that is not where its record belongs.
    fn stray(&mut self, row: &Record) {
        let place = row.key.trim_start_matches(RECORDS).split_once('/').and_then(|(_, rest)| {
            let (node, seq) = rest.rsplit_once('/')?;
            Some((node, seq.parse().ok()?))
        });
        let (node, seq) = place.filter(|(node, _)| self.walks.contains_key(*node)).unwrap_or(("", 0));
        self.walks.entry(node.to_owned()).or_default().breaks_at(seq);
    }

    async fn finish(mut self) -> Result<BTreeMap<String, Checked>, Error> {
        let heads: BTreeMap<String, Mark> = self.heads().await?.into_iter().collect();
        for (node, walk) in &mut self.walks {
            let head = heads.get(node).map_or(0, |head| head.seq);
            let last = walk.due.iter().map(|due| due.seq).max().unwrap_or_default();
            if walk.place.seq < last {
                skip_pruned(self.store, walk, node).await?;
            }
            if walk.place.seq < last {
                walk.breaks_at(walk.place.seq + 1);
            }
            // Not even now is there a head for these.
            if head == 0 || head < walk.newest {
                walk.breaks_at(head + 1);
            }
        }
        Ok(self.walks.into_iter().map(|(node, walk)| (node, walk.checked)).collect())
    }
}

/// Goes to where the chain begins by now. False where that is not further on.
async fn skip_pruned(store: &Store, walk: &mut Walk, node: &str) -> Result<bool, Error> {
    let (anchor, _) = anchor_of(store, node).await?;
    let Some(anchor) = anchor.filter(|anchor| anchor.seq > walk.place.seq) else { return Ok(false) };
    walk.go(anchor);
    Ok(true)
}
