//! Rows as callers see them, and times as they are on the wire.

use super::rows::{self, AccountRow, ApiKeyRow, CredentialRow, GroupRow, seen_key};
use crate::{core::Core, error::Error, store::Table};
use futures_util::future::try_join_all;
use patchbay_auth::Scope;
use patchbay_proto::crypto::v1::{Account, ApiKey, Credential, Group, Protocol};
use std::time::Duration;

/// Longest time that an API key or a credential can be given.
const MAX_TTL: i64 = 10 * 366 * 24 * 3600;

/// A time of the wire.
pub(crate) fn timestamp(seconds: u64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}

/// A duration of the wire.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

/// When something ends that is good for a time from now.
pub(crate) fn ttl_end(
    field: &'static str,
    ttl: Option<prost_types::Duration>,
    now: u64,
) -> Result<Option<u64>, Error> {
    let Some(ttl) = ttl else { return Ok(None) };
    let seconds = u64::try_from(ttl.seconds).unwrap_or_default();
    if seconds == 0 || ttl.seconds > MAX_TTL || ttl.nanos != 0 {
        return Err(Error::bad(field, "must be whole seconds, from 1s to 10 years"));
    }
    Ok(Some(now + seconds))
}

/// Whether something that may have an end has ended.
pub(crate) fn is_over(expires: Option<u64>, now: u64) -> bool {
    expires.is_some_and(|end| end <= now)
}

/// Scopes as texts.
pub(crate) fn texts(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

/// Accounts with what is known of their use.
pub(crate) async fn accounts(core: &Core, rows: Vec<AccountRow>) -> Result<Vec<Account>, Error> {
    let keys = rows.iter().map(|row| seen_key(&rows::account_key(&row.name))).collect();
    let seen = core.store.read(Table::Accounts, keys).await?;
    let locks = rows.iter().map(|row| core.accounts.attempts.locked_until(row.name.as_str()));
    let locks = try_join_all(locks).await?;
    let with = rows.into_iter().zip(seen).zip(locks);
    Ok(with.map(|((row, seen), lock)| account(row, seen.as_ref(), lock)).collect())
}

fn account(row: AccountRow, seen: Option<&patchbay_backplane::Record>, locked_until: Option<u64>) -> Account {
    Account {
        name: row.name.into(),
        display_name: row.display_name,
        avatar: row.avatar,
        scopes: texts(&row.scopes),
        groups: row.groups.into_iter().map(String::from).collect(),
        disabled: row.disabled,
        locked_until: locked_until.map(|millis| timestamp(millis.div_ceil(1000))),
        created: Some(timestamp(row.created)),
        last_sign_in: seen.and_then(seconds_of).map(timestamp),
    }
}

pub(crate) fn group(row: GroupRow) -> Group {
    Group { name: row.name.into(), scopes: texts(&row.scopes), description: row.description }
}

pub(crate) fn api_key(row: ApiKeyRow, last_used: Option<u64>) -> ApiKey {
    ApiKey {
        scopes: texts(&row.scopes),
        id: row.id,
        account: row.account.into(),
        description: row.description,
        created: Some(timestamp(row.created)),
        expires: row.expires.map(timestamp),
        last_used: last_used.map(timestamp),
    }
}

pub(crate) fn credential(row: CredentialRow, protocol: Protocol) -> Credential {
    Credential {
        protocol: protocol.into(),
        scopes: texts(&row.scopes),
        username: row.username,
        account: row.account.into(),
        created: Some(timestamp(row.created)),
        expires: row.expires.map(timestamp),
    }
}

/// What stands in a row of last use.
pub(crate) fn seconds_of(record: &patchbay_backplane::Record) -> Option<u64> {
    serde_json::from_slice(&record.value).ok()
}
