//! API keys: `pbk_<id>_<secret>`, with which programs get tokens. The tokens name the key as their session, so that revoking it ends them.

use super::{
    attempts::Attempt,
    grants::{self, require_covered, require_held},
    manage::own_or,
    names::{self, Name},
    rows::{self, AccountRow, ApiKeyRow, account_key, api_key_key, owned_key, seen_key},
    secrets, view,
};
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    store::{Table, parse},
};
use patchbay_auth::{Claims, Minted, Scope};
use patchbay_backplane::Expect;
use patchbay_proto::crypto::v1::{ApiKey, CreateApiKeyRequest, CreateApiKeyResponse};
use std::time::Duration;

/// API keys of an account, and bytes of a description, at most.
const MAX_KEYS: usize = 100;
const MAX_DESCRIPTION: usize = 200;

/// What the keys begin with.
const PREFIX: &str = "pbk";

/// Session that the tokens of an API key name.
fn session(id: &str) -> String {
    format!("apikey:{id}")
}

/// Makes an API key and shows its secret, this once.
pub(crate) async fn create(
    core: &Core,
    caller: &Caller,
    request: CreateApiKeyRequest,
) -> Result<CreateApiKeyResponse, Error> {
    let name = own_or(caller, "write", "account", &request.account)?;
    names::shown("description", &request.description, MAX_DESCRIPTION)?;
    let now = core.tokens.now();
    let secret = secrets::generate()?;
    let row = ApiKeyRow {
        id: secrets::id()?,
        account: name.clone(),
        account_id: String::new(),
        fingerprint: secrets::fingerprint(&secret),
        description: request.description,
        scopes: grants::parse_scopes("scopes", &request.scopes)?,
        created: now,
        expires: view::ttl_end("ttl", request.ttl, now)?,
    };
    rows::retrying(|| try_create(core, caller, row.clone())).await?;
    let secret = format!("{PREFIX}_{}_{}", row.id, *secret);
    Ok(CreateApiKeyResponse { api_key: Some(view::api_key(row, None)), secret })
}

async fn try_create(core: &Core, caller: &Caller, mut row: ApiKeyRow) -> Result<(), Error> {
    let account = rows::account(&core.store, &row.account).await?;
    row.account_id.clone_from(&account.value.id);
    check_grants(core, caller, &account.value, &row.scopes).await?;
    check_room(core, &row.account).await?;
    let key = api_key_key(&row.id);
    let changes = vec![
        rows::hold(&account)?,
        Table::Accounts.put(key.clone(), Expect::Absent, &row)?,
        Table::Accounts.put(owned_key(&row.account, &key), Expect::Absent, &())?,
    ];
    let entry = Entry::of(caller, "api_key.create", &row.id).detail(row.account.as_str());
    core.store.commit(changes, entry).await.map(drop)
}

/// Nobody gets by an API key or a credential what he does not have, nor what the account does not have. None given is all that the
/// account has.
pub(super) async fn check_grants(
    core: &Core,
    caller: &Caller,
    account: &AccountRow,
    scopes: &[Scope],
) -> Result<(), Error> {
    let held = grants::effective(&core.store, account).await?;
    require_covered(&held, scopes)?;
    require_held(caller, if scopes.is_empty() { &held } else { scopes })
}

async fn check_room(core: &Core, name: &Name) -> Result<(), Error> {
    let owned = rows::all(&core.store, Table::Accounts, &owned_key(name, "apikey/")).await?;
    if owned.len() < MAX_KEYS {
        return Ok(());
    }
    Err(Error::bad("account", format!("has {MAX_KEYS} API keys, which is the most; revoke one first")))
}

/// Lists an account's API keys, oldest first.
pub(crate) async fn list(core: &Core, caller: &Caller, account: &str) -> Result<Vec<ApiKey>, Error> {
    let name = own_or(caller, "read", "account", account)?;
    rows::account(&core.store, &name).await?;
    let prefix = owned_key(&name, "");
    let owned = rows::all(&core.store, Table::Accounts, &owned_key(&name, "apikey/")).await?;
    let keys: Vec<String> =
        owned.iter().filter_map(|record| Some(record.key.strip_prefix(&prefix)?.to_owned())).collect();
    let seen = core.store.read(Table::Accounts, keys.iter().map(|key| seen_key(key)).collect()).await?;
    let rows = core.store.read(Table::Accounts, keys).await?;
    let mut api_keys = Vec::new();
    for (record, seen) in rows.iter().zip(seen) {
        if let Some(record) = record {
            let row = parse::<ApiKeyRow>(record)?.value;
            api_keys.push(view::api_key(row, seen.as_ref().and_then(view::seconds_of)));
        }
    }
    api_keys.sort_by_key(|key| key.created.map_or(0, |created| created.seconds));
    Ok(api_keys)
}

