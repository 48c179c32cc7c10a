//! Accounts: make, read, list, change, delete.

use super::{
    grants::{self, Changed, require_held},
    names::{self, Name},
    password,
    rows::{self, AccountRow, account_key, owned_key, seen_key},
    secrets, view,
};
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    store::{Table, parse},
    tokens::sessions,
};
use patchbay_auth::Scope;
use patchbay_backplane::{Change, Expect, Order, Scan};
use patchbay_proto::crypto::v1::{
    Account, CreateAccountRequest, GetAccountResponse, ListAccountsRequest, ListAccountsResponse,
    UpdateAccountRequest,
};
use std::sync::Arc;

/// Bytes of a display name and of a picture's address at most.
const MAX_DISPLAY_NAME: usize = 128;
const MAX_AVATAR: usize = 1024;

/// Accounts of a page, and those of one that asks for no number.
const MAX_PAGE: u32 = 1000;
const DEFAULT_PAGE: u32 = 100;

/// An account without scopes, as it is before it is stored.
pub(super) fn new_account(core: &Core, name: Name, password: Option<String>) -> Result<AccountRow, Error> {
    Ok(AccountRow {
        id: secrets::id()?,
        name,
        display_name: String::new(),
        avatar: String::new(),
        scopes: Vec::new(),
        groups: Vec::new(),
        disabled: false,
        password,
        created: core.tokens.now(),
        sessions_mark: secrets::id()?,
    })
}

/// Makes an account.
pub(crate) async fn create(
    core: &Arc<Core>,
    caller: &Caller,
    request: CreateAccountRequest,
) -> Result<Account, Error> {
    caller.require("accounts", "write", &request.name)?;
    let name = Name::account("name", &request.name)?;
    names::shown("display_name", &request.display_name, MAX_DISPLAY_NAME)?;
    names::shown("avatar", &request.avatar, MAX_AVATAR)?;
    let mut account = new_account(core, name.clone(), None)?;
    account.scopes = grants::parse_scopes("scopes", &request.scopes)?;
    account.groups = grants::parse_groups("groups", &request.groups)?;
    account.display_name = request.display_name;
    account.avatar = request.avatar;
    require_held(caller, &account.scopes)?;
    let password = zeroize::Zeroizing::new(request.password);
    if !password.is_empty() {
        password::check(core, &name, &password)?;
        account.password = Some(password::hash(core, &password).await?);
    }
    rows::retrying(|| try_create(core, caller, &account)).await?;
    one(core, account).await
}

async fn try_create(core: &Core, caller: &Caller, account: &AccountRow) -> Result<(), Error> {
    let guard = rows::guard(&core.store).await?;
    let key = account_key(&account.name);
    if core.store.read_one(Table::Accounts, &key).await?.is_some() {
        return Err(Error::AlreadyExists(format!("the account `{}`", account.name)));
    }
    check_grants(core, caller, account).await?;
    let changes = vec![rows::bump(guard.as_ref())?, Table::Accounts.put(key, Expect::Absent, account)?];
    core.store.commit(changes, Entry::of(caller, "account.create", account.name.as_str())).await.map(drop)
}

/// Reads an account; the caller's own where no name is given.
pub(crate) async fn get(core: &Core, caller: &Caller, name: &str) -> Result<GetAccountResponse, Error> {
    let name = own_or(caller, "read", "name", name)?;
    let row = rows::account(&core.store, &name).await?.value;
    let effective_scopes = view::texts(&grants::effective(&core.store, &row).await?);
    Ok(GetAccountResponse { account: Some(one(core, row).await?), effective_scopes })
}

/// Lists accounts by name.
pub(crate) async fn list(
    core: &Core,
    caller: &Caller,
    request: ListAccountsRequest,
) -> Result<ListAccountsResponse, Error> {
    caller.require("accounts", "read", "*")?;
    let limit = match request.page_size {
        0 => DEFAULT_PAGE,
        size if size <= MAX_PAGE => size,
        _ => return Err(Error::bad("page_size", format!("must be {MAX_PAGE} at most"))),
    };
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(account_key(&Name::group("page_token", token)?)),
    };
    let scan = Scan { prefix: "account/".to_owned(), after, order: Order::Ascending, limit: limit as usize };
    let page = core.store.scan(Table::Accounts, scan).await?;
    let rows = page.records.iter().map(|record| Ok(parse::<AccountRow>(record)?.value));
    let rows = rows.collect::<Result<Vec<_>, Error>>()?;
    let last = rows.last().map(|row| row.name.to_string()).unwrap_or_default();
    let next_page_token = if page.more { last } else { String::new() };
    Ok(ListAccountsResponse { accounts: view::accounts(core, rows).await?, next_page_token })
}

/// Changes what is given.
pub(crate) async fn update(
    core: &Arc<Core>,
    caller: &Caller,
    request: UpdateAccountRequest,
) -> Result<Account, Error> {
    caller.require("accounts", "write", &request.name)?;
    let name = Name::account("name", &request.name)?;
    let account = rows::retrying(|| try_update(core, caller, &name, &request)).await?;
    core.tokens.flush().await;
    one(core, account).await
}

