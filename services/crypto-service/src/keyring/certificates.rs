//! Certificates of keys: requests that a version signs, and the chain that belongs to a version.
//!
//! A chain is no secret and changes while its version does not, so that it stands in a row of its own.

use super::{
    Header, KeyName, Keyring, LoadedVersion,
    load::Numbered,
    manage::Plan,
    versions::{ATTEMPTS, check_enabled},
};
use crate::{
    audit::Entry,
    error::Error,
    store::{Row, Table, parse},
    x509::{Chain, Request, Wish},
};
use patchbay_backplane::{Change, Expect};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Chains of one read.
const CHUNK: usize = 500;

/// Characters of a name in the record at most: a template's, or a certificate's, may be any number.
const RECORDED_NAME: usize = 256;

/// The chain of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateRow {
    /// As PEM, the key's own certificate first.
    pub(crate) chain: String,
}

impl KeyName {
    /// Row of a version's chain.
    pub(crate) fn certificate_row(&self, number: u32) -> String {
        format!("certificate/{self}/{number:010}")
    }
}

impl Keyring {
    /// Makes a certificate request for the public half of a version, signed by it. Tells the version too.
    pub(crate) async fn certificate_request(
        &self,
        name: &KeyName,
        version: u32,
        wish: Wish,
        entry: Entry,
    ) -> Result<(String, u32), Error> {
        let key = self.get(name.as_str()).await?;
        let version = Arc::clone(key.encrypting(version)?);
        let request = Request::parse(&wish)?;
        let entry = entry.detail(format!("version {}, {}", version.number, recorded(&request.subject())));
        let number = version.number;
        let operation = "sign certificate requests; Ed25519, ECDSA and RSA keys can";
        let refused = Error::KeyType { key_type: key.key_type().word(), operation };
        // Among quick operations RSA would keep them waiting.
        let signed = self.0.pool.sign(move || sign(request, &version)).await?;
        let csr = signed.ok_or(refused)??;
        self.0.store.record(entry).await?;
        Ok((csr, number))
    }

    /// Puts a chain to a version, the newest where `version` is 0; `None` takes it away.
    pub(crate) async fn set_certificate(
        &self,
        name: &KeyName,
        version: u32,
        chain: Option<Chain>,
        entry: Entry,
    ) -> Result<Header, Error> {
        let number = |header: &Header| if version == 0 { header.latest } else { version };
        let wanted = |header: &Header| {
            let number = number(header);
            if header.available().contains(&number) { vec![number] } else { Vec::new() }
        };
        let (row, rows) = self.snapshot(name, |row| wanted(&row.value)).await?;
        check_enabled(name, &row.value)?;
        let (number, version) = rows.first().ok_or_else(|| Error::KeyVersion(number(&row.value)))?;
        let operation = "have a certificate; only one with a public half can";
        let refused = || Error::KeyType { key_type: row.value.key_type.word(), operation };
        let spki = version.public()?.ok_or_else(refused)?;
        if chain.as_ref().is_some_and(|chain| !chain.is_for(&spki)) {
            return Err(Error::CertificateMismatch);
        }
        let said = chain.as_ref().map_or_else(|| "none".to_owned(), |chain| recorded(chain.subject()));
        let entry = entry.detail(format!("version {number}, {said}"));
        let chain = chain.map(|chain| CertificateRow { chain: chain.into_pem() });
        let written = certificate_change(name, *number, chain.as_ref())?;
        let plan = |header: &Header| {
            check_enabled(name, header)?;
            // What was compared is gone: the key is another one, or has been trimmed.
            if header.id != row.value.id || !header.available().contains(number) {
                return Err(Error::Conflict(format!("the key `{name}`")));
            }
            Ok(Plan::writing(header.clone(), vec![written.clone()]))
        };
        self.change(name, plan, entry).await
    }

    /// All versions that are there, and their chains, as they stood together at one time.
    pub(super) async fn all_versions(
        &self,
        name: &KeyName,
    ) -> Result<(Header, Vec<Numbered>, Vec<Option<CertificateRow>>), Error> {
        for _ in 0..ATTEMPTS {
            let (row, versions) = self.snapshot(name, |row| row.value.available().collect()).await?;
            let numbers: Vec<u32> = versions.iter().map(|(number, _)| *number).collect();
            if let Some(chains) = self.chains(name, &row, &numbers).await? {
                return Ok((row.value, versions, chains));
            }
        }
        Err(Error::Conflict(format!("the key `{name}`")))
    }

    /// Chains of versions, in their order; `None` when the header is not the same any more: a key that was replaced meanwhile has others.
    async fn chains(
        &self,
        name: &KeyName,
        header: &Row<Header>,
        numbers: &[u32],
    ) -> Result<Option<Vec<Option<CertificateRow>>>, Error> {
        if !header.value.key_type.is_asymmetric() {
            return Ok(Some(vec![None; numbers.len()]));
        }
        let mut chains = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(CHUNK) {
            let mut keys: Vec<String> = chunk.iter().map(|number| name.certificate_row(*number)).collect();
            keys.push(name.header_row());
            let mut rows = self.0.store.read(Table::Keys, keys).await?;
            if rows.pop().flatten().is_none_or(|row| row.revision != header.revision) {
                return Ok(None);
            }
            for record in rows {
                chains.push(record.map(|record| parse(&record)).transpose()?.map(|row| row.value));
            }
        }
        Ok(Some(chains))
    }
}

fn recorded(name: &str) -> String {
    let mut characters = name.chars();
    let begun: String = characters.by_ref().take(RECORDED_NAME).collect();
    if characters.next().is_some() { begun + "..." } else { begun }
}

/// Writes a chain, or removes it.
pub(super) fn certificate_change(
    name: &KeyName,
    number: u32,
    chain: Option<&CertificateRow>,
) -> Result<Change, Error> {
    let row = name.certificate_row(number);
    match chain {
        Some(chain) => Table::Keys.put(row, Expect::Anything, chain),
        None => Ok(Table::Keys.change(row, Expect::Anything, None)),
    }
}

fn sign(request: Request, version: &LoadedVersion) -> Option<Result<String, Error>> {
    request.sign(&version.material, version.public.as_deref()?)
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