/// Ends an API key and every token made with it.
pub(crate) async fn revoke(core: &Core, caller: &Caller, id: &str) -> Result<(), Error> {
    let missing = || Error::NotFound(format!("the API key `{id}`"));
    let key = api_key_key(id);
    let row =
        if secrets::is_id(id) { core.store.get::<ApiKeyRow>(Table::Accounts, &key).await? } else { None };
    let Some(row) = row else {
        // Who may not see whose keys there are is not told that there is none.
        caller.require("accounts", "write", "*")?;
        return Err(missing());
    };
    let account = row.value.account.clone();
    own_or(caller, "write", "id", account.as_str()).map_err(unnamed)?;
    let changes = vec![
        Table::Accounts.change(key.clone(), row.unchanged(), None),
        rows::delete(Table::Accounts, owned_key(&account, &key)),
        rows::delete(Table::Accounts, seen_key(&key)),
        core.tokens.revoke_session(&session(id))?,
    ];
    let entry = Entry::of(caller, "api_key.revoke", id).detail(account.as_str());
    match core.store.commit(changes, entry).await {
        Err(Error::Conflict(_)) => Err(missing()),
        other => other.map(drop),
    }?;
    core.tokens.flush().await;
    Ok(())
}

/// A refusal that does not tell whose something is.
pub(super) fn unnamed(error: Error) -> Error {
    match error {
        Error::Denied(_) => Error::Denied("accounts:write:*".to_owned()),
        other => other,
    }
}

/// Gives a token for an API key, with what both the key and its account may now. Only wrong keys are counted against an address and
/// refused for their number: many programs may share one, and there is nothing to guess that a right key would have to wait for.
pub(crate) async fn exchange(
    core: &Core,
    client: &str,
    api_key: &str,
    scopes: &[String],
) -> Result<Minted, Error> {
    let done = try_exchange(core, api_key, scopes).await;
    if matches!(done, Err(Error::ApiKeyInvalid)) {
        core.metrics.failed_sign_ins.inc();
        core.accounts.attempts.admit(Attempt::CredentialAddress(client)).await?;
    }
    done
}

async fn try_exchange(core: &Core, api_key: &str, scopes: &[String]) -> Result<Minted, Error> {
    // Taken before anything is read: what is revoked meanwhile hits this token.
    let now_ms = core.tokens.now_ms();
    let (id, secret) = secrets::split(PREFIX, api_key).ok_or(Error::ApiKeyInvalid)?;
    let row = core.store.get::<ApiKeyRow>(Table::Accounts, &api_key_key(id)).await?;
    let row =
        row.filter(|row| secrets::matches(secret, &row.value.fingerprint)).ok_or(Error::ApiKeyInvalid)?.value;
    if view::is_over(row.expires, now_ms / 1000) {
        return Err(Error::ApiKeyInvalid);
    }
    let account = core.store.get::<AccountRow>(Table::Accounts, &account_key(&row.account)).await?;
    let account = account.map(|account| account.value);
    let account = account.filter(|a| a.id == row.account_id && !a.disabled).ok_or(Error::ApiKeyInvalid)?;
    let allowed = grants::within(&row.scopes, &grants::effective(&core.store, &account).await?);
    let wanted = grants::parse_scopes("scopes", scopes)?;
    if let Some(scope) = wanted.iter().find(|scope| !grants::covers(&allowed, scope)) {
        return Err(Error::bad("scopes", format!("has `{scope}`, which the API key does not allow")));
    }
    note_use(core, &row.id, now_ms / 1000).await;
    let granted = if wanted.is_empty() { allowed } else { wanted };
    let mut claims = Claims::new(account.name.as_str(), granted);
    claims.name = Some(account.display_name).filter(|name| !name.is_empty());
    claims.avatar = Some(account.avatar).filter(|avatar| !avatar.is_empty());
    claims.session = Some(session(&row.id));
    // The tokens of a key end with it.
    if let Some(expires) = row.expires {
        claims.ttl = claims.ttl.min(Duration::from_secs(expires.saturating_sub(now_ms / 1000)));
    }
    core.tokens.mint(claims, now_ms)
}

/// Says nothing of anybody, so nobody waits for its failure.
async fn note_use(core: &Core, id: &str, now: u64) {
    let of = api_key_key(id);
    let noted = async {
        let seen = core.store.get::<u64>(Table::Accounts, &seen_key(&of)).await?;
        if seen.is_some_and(|row| row.value == now - now % 60) {
            return Ok(());
        }
        core.store.commit_unrecorded(vec![rows::seen(&of, now)?]).await.map(drop)
    };
    if let Err(error) = noted.await {
        tracing::debug!(%error, "the use of an API key was not noted");
    }
}
