//! Names and passwords, and stream keys, with which devices log in elsewhere; gateways have them checked here.

use super::{
    api_keys::{check_grants, unnamed},
    attempts::Attempt,
    grants,
    manage::own_or,
    names::Name,
    password,
    rows::{self, AccountRow, CredentialRow, account_key, credential_key, owned_key},
    secrets, view,
};
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    store::{Table, parse},
};
use patchbay_backplane::Expect;
use patchbay_proto::crypto::v1::{
    CheckCredentialRequest, CheckCredentialResponse, CreateCredentialRequest, CreateCredentialResponse,
    Credential, Protocol,
};
use std::time::Duration;

/// Credentials of an account, characters of a user name, and bytes of a client's address, at most.
const MAX_CREDENTIALS: usize = 1000;
const MAX_USERNAME: usize = 128;
const MAX_ADDRESS: usize = 64;

/// Word of a protocol, as in scopes.
fn word(protocol: i32) -> Result<(Protocol, &'static str), Error> {
    let protocol = Protocol::try_from(protocol).unwrap_or_default();
    let word = match protocol {
        Protocol::Mqtt => "mqtt",
        Protocol::Files => "files",
        Protocol::Stream => "stream",
        Protocol::Unspecified => {
            return Err(Error::bad("protocol", "must be PROTOCOL_MQTT, PROTOCOL_FILES or PROTOCOL_STREAM"));
        }
    };
    Ok((protocol, word))
}

fn check_username(username: &str) -> Result<(), Error> {
    let is_plain = !username.chars().any(|c| c.is_whitespace() || c.is_control());
    if username.is_empty() || username.chars().count() > MAX_USERNAME || !is_plain {
        return Err(Error::bad("username", "must have 1 to 128 printable characters without white space"));
    }
    Ok(())
}

/// What a gateway looks for in revocations, to drop an answer that it has cached.
fn session(row: &CredentialRow) -> String {
    format!("credential:{}", row.id)
}

/// Makes a credential; a password that is made here is shown this once.
pub(crate) async fn create(
    core: &Core,
    caller: &Caller,
    request: CreateCredentialRequest,
) -> Result<CreateCredentialResponse, Error> {
    let name = own_or(caller, "write", "account", &request.account)?;
    let (protocol, word) = word(request.protocol)?;
    check_username(&request.username)?;
    let scopes = grants::parse_scopes("scopes", &request.scopes)?;
    // Before the work of hashing.
    check_grants(core, caller, &rows::account(&core.store, &name).await?.value, &scopes).await?;
    let now = core.tokens.now();
    let expires = view::ttl_end("ttl", request.ttl, now)?;
    let (hash, made) = hash(core, &name, &request.password).await?;
    let row = CredentialRow {
        id: secrets::id()?,
        protocol: word.to_owned(),
        username: request.username,
        account_id: String::new(),
        account: name,
        hash,
        scopes,
        created: now,
        expires,
    };
    rows::retrying(|| try_create(core, caller, row.clone())).await?;
    Ok(CreateCredentialResponse { credential: Some(view::credential(row, protocol)), password: made })
}

async fn try_create(core: &Core, caller: &Caller, mut row: CredentialRow) -> Result<(), Error> {
    let account = rows::account(&core.store, &row.account).await?;
    row.account_id.clone_from(&account.value.id);
    check_grants(core, caller, &account.value, &row.scopes).await?;
    check_room(core, &row.account).await?;
    let key = credential_key(&row.protocol, &row.username);
    if core.store.read_one(Table::Accounts, &key).await?.is_some() {
        return Err(Error::AlreadyExists(format!("the {} user name `{}`", row.protocol, row.username)));
    }
    let changes = vec![
        rows::hold(&account)?,
        Table::Accounts.put(key.clone(), Expect::Absent, &row)?,
        Table::Accounts.put(owned_key(&row.account, &key), Expect::Anything, &())?,
    ];
    let entry = Entry::of(caller, "credential.create", &key).detail(row.account.as_str());
    core.store.commit(changes, entry).await.map(drop)
}

/// A chosen password is hashed slowly; one that is made here need not be.
async fn hash(core: &Core, name: &Name, chosen: &str) -> Result<(String, String), Error> {
    if chosen.is_empty() {
        let made = secrets::generate()?;
        return Ok((secrets::fingerprint(&made), made.to_string()));
    }
    password::check(core, name, chosen)?;
    Ok((password::hash(core, chosen).await?, String::new()))
}

async fn check_room(core: &Core, name: &Name) -> Result<(), Error> {
    let owned = rows::all(&core.store, Table::Accounts, &owned_key(name, "credential/")).await?;
    if owned.len() < MAX_CREDENTIALS {
        return Ok(());
    }
    Err(Error::bad(
        "account",
        format!("has {MAX_CREDENTIALS} credentials, which is the most; delete one first"),
    ))
}

/// Lists an account's credentials by protocol and user name.
pub(crate) async fn list(core: &Core, caller: &Caller, account: &str) -> Result<Vec<Credential>, Error> {
    let name = own_or(caller, "read", "account", account)?;
    rows::account(&core.store, &name).await?;
    let prefix = owned_key(&name, "");
    let owned = rows::all(&core.store, Table::Accounts, &owned_key(&name, "credential/")).await?;
    let keys = owned.iter().filter_map(|record| Some(record.key.strip_prefix(&prefix)?.to_owned())).collect();
    let mut credentials = Vec::new();
    for record in core.store.read(Table::Accounts, keys).await?.iter().flatten() {
        let row = parse::<CredentialRow>(record)?.value;
        let protocol = match row.protocol.as_str() {
            "mqtt" => Protocol::Mqtt,
            "files" => Protocol::Files,
            _ => Protocol::Stream,
        };
        credentials.push(view::credential(row, protocol));
    }
    Ok(credentials)
}

