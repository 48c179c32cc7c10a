//! Tables of rows; see `scripts/table.lua` for what is stored. Every call, reading ones too, says what it knows of the
//! server's disk, and is refused by the script where the server could still lose what it answers.

use super::{
    RedisBackplane,
    command::{Arg, COMMIT, Command, REVISION, ROWS, SCAN, Script, parse},
    keys::{self, Ending},
};
use crate::{
    Answer, BackplaneError, Change, Committed, Expect, Name, Order, Record, RecordPage, Records, Scan,
    records,
};
use ::redis::Value;
use bytes::Bytes;
use futures_util::FutureExt;
use std::ops::Bound;

/// Most rows of a page; a script's numbers are exact up to 2^53.
const MAX_LIMIT: u64 = 1 << 32;

impl Records for RedisBackplane {
    fn commit(&self, changes: Vec<Change>) -> Answer<Committed> {
        if let Err(error) = records::check(&changes) {
            return std::future::ready(Err(error)).boxed();
        }
        match commit_command(&changes) {
            Some(command) => self.link.call(command, read_committed),
            None => std::future::ready(Ok(Committed::Done { revision: 0 })).boxed(),
        }
    }

    fn records(&self, table: &Name, keys: Vec<String>) -> Answer<Vec<Option<Record>>> {
        let command = on_server_that_keeps(&ROWS).key(keys::key(table, Ending::Rows));
        let command = keys.iter().fold(command, |command, key| command.arg(key.as_str()));
        self.link.call(command, |reply| {
            let rows: Vec<Option<Bytes>> = parse(reply)?;
            let read = |(key, row): (String, Option<Bytes>)| row.map(|row| record(key, &row)).transpose();
            keys.into_iter().zip(rows).map(read).collect()
        })
    }

    fn scan(&self, table: &Name, scan: Scan) -> Answer<RecordPage> {
        let Some((lower, upper)) = records::bounds(&scan) else {
            // Nothing can lie there; whether the server keeps what it answers is asked nevertheless.
            return self.revision(table).map(|asked| asked.map(|_| RecordPage::default())).boxed();
        };
        let (lower, upper) = (end_text(lower, "-"), end_text(upper, "+"));
        let (verb, from, to) = match scan.order {
            Order::Ascending => ("ZRANGEBYLEX", lower, upper),
            Order::Descending => ("ZREVRANGEBYLEX", upper, lower),
        };
        let command = on_server_that_keeps(&SCAN)
            .key(keys::key(table, Ending::Rows))
            .key(keys::key(table, Ending::RowsInOrder))
            .arg(verb)
            .arg(from)
            .arg(to)
            .arg((scan.limit as u64).min(MAX_LIMIT));
        self.link.call(command, read_page)
    }

    fn revision(&self, table: &Name) -> Answer<u64> {
        let command = on_server_that_keeps(&REVISION).key(keys::key(table, Ending::Revision));
        self.link.call(command, |reply| Ok(parse::<Option<u64>>(reply)?.unwrap_or(0)))
    }
}

fn on_server_that_keeps(script: &'static Script) -> Command {
    Command::script(script).arg(Arg::Doubt)
}

/// `None` when nothing is changed.
fn commit_command(changes: &[Change]) -> Option<Command> {
    let by_table = records::changed_keys(changes);
    let mut command = on_server_that_keeps(&COMMIT).key(keys::last_revision_key(by_table.keys().next()?));
    for table in by_table.keys() {
        let parts = [Ending::Rows, Ending::RowsInOrder, Ending::Revision];
        command = command.keys(parts.map(|part| keys::key(table, part)));
    }
    command = command.arg(Arg::Publish).arg(by_table.len() as u64);
    for (table, keys) in &by_table {
        let keys = serde_json::to_string(keys).expect("text is JSON");
        command = command.arg(keys::key(table, Ending::Channel)).arg(keys);
    }
    for Change { table, key, expect, value } in changes {
        let table = by_table.keys().position(|other| other == table)?;
        let (verb, value) = match value {
            Some(value) => ("put", value.clone()),
            None => ("delete", Bytes::new()),
        };
        command = command.arg(table as u64).arg(key.as_str()).arg(expect_text(*expect)).arg(verb).arg(value);
    }
    Some(command)
}

fn expect_text(expect: Expect) -> String {
    match expect {
        Expect::Anything => "any".to_owned(),
        Expect::Absent => "none".to_owned(),
        Expect::Revision(revision) => revision.to_string(),
    }
}

fn end_text(bound: Bound<String>, unbounded: &str) -> String {
    match bound {
        Bound::Included(key) => format!("[{key}"),
        Bound::Excluded(key) => format!("({key}"),
        Bound::Unbounded => unbounded.to_owned(),
    }
}

fn read_committed(reply: Value) -> Result<Committed, BackplaneError> {
    match parse::<(u8, u64)>(reply)? {
        (1, revision) => Ok(Committed::Done { revision }),
        (_, index) => Ok(Committed::Conflict { index: usize::try_from(index).map_err(|_| malformed())? }),
    }
}

fn read_page(reply: Value) -> Result<RecordPage, BackplaneError> {
    let mut found = parse::<Vec<Bytes>>(reply)?.into_iter();
    let more = found.next().ok_or_else(malformed)? == "1";
    let mut records = Vec::with_capacity(found.len() / 2);
    while let (Some(key), Some(row)) = (found.next(), found.next()) {
        records.push(record(String::from_utf8(key.into()).map_err(|_| malformed())?, &row)?);
    }
    Ok(RecordPage { records, more })
}

/// Reads `<revision>:<value>`.
fn record(key: String, row: &Bytes) -> Result<Record, BackplaneError> {
    let colon = row.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let revision = std::str::from_utf8(row.get(..colon).unwrap_or_default()).ok();
    let revision = revision.and_then(|revision| revision.parse().ok()).ok_or_else(malformed)?;
    Ok(Record { key, value: row.slice(colon + 1..), revision })
}

fn malformed() -> BackplaneError {
    BackplaneError::Refused("a row in Redis is not from a backplane".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_colons_and_binary_values() {
        let read = record("k".into(), &Bytes::from_static(b"17:a:\0\xff")).unwrap();
        assert_eq!((read.revision, &read.value[..]), (17, &b"a:\0\xff"[..]));
        assert!(record("k".into(), &Bytes::from_static(b"17")).is_err());
        assert!(record("k".into(), &Bytes::from_static(b"x:1")).is_err());
    }
}
