//! Reads all replicas' records.

use super::{PAGE, RECORDS, Stored};
use crate::{
    error::Error,
    store::{Store, Table},
};
use patchbay_backplane::{Order, Scan};

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
            // What is no record must not hide those that are; a verification tells of it.
            let Some(stored) = Stored::read(record) else { continue };
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
