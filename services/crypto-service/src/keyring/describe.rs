//! Tells what a key is, without its material.

use super::{
    Header, KeyName, Keyring,
    certificates::CertificateRow,
    load::Numbered,
    rows::{HEADERS, UsageRow, usage_row},
};
use crate::{
    error::Error,
    store::{Table, parse},
};
use patchbay_backplane::{Order, Scan};

/// Counters of one read.
const CHUNK: usize = 500;

/// What may be told of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Number, from 1.
    pub number: u32,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// Public half as SPKI DER, for asymmetric keys.
    pub public: Option<Vec<u8>>,
    /// Encryptions that replicas have reserved; 0 for types that are not counted.
    pub encryptions: u64,
    /// Certificate chain as PEM, where one was set.
    pub certificate_chain: Option<String>,
}

/// Headers by name.
#[derive(Clone, Debug, Default)]
pub struct HeaderPage {
    /// Name and header, ascending.
    pub headers: Vec<(String, Header)>,
    /// Whether more follow.
    pub more: bool,
}

impl Keyring {
    /// Reads a key from the store, with the versions that are there.
    pub async fn describe(&self, name: &KeyName) -> Result<(Header, Vec<VersionInfo>), Error> {
        let (header, rows, chains) = self.all_versions(name).await?;
        let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
        let usage = self.usage(&header, &numbers).await?;
        let describe = |(((number, row), encryptions), chain): ((Numbered, u64), Option<CertificateRow>)| {
            let certificate_chain = chain.map(|row| row.chain);
            Ok(VersionInfo {
                number,
                created: row.created,
                public: row.public()?,
                encryptions,
                certificate_chain,
            })
        };
        let versions = rows.into_iter().zip(usage).zip(chains).map(describe).collect::<Result<_, Error>>()?;
        Ok((header, versions))
    }

    /// Encryptions reserved of each version.
    pub(super) async fn usage(&self, header: &Header, numbers: &[u32]) -> Result<Vec<u64>, Error> {
        if !header.key_type.is_counted() {
            return Ok(vec![0; numbers.len()]);
        }
        let mut usage = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(CHUNK) {
            let keys = chunk.iter().map(|number| usage_row(&header.id, *number)).collect();
            for record in self.0.store.read(Table::Keys, keys).await? {
                let row = record.map(|record| parse::<UsageRow>(&record)).transpose()?;
                usage.push(row.map_or(0, |row| row.value.reserved));
            }
        }
        Ok(usage)
    }

    /// Lists headers whose name begins with `prefix`, after a name.
    pub async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<HeaderPage, Error> {
        let row = |name: &str| format!("{HEADERS}{name}");
        let scan = Scan { prefix: row(prefix), after: after.map(row), order: Order::Ascending, limit };
        let page = self.0.store.scan(Table::Keys, scan).await?;
        let header = |record: &patchbay_backplane::Record| {
            let name = record.key.strip_prefix(HEADERS).unwrap_or_default().to_owned();
            Ok((name, parse(record)?.value))
        };
        let headers = page.records.iter().map(header).collect::<Result<_, Error>>()?;
        Ok(HeaderPage { headers, more: page.more })
    }
}