/// Removes a credential; gateways are told to drop what they have cached of it.
pub(crate) async fn delete(core: &Core, caller: &Caller, protocol: i32, username: &str) -> Result<(), Error> {
    let (_, word) = word(protocol)?;
    check_username(username)?;
    let missing = || Error::NotFound(format!("the {word} user name `{username}`"));
    let key = credential_key(word, username);
    let Some(row) = core.store.get::<CredentialRow>(Table::Accounts, &key).await? else {
        // Who may not see whose names there are is not told that there is none.
        caller.require("accounts", "write", "*")?;
        return Err(missing());
    };
    own_or(caller, "write", "username", row.value.account.as_str()).map_err(unnamed)?;
    let changes = vec![
        Table::Accounts.change(key.clone(), row.unchanged(), None),
        rows::delete(Table::Accounts, owned_key(&row.value.account, &key)),
        core.tokens.revoke_session(&session(&row.value))?,
    ];
    let entry = Entry::of(caller, "credential.delete", &key).detail(row.value.account.as_str());
    match core.store.commit(changes, entry).await {
        Err(Error::Conflict(_)) => Err(missing()),
        other => other.map(drop),
    }?;
    core.tokens.flush().await;
    Ok(())
}

/// Tells a gateway whether a name and password are good. Only wrong ones are counted: devices behind one address may all come back at once.
/// A right one that was made here does not even wait for those: it cannot be guessed, and a stream's name is no secret, so that anybody
/// could keep its owner out.
pub(crate) async fn check(
    core: &Core,
    caller: &Caller,
    request: CheckCredentialRequest,
) -> Result<CheckCredentialResponse, Error> {
    let (_, word) = word(request.protocol)?;
    caller.require("accounts", "check", word)?;
    if request.client_address.len() > MAX_ADDRESS {
        return Err(Error::bad("client_address", format!("must have {MAX_ADDRESS} bytes at most")));
    }
    let CheckCredentialRequest { username, password, client_address, .. } = request;
    if check_username(&username).is_err() {
        return Ok(CheckCredentialResponse::default());
    }
    let key = credential_key(word, &username);
    let found = find(core, &key).await?;
    if let Some(found) = found.as_ref().filter(|found| found.was_made() && found.is_made_as(&password)) {
        return found.answer(core).await;
    }
    let attempts = attempts(&key, &client_address);
    for attempt in &attempts {
        core.accounts.attempts.check(*attempt).await?;
    }
    // Every other failure costs a slow hash, so that none is told from another.
    match found.filter(|found| !found.was_made() && password::is_possible(&password)) {
        None => password::verify_nothing(core).await?,
        Some(found) if found.is_chosen_as(core, &password).await? => return found.answer(core).await,
        Some(_) => {}
    }
    core.metrics.failed_sign_ins.inc();
    for attempt in &attempts {
        core.accounts.attempts.count(*attempt).await?;
    }
    let entry = Entry::of(caller, "credential.check", &key).detail(client_address.clone());
    core.store.record(entry.refused(&Error::SignInFailed)).await?;
    Ok(CheckCredentialResponse::default())
}

/// What a wrong password is counted against.
fn attempts<'a>(key: &'a str, address: &'a str) -> Vec<Attempt<'a>> {
    let by_address = Some(Attempt::CredentialAddress(address)).filter(|_| !address.is_empty());
    std::iter::once(Attempt::Credential(key)).chain(by_address).collect()
}

/// A credential that is good now, and its account.
struct Found {
    row: CredentialRow,
    account: AccountRow,
}

async fn find(core: &Core, key: &str) -> Result<Option<Found>, Error> {
    let Some(row) = core.store.get::<CredentialRow>(Table::Accounts, key).await?.map(|row| row.value) else {
        return Ok(None);
    };
    let account = core.store.get::<AccountRow>(Table::Accounts, &account_key(&row.account)).await?;
    let found = account.map(|account| Found { row, account: account.value });
    let now = core.tokens.now();
    Ok(found.filter(|Found { row, account }| {
        account.id == row.account_id && !account.disabled && !view::is_over(row.expires, now)
    }))
}

impl Found {
    /// Whether its password was made here.
    fn was_made(&self) -> bool {
        secrets::is_fingerprint(&self.row.hash)
    }

    fn is_made_as(&self, given: &str) -> bool {
        secrets::matches(given, &self.row.hash)
    }

    async fn is_chosen_as(&self, core: &Core, given: &str) -> Result<bool, Error> {
        Ok(core.accounts.passwords.verify(given, &self.row.hash).await?.is_valid)
    }

    async fn answer(&self, core: &Core) -> Result<CheckCredentialResponse, Error> {
        let Self { row, account } = self;
        let held = grants::effective(&core.store, account).await?;
        let cache_for = core.config.accounts.credential_cache.duration();
        let end = row.expires.unwrap_or(u64::MAX);
        let left = Duration::from_secs(end.saturating_sub(core.tokens.now()));
        Ok(CheckCredentialResponse {
            is_valid: true,
            scopes: view::texts(&grants::within(&row.scopes, &held)),
            session_id: session(row),
            subject: account.name.as_str().to_owned(),
            display_name: account.display_name.clone(),
            cache_for: Some(view::duration(cache_for.min(left))),
        })
    }
}
