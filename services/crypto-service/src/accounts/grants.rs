//! What somebody may do, and what he may give to others: nobody grants what he does not have.

use super::{
    names::Name,
    rows::{self, AccountRow, GroupRow, group_key},
};
use crate::{
    caller::Caller,
    error::Error,
    store::{Store, Table, parse},
};
use patchbay_auth::Scope;

/// Scopes of a token at most, and their bytes: a token has 8 KiB.
const MAX_SCOPES: usize = 64;
const MAX_SCOPES_BYTES: usize = 3800;

/// Groups of an account at most.
const MAX_GROUPS: usize = 32;

/// Reads scopes, each once.
pub(crate) fn parse_scopes(field: &'static str, texts: &[String]) -> Result<Vec<Scope>, Error> {
    if texts.len() > MAX_SCOPES {
        return Err(Error::bad(field, format!("must have {MAX_SCOPES} scopes at most")));
    }
    let mut scopes = Vec::with_capacity(texts.len());
    for text in texts {
        let scope = text.parse::<Scope>().map_err(|error| Error::bad(field, format!("is wrong: {error}")))?;
        add(&mut scopes, scope);
    }
    check_size(field, &scopes)?;
    Ok(scopes)
}

/// Reads names of groups, each once.
pub(crate) fn parse_groups(field: &'static str, texts: &[String]) -> Result<Vec<Name>, Error> {
    if texts.len() > MAX_GROUPS {
        return Err(Error::bad(field, format!("must have {MAX_GROUPS} groups at most")));
    }
    let mut names = texts.iter().map(|text| Name::group(field, text)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Refuses what would not fit in a token.
pub(crate) fn check_size(field: &'static str, scopes: &[Scope]) -> Result<(), Error> {
    let texts: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let bytes = serde_json::to_string(&texts.join(" ")).map_err(Error::internal)?.len();
    if scopes.len() > MAX_SCOPES || bytes > MAX_SCOPES_BYTES {
        let most = format!("{MAX_SCOPES} scopes and {MAX_SCOPES_BYTES} bytes");
        return Err(Error::bad(
            field,
            format!("do not fit in a token, which holds {most} with those of groups"),
        ));
    }
    Ok(())
}

/// The scopes that an account has by itself and by its groups.
pub(crate) async fn effective(store: &Store, account: &AccountRow) -> Result<Vec<Scope>, Error> {
    let keys: Vec<String> = account.groups.iter().map(group_key).collect();
    if keys.is_empty() {
        return Ok(account.scopes.clone());
    }
    let groups = store.read(Table::Accounts, keys).await?;
    let groups: Vec<GroupRow> =
        groups.iter().flatten().map(|record| Ok(parse(record)?.value)).collect::<Result<_, Error>>()?;
    Ok(together(account, &groups))
}

/// As [`effective`], for groups that are known.
pub(crate) fn together(account: &AccountRow, groups: &[GroupRow]) -> Vec<Scope> {
    let mut scopes = account.scopes.clone();
    for group in groups.iter().filter(|group| account.groups.contains(&group.name)) {
        group.scopes.iter().for_each(|scope| add(&mut scopes, scope.clone()));
    }
    scopes
}

/// Those of the scopes that the others cover, or all of the others where there are none.
pub(crate) fn within(scopes: &[Scope], others: &[Scope]) -> Vec<Scope> {
    if scopes.is_empty() {
        return others.to_vec();
    }
    scopes.iter().filter(|scope| covers(others, scope)).cloned().collect()
}

/// Whether everything that a scope allows is allowed by one of the others.
pub(crate) fn covers(scopes: &[Scope], wanted: &Scope) -> bool {
    scopes.iter().any(|scope| scope.covers(wanted))
}

/// Requires that the caller has himself what he gives to others.
pub(crate) fn require_held(caller: &Caller, wanted: &[Scope]) -> Result<(), Error> {
    require_covered(&caller.identity().scopes, wanted)
}

/// Requires that every scope is covered.
pub(crate) fn require_covered(held: &[Scope], wanted: &[Scope]) -> Result<(), Error> {
    let missing = wanted.iter().find(|scope| !covers(held, scope));
    missing.map_or(Ok(()), |scope| Err(Error::Escalation(scope.to_string())))
}

/// Requires that somebody who can sign in has the scope `admin` when these accounts and groups are as they shall be.
pub(crate) async fn require_admin(store: &Store, changed: Changed<'_>) -> Result<(), Error> {
    let (mut accounts, mut groups) = (rows::accounts(store).await?, rows::groups(store).await?);
    match changed {
        Changed::Account(account) => {
            accounts.retain(|other| other.name != account.name);
            accounts.push(account.clone());
        }
        Changed::NoAccount(name) => accounts.retain(|other| other.name != *name),
        Changed::Group(group) => {
            groups.retain(|other| other.name != group.name);
            groups.push(group.clone());
        }
    }
    let is_admin =
        |account: &AccountRow| !account.disabled && together(account, &groups).contains(&Scope::Admin);
    accounts.iter().any(is_admin).then_some(()).ok_or(Error::LastAdmin)
}

/// What is about to change.
pub(crate) enum Changed<'a> {
    /// An account will be this.
    Account(&'a AccountRow),
    /// An account will be gone.
    NoAccount(&'a Name),
    /// A group will be this.
    Group(&'a GroupRow),
}

fn add(scopes: &mut Vec<Scope>, scope: Scope) {
    if !scopes.contains(&scope) {
        scopes.push(scope);
    }
}
