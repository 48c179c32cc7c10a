//! Tables of rows.

use super::RedisBackplane;
use crate::{Answer, BackplaneError, Change, Committed, Name, Record, RecordPage, Records, Scan};
use futures_util::FutureExt;

fn refused<T: Send + 'static>() -> Answer<T> {
    std::future::ready(Err(BackplaneError::Refused("tables are not on Redis yet".into()))).boxed()
}

impl Records for RedisBackplane {
    fn commit(&self, _: Vec<Change>) -> Answer<Committed> {
        refused()
    }

    fn records(&self, _: &Name, _: Vec<String>) -> Answer<Vec<Option<Record>>> {
        refused()
    }

    fn scan(&self, _: &Name, _: Scan) -> Answer<RecordPage> {
        refused()
    }

    fn revision(&self, _: &Name) -> Answer<u64> {
        refused()
    }
}
