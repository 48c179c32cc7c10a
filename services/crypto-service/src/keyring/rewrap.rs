//! Wraps what one root key has wrapped by another, for a store that is restored under a new one.

use super::rows::{HEADERS, Header, KeyName, VersionRow, place};
use crate::{error::Error, root_key::RootKey};
use std::collections::BTreeMap;

/// Rows of the table of keys, by key, as JSON.
type Rows = BTreeMap<String, String>;

/// The same rows, wrapped by `new`.
pub(crate) fn rewrapped(rows: Rows, old: &RootKey, new: &RootKey) -> Result<Rows, Error> {
    let headers = headers(&rows)?;
    let one = |(key, value): (String, String)| {
        let value = match key.split_once('/') {
            Some(("key", name)) => header(&headers, name, new)?,
            Some(("version", place)) => version(&headers, place, &value, old, new)?,
            // Counters and certificates have no secret.
            _ => value,
        };
        Ok((key, value))
    };
    rows.into_iter().map(one).collect()
}

fn headers(rows: &Rows) -> Result<BTreeMap<String, Header>, Error> {
    let named = rows.iter().filter_map(|(key, value)| Some((key.strip_prefix(HEADERS)?, value)));
    named.map(|(name, value)| Ok((name.to_owned(), parse(value)?))).collect()
}

fn header(headers: &BTreeMap<String, Header>, name: &str, new: &RootKey) -> Result<String, Error> {
    let header = headers.get(name).ok_or(Error::BackupUnreadable)?;
    serde_json::to_string(&Header { root: new.id(), ..header.clone() }).map_err(Error::internal)
}

fn version(
    headers: &BTreeMap<String, Header>,
    row: &str,
    value: &str,
    old: &RootKey,
    new: &RootKey,
) -> Result<String, Error> {
    let (name, number) = row.split_once('/').ok_or(Error::BackupUnreadable)?;
    let header = headers.get(name).ok_or(Error::BackupUnreadable)?;
    let number = number.parse().map_err(|_| Error::BackupUnreadable)?;
    let place = place(&KeyName::parse("name", name)?, header, number);
    let version: VersionRow = parse(value)?;
    let material = version.unwrap(old, &place).map_err(|_| Error::BackupUnreadable)?;
    let public = version.public()?;
    let version = VersionRow::wrap(new, &place, version.created, &material, public.as_deref())?;
    serde_json::to_string(&version).map_err(Error::internal)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::BackupUnreadable)
}
