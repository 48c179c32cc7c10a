//! Finds versions that an older root key wraps, and wraps them by the newest.

use super::{
    Header, Keyring,
    rows::{KeyName, VersionRow, header_row, place},
};
use crate::{
    error::Error,
    store::{Table, parse},
};
use patchbay_backplane::{Change, Expect, Order, Record, Scan};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read, and written, at once.
const PAGE: usize = 200;

/// What rows of versions start with.
const VERSIONS: &str = "version/";

/// What one page has brought.
#[derive(Default)]
pub(crate) struct OlderPage {
    /// Changes that wrap anew what an older key has wrapped.
    pub(crate) changes: Vec<Change>,
    /// Rows that no key known here opens.
    pub(crate) unknown: u64,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<String>,
}

impl Keyring {
    /// Looks at the versions after a row.
    pub(crate) async fn older_versions(&self, after: Option<String>) -> Result<OlderPage, Error> {
        self.older_versions_of(VERSIONS, after).await
    }

    /// Makes what was just written readable for all, before anybody is answered: when the root keys have changed since it was wrapped, as for a
    /// replica that had stopped for long, the one that has wrapped it may have gone, and only this replica knows it still.
    pub(super) async fn outlast(&self, wrapped_at: u64, name: &KeyName) -> Result<(), Error> {
        self.0.root.reload(&self.0.store).await?;
        if self.0.root.revision() == wrapped_at {
            return Ok(());
        }
        let (of_key, mut after) = (format!("{VERSIONS}{name}/"), None);
        loop {
            let page = self.older_versions_of(&of_key, after).await?;
            for change in page.changes {
                match self.0.store.commit_unrecorded(vec![change]).await {
                    // Somebody else has wrapped it anew, or removed it.
                    Ok(_) | Err(Error::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if page.next.is_none() {
                return Ok(());
            }
            after = page.next;
        }
    }

    async fn older_versions_of(&self, prefix: &str, after: Option<String>) -> Result<OlderPage, Error> {
        let scan = Scan { prefix: prefix.to_owned(), after, order: Order::Ascending, limit: PAGE };
        let page = self.0.store.scan(Table::Keys, scan).await?;
        let headers = self.headers_of(&page.records).await?;
        let last = page.records.last().map(|record| record.key.clone());
        let mut found = OlderPage { next: last.filter(|_| page.more), ..OlderPage::default() };
        for record in &page.records {
            let Some((name, number)) = name_and_number(&record.key) else { continue };
            // A version whose header has gone since is gone too.
            let Some(header) = headers.get(name) else { continue };
            let place = place(&KeyName::parse("name", name)?, header, number);
            let row: VersionRow = parse(record)?.value;
            match row.rewrapped(&self.0.root, &place) {
                Ok(None) => {}
                Ok(Some(row)) => {
                    let expect = Expect::Revision(record.revision);
                    found.changes.push(Table::Keys.put(record.key.clone(), expect, &row)?);
                }
                Err(_) => found.unknown += 1,
            }
        }
        Ok(found)
    }

    async fn headers_of(&self, versions: &[Record]) -> Result<BTreeMap<String, Header>, Error> {
        let names: BTreeSet<&str> =
            versions.iter().filter_map(|row| Some(name_and_number(&row.key)?.0)).collect();
        let rows = names.iter().map(|name| header_row(name)).collect();
        let rows = self.0.store.read(Table::Keys, rows).await?;
        let read = |(name, row): (&str, Option<Record>)| {
            row.map(|row| Ok((name.to_owned(), parse::<Header>(&row)?.value)))
        };
        names.into_iter().zip(rows).filter_map(read).collect()
    }
}

fn name_and_number(key: &str) -> Option<(&str, u32)> {
    let (name, number) = key.strip_prefix(VERSIONS)?.rsplit_once('/')?;
    Some((name, number.parse().ok()?))
}