async fn try_update(
    core: &Core,
    caller: &Caller,
    name: &Name,
    request: &UpdateAccountRequest,
) -> Result<AccountRow, Error> {
    let guard = rows::guard(&core.store).await?;
    let row = rows::account(&core.store, name).await?;
    let expect = row.unchanged();
    let before = row.value;
    let held_before = grants::effective(&core.store, &before).await?;
    require_held(caller, &held_before)?;
    let mut account = changed(&before, request)?;
    let held = check_grants(core, caller, &account).await?;
    let was_admin = !before.disabled && held_before.contains(&Scope::Admin);
    if was_admin && (account.disabled || !held.contains(&Scope::Admin)) {
        grants::require_admin(&core.store, Changed::Account(&account)).await?;
    }
    let mut changes = vec![rows::bump(guard.as_ref())?];
    let has_less = grants::require_covered(&held, &held_before).is_err();
    if account.disabled && !before.disabled {
        account.sessions_mark = secrets::id()?;
        changes.extend(sessions::end_all(core, name, None).await?);
    }
    if has_less || (account.disabled && !before.disabled) {
        // Tokens that say more than the account may now.
        changes.push(core.tokens.revoke_subject(name.as_str())?);
    }
    changes.push(Table::Accounts.put(account_key(name), expect, &account)?);
    core.store.commit(changes, Entry::of(caller, "account.update", name.as_str())).await?;
    Ok(account)
}

fn changed(before: &AccountRow, request: &UpdateAccountRequest) -> Result<AccountRow, Error> {
    let mut account = before.clone();
    if let Some(display_name) = &request.display_name {
        names::shown("display_name", display_name, MAX_DISPLAY_NAME)?;
        account.display_name.clone_from(display_name);
    }
    if let Some(avatar) = &request.avatar {
        names::shown("avatar", avatar, MAX_AVATAR)?;
        account.avatar.clone_from(avatar);
    }
    if let Some(list) = &request.scopes {
        account.scopes = grants::parse_scopes("scopes", &list.scopes)?;
    }
    if let Some(list) = &request.groups {
        account.groups = grants::parse_groups("groups", &list.groups)?;
    }
    account.disabled = request.disabled.unwrap_or(account.disabled);
    Ok(account)
}

/// Requires that the groups are there, that all scopes fit in a token, and that the caller has them himself; returns them.
async fn check_grants(core: &Core, caller: &Caller, account: &AccountRow) -> Result<Vec<Scope>, Error> {
    let keys: Vec<String> = account.groups.iter().map(rows::group_key).collect();
    if !keys.is_empty() {
        let found = core.store.read(Table::Accounts, keys).await?;
        let missing = account.groups.iter().zip(found).find(|(_, record)| record.is_none());
        if let Some((group, _)) = missing {
            return Err(Error::bad("groups", format!("names `{group}`, which does not exist")));
        }
    }
    let held = grants::effective(&core.store, account).await?;
    grants::check_size("scopes", &held)?;
    require_held(caller, &held)?;
    Ok(held)
}

/// Removes an account and everything that acts for it.
pub(crate) async fn delete(core: &Arc<Core>, caller: &Caller, name: &str) -> Result<(), Error> {
    caller.require("accounts", "write", name)?;
    let name = Name::account("name", name)?;
    rows::retrying(|| try_delete(core, caller, &name)).await?;
    core.tokens.flush().await;
    Ok(())
}

async fn try_delete(core: &Core, caller: &Caller, name: &Name) -> Result<(), Error> {
    let guard = rows::guard(&core.store).await?;
    let row = rows::account(&core.store, name).await?;
    let held = grants::effective(&core.store, &row.value).await?;
    require_held(caller, &held)?;
    if !row.value.disabled && held.contains(&Scope::Admin) {
        grants::require_admin(&core.store, Changed::NoAccount(name)).await?;
    }
    let key = account_key(name);
    let mut changes = vec![
        rows::bump(guard.as_ref())?,
        Table::Accounts.change(key.clone(), row.unchanged(), None),
        rows::delete(Table::Accounts, seen_key(&key)),
    ];
    changes.extend(owned(core, name).await?);
    changes.extend(sessions::end_all(core, name, None).await?);
    changes.push(core.tokens.revoke_subject(name.as_str())?);
    core.store.commit(changes, Entry::of(caller, "account.delete", name.as_str())).await.map(drop)
}

/// Deletes the API keys and credentials of an account.
async fn owned(core: &Core, name: &Name) -> Result<Vec<Change>, Error> {
    let prefix = owned_key(name, "");
    let records = rows::all(&core.store, Table::Accounts, &prefix).await?;
    let mut changes = Vec::with_capacity(records.len() * 3);
    for record in records {
        let what = record.key.strip_prefix(&prefix).unwrap_or_default();
        changes.push(rows::delete(Table::Accounts, seen_key(what)));
        changes.push(rows::delete(Table::Accounts, what));
        changes.push(rows::delete(Table::Accounts, record.key));
    }
    Ok(changes)
}

/// Name of the account that is meant: the caller's own where it is empty or names it, which needs no scope. Reading one's own takes a
/// token of a sign-in or of an API key; changing it one of a sign-in.
pub(crate) fn own_or(
    caller: &Caller,
    action: &'static str,
    field: &'static str,
    name: &str,
) -> Result<Name, Error> {
    let meant = if name.is_empty() { caller.account().unwrap_or_default() } else { name };
    let own = if action == "read" { caller.member() } else { caller.signed_in() };
    if own != Some(meant) {
        caller.require("accounts", action, meant)?;
    }
    Name::account(field, meant)
}

async fn one(core: &Core, row: AccountRow) -> Result<Account, Error> {
    view::accounts(core, vec![row]).await?.pop().ok_or_else(|| Error::internal("an account got lost"))
}
