//! Groups: scopes that their members have in addition.

use super::{
    grants::{self, Changed, require_held},
    names::{self, Name},
    rows::{self, GroupRow, group_key},
    view,
};
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    store::{Row, Table},
};
use patchbay_auth::Scope;
use patchbay_backplane::{Change, Expect};
use patchbay_proto::crypto::v1::Group;

/// Bytes of a description, and groups, at most.
const MAX_DESCRIPTION: usize = 200;
const MAX_GROUPS: usize = 1000;

/// Makes or replaces a group.
pub(crate) async fn put(core: &Core, caller: &Caller, group: Group) -> Result<Group, Error> {
    caller.require("accounts", "write", &format!("group/{}", group.name))?;
    names::shown("group.description", &group.description, MAX_DESCRIPTION)?;
    let row = GroupRow {
        name: Name::group("group.name", &group.name)?,
        scopes: grants::parse_scopes("group.scopes", &group.scopes)?,
        description: group.description,
    };
    require_held(caller, &row.scopes)?;
    rows::retrying(|| try_put(core, caller, &row)).await?;
    core.tokens.flush().await;
    Ok(view::group(row))
}

async fn try_put(core: &Core, caller: &Caller, row: &GroupRow) -> Result<(), Error> {
    let guard = rows::guard(&core.store).await?;
    let key = group_key(&row.name);
    let before = core.store.get::<GroupRow>(Table::Accounts, &key).await?;
    let expect = before.as_ref().map_or(Expect::Absent, Row::unchanged);
    match before {
        None => check_room(core).await?,
        Some(before) => {
            require_held(caller, &before.value.scopes)?;
            if before.value.scopes.contains(&Scope::Admin) && !row.scopes.contains(&Scope::Admin) {
                require_still_admin(core, row).await?;
            }
        }
    }
    let mut changes = members(core, row).await?;
    changes.push(Table::Accounts.put(key, expect, row)?);
    // While there was no account there is nothing to guard, and the guard's row would say that there was one.
    if guard.is_some() {
        changes.push(rows::bump(guard.as_ref())?);
    }
    core.store.commit(changes, Entry::of(caller, "group.put", row.name.as_str())).await.map(drop)
}

/// An installation may have no account with `admin` at all; one that has must keep it.
async fn require_still_admin(core: &Core, row: &GroupRow) -> Result<(), Error> {
    let members = rows::accounts(&core.store).await?;
    let has_member = members.iter().any(|account| !account.disabled && account.groups.contains(&row.name));
    if has_member { grants::require_admin(&core.store, Changed::Group(row)).await } else { Ok(()) }
}

/// Requires that what the members have together still fits in a token, and ends the tokens of those who have less than before: with one
/// of these a member could give himself what the group has lost.
async fn members(core: &Core, row: &GroupRow) -> Result<Vec<Change>, Error> {
    let before = rows::groups(&core.store).await?;
    let mut after = before.clone();
    after.retain(|group| group.name != row.name);
    after.push(row.clone());
    let mut changes = Vec::new();
    for account in rows::accounts(&core.store).await? {
        if !account.groups.contains(&row.name) {
            continue;
        }
        let held = grants::together(&account, &after);
        grants::check_size("group.scopes", &held)?;
        if grants::require_covered(&held, &grants::together(&account, &before)).is_err() {
            changes.push(core.tokens.revoke_subject(account.name.as_str())?);
        }
    }
    Ok(changes)
}

async fn check_room(core: &Core) -> Result<(), Error> {
    if rows::groups(&core.store).await?.len() < MAX_GROUPS {
        return Ok(());
    }
    Err(Error::bad("group.name", format!("is one too many: there are {MAX_GROUPS} groups at most")))
}

/// Lists groups by name.
pub(crate) async fn list(core: &Core, caller: &Caller) -> Result<Vec<Group>, Error> {
    caller.require("accounts", "read", "*")?;
    Ok(rows::groups(&core.store).await?.into_iter().map(view::group).collect())
}

/// Removes a group that has no members.
pub(crate) async fn delete(core: &Core, caller: &Caller, name: &str) -> Result<(), Error> {
    caller.require("accounts", "write", &format!("group/{name}"))?;
    let name = Name::group("name", name)?;
    rows::retrying(|| try_delete(core, caller, &name)).await
}

async fn try_delete(core: &Core, caller: &Caller, name: &Name) -> Result<(), Error> {
    let guard = rows::guard(&core.store).await?;
    let row = core.store.get::<GroupRow>(Table::Accounts, &group_key(name)).await?;
    let row = row.ok_or_else(|| Error::NotFound(format!("the group `{name}`")))?;
    require_held(caller, &row.value.scopes)?;
    if rows::accounts(&core.store).await?.iter().any(|account| account.groups.contains(name)) {
        return Err(Error::GroupInUse);
    }
    let mut changes = vec![Table::Accounts.change(group_key(name), row.unchanged(), None)];
    if guard.is_some() {
        changes.push(rows::bump(guard.as_ref())?);
    }
    core.store.commit(changes, Entry::of(caller, "group.delete", name.as_str())).await.map(drop)
}
