//! Writes one replica's chain.

use super::{
    Entry, Stored,
    mark::{Kind, Mark, hash},
};
use crate::{error::Error, store::Table};
use aws_lc_rs::hmac;
use patchbay_backplane::{Change, Committed, Expect, SharedBackplane};
use patchbay_chassis::Clock;
use std::{mem, sync::OnceLock};
use tokio::sync::Mutex;

/// How often a commit is tried whose head row is not as expected.
const ATTEMPTS: usize = 3;

/// Chains given up that are remembered. Each one took somebody who changed the store.
const MAX_LOST: usize = 100;

/// The chain of this replica.
pub(crate) struct Chain {
    replica: String,
    clock: Clock,
    key: OnceLock<hmac::Key>,
    // Held while a commit is on its way, because the next record needs this one's hash.
    state: Mutex<State>,
}

/// What this replica knows of what it has written, whatever the store says.
struct State {
    /// The chain's name: the replica's, with a number once one had to be given up.
    node: String,
    /// The last record that is known to be there.
    end: Mark,
    /// What to expect in the head row; `None` when it has to be read, because a commit was not answered.
    head: Option<Expect>,
    /// What a new chain has to say before anything else.
    notice: Option<Entry>,
    /// Chains given up, and their last records.
    lost: Vec<(String, Mark)>,
    /// Chains begun.
    begun: u64,
}

impl Chain {
    pub(crate) fn new(replica: &str, clock: Clock) -> Self {
        let state = State {
            node: replica.to_owned(),
            end: Mark::default(),
            head: Some(Expect::Absent),
            notice: None,
            lost: Vec::new(),
            begun: 1,
        };
        Self { replica: replica.to_owned(), clock, key: OnceLock::new(), state: Mutex::new(state) }
    }

    pub(crate) fn set_key(&self, key: &[u8; 32]) {
        // Set once, at start.
        drop(self.key.set(hmac::Key::new(hmac::HMAC_SHA256, key)));
    }

    pub(super) fn key(&self) -> Result<&hmac::Key, Error> {
        self.key.get().ok_or(Error::Unavailable)
    }

    /// The last records of this replica's chains, from memory: the store must have got at least that far.
    pub(super) async fn ends(&self) -> Vec<(String, Mark)> {
        let state = self.state.lock().await;
        let mut ends = state.lost.clone();
        ends.push((state.node.clone(), state.end.clone()));
        ends.retain(|(_, end)| end.seq > 0);
        ends
    }

    /// Commits changes and their record. Before the key is known nothing is recorded: that is the root key's own row.
    pub(crate) async fn append(
        &self,
        backplane: &SharedBackplane,
        changes: Vec<Change>,
        entry: Entry,
    ) -> Result<u64, Error> {
        let conflict = || Error::Conflict(entry.target.clone());
        let Some(key) = self.key.get() else {
            return match backplane.commit(changes).await? {
                Committed::Done { revision } => Ok(revision),
                Committed::Conflict { .. } => Err(conflict()),
            };
        };
        let mut state = self.state.lock().await;
        for _ in 0..ATTEMPTS {
            match self.attempt(key, &mut state, backplane, changes.clone(), &entry).await? {
                Committed::Done { revision } => return Ok(revision),
                Committed::Conflict { index } if index < changes.len() => return Err(conflict()),
                // The head: a commit whose answer was lost has taken effect late, or somebody has changed the row.
                Committed::Conflict { .. } => {}
            }
        }
        Err(conflict())
    }

    async fn attempt(
        &self,
        key: &hmac::Key,
        state: &mut State,
        backplane: &SharedBackplane,
        mut changes: Vec<Change>,
        entry: &Entry,
    ) -> Result<Committed, Error> {
        let expect = match state.head.take() {
            Some(expect) => expect,
            None => self.settle(key, state, backplane).await?,
        };
        let mut end = state.end.clone();
        // Last, so that a conflict names the caller's own change.
        for entry in state.notice.iter().chain([entry]) {
            let record = self.link(key, &state.node, &end, entry);
            end = Mark::of(&record);
            changes.push(Table::Audit.put(record.row(), Expect::Absent, &record)?);
        }
        let head = end.sealed(key, Kind::Head, &state.node);
        changes.push(Table::Audit.put(Kind::Head.row(&state.node), expect, &head)?);
        let committed = backplane.commit(changes).await?;
        if let Committed::Done { revision } = committed {
            state.end = end;
            state.head = Some(Expect::Revision(revision));
            state.notice = None;
        }
        Ok(committed)
    }

    /// Reads how far the chain has got. An end that lies before what is known to be there, or that was not written with the key,
    /// would hide what was removed if it was written on from: a new chain is begun, and the old one stays broken.
    async fn settle(
        &self,
        key: &hmac::Key,
        state: &mut State,
        backplane: &SharedBackplane,
    ) -> Result<Expect, Error> {
        let keys = vec![Kind::Head.row(&state.node)];
        let row = backplane.records(&Table::Audit.name(), keys).await?.pop().flatten();
        if let Some(row) = row {
            let end = Mark::open(key, Kind::Head, &state.node, &row.value);
            if let Some(end) = end.filter(|end| *end == state.end || end.seq > state.end.seq) {
                state.end = end;
                return Ok(Expect::Revision(row.revision));
            }
            self.abandon(state);
        } else if state.end.seq > 0 {
            self.abandon(state);
        }
        Ok(Expect::Absent)
    }

    fn abandon(&self, state: &mut State) {
        state.begun += 1;
        let node = format!("{}.{}", self.replica, state.begun);
        let (old, end) = (mem::replace(&mut state.node, node), mem::take(&mut state.end));
        tracing::error!(
            chain = old,
            records = end.seq,
            "the end of this replica's audit chain was changed in the store: it goes on in a new chain"
        );
        if end.seq == 0 {
            return;
        }
        let notice =
            format!("the store has lost or changed the end of this chain: it had {} records", end.seq);
        state.notice = Some(Entry::by_service("audit.broken", &old).detail(notice));
        if state.lost.len() < MAX_LOST {
            state.lost.push((old, end));
        }
    }

    /// Times do not go back within a chain, also when the clock does: keys of rows are in the chain's order.
    fn link(&self, key: &hmac::Key, node: &str, end: &Mark, entry: &Entry) -> Stored {
        let mut record = Stored {
            node: node.to_owned(),
            seq: end.seq + 1,
            at: self.clock.now_millis().max(end.at),
            who: entry.who.clone(),
            op: entry.operation.to_owned(),
            target: entry.target.clone(),
            outcome: entry.outcome.to_owned(),
            detail: entry.detail.clone(),
            hash: String::new(),
        };
        record.hash = hash(key, &end.hash, &record);
        record
    }
}
