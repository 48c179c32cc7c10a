//! Tokens for others, what tokens say, and taking them back.

use super::sessions;
use crate::{
    accounts::{
        Name,
        grants::{self, require_held},
        timestamp,
    },
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
};
use patchbay_auth::{Claims, SERVICE_SUBJECT_PREFIX};
use patchbay_proto::crypto::v1::{
    MintTokenRequest, MintTokenResponse, RevokeTokensRequest, VerifyTokenResponse,
    revoke_tokens_request::Target,
};
use std::{sync::Arc, time::Duration};

/// Longest life of a token.
const MAX_TTL: Duration = Duration::from_mins(15);

/// Bytes of a subject, a display name and a picture's address at most.
const MAX_SUBJECT: usize = 128;
const MAX_NAME: usize = 128;
const MAX_AVATAR: usize = 1024;

/// Signs a token for any subject but a service's, with scopes that the caller has himself.
pub(crate) async fn mint(
    core: &Core,
    caller: &Caller,
    request: MintTokenRequest,
) -> Result<MintTokenResponse, Error> {
    caller.require("tokens", "mint", &request.subject)?;
    check_subject(&request.subject)?;
    let scopes = grants::parse_scopes("scopes", &request.scopes)?;
    require_held(caller, &scopes)?;
    crate::accounts::check_shown("name", &request.name, MAX_NAME)?;
    crate::accounts::check_shown("avatar", &request.avatar, MAX_AVATAR)?;
    let mut claims = Claims::new(request.subject.clone(), scopes);
    let now_ms = core.tokens.now_ms();
    claims.ttl = ttl(request.ttl)?.min(left(caller, now_ms)?);
    claims.name = Some(request.name).filter(|name| !name.is_empty());
    claims.avatar = Some(request.avatar).filter(|avatar| !avatar.is_empty());
    let minted = core.tokens.mint_for(claims, now_ms)?;
    core.store.record(Entry::of(caller, "token.mint", &request.subject).detail(minted.id)).await?;
    Ok(MintTokenResponse { token: minted.token, expires: Some(timestamp(minted.expires_at)) })
}

fn check_subject(subject: &str) -> Result<(), Error> {
    if subject.starts_with(SERVICE_SUBJECT_PREFIX) {
        return Err(Error::bad("subject", "must not be a service's"));
    }
    let is_plain = !subject.chars().any(|c| c.is_control() || c.is_whitespace());
    if subject.is_empty() || subject.len() > MAX_SUBJECT || !is_plain {
        return Err(Error::bad("subject", "must have 1 to 128 bytes and no white space"));
    }
    Ok(())
}

fn ttl(ttl: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let Some(ttl) = ttl else { return Ok(MAX_TTL) };
    let seconds = u64::try_from(ttl.seconds).unwrap_or_default();
    let asked = Duration::from_secs(seconds);
    if seconds == 0 || ttl.nanos != 0 || asked > MAX_TTL {
        return Err(Error::bad("ttl", "must be whole seconds, from 1s to 900s"));
    }
    Ok(asked)
}

/// How long the caller's own token is good yet. What it mints ends with it: otherwise a token could mint its successor for ever, whatever
/// became of who had the first.
fn left(caller: &Caller, now_ms: u64) -> Result<Duration, Error> {
    let left = caller.identity().expires_at.map_or(0, |end| end.saturating_sub(now_ms / 1000));
    if left == 0 {
        return Err(Error::bad(
            "ttl",
            "would be longer than that of the caller's own token, which has ended",
        ));
    }
    Ok(Duration::from_secs(left))
}

/// Tells whether a token is good now, and what it says.
pub(crate) fn verify(core: &Core, token: &str) -> VerifyTokenResponse {
    match core.context.auth.verify(token) {
        Err(error) => {
            VerifyTokenResponse { reason: error.reason().to_owned(), ..VerifyTokenResponse::default() }
        }
        Ok(identity) => VerifyTokenResponse {
            is_valid: true,
            reason: String::new(),
            subject: identity.subject.to_string(),
            scopes: identity.scopes.iter().map(ToString::to_string).collect(),
            expires: identity.expires_at.map(timestamp),
            session_id: identity.session.as_deref().unwrap_or_default().to_owned(),
        },
    }
}

/// Ends one token, one session, or all tokens and sessions that a subject has now. It may sign in again; who shall not is disabled.
pub(crate) async fn revoke(
    core: &Arc<Core>,
    caller: &Caller,
    request: RevokeTokensRequest,
) -> Result<(), Error> {
    match request.target {
        None => Err(Error::bad("target", "must be a token, a session or a subject")),
        Some(Target::Token(token)) => revoke_token(core, caller, &token).await,
        Some(Target::SessionId(id)) => revoke_session(core, caller, &id).await,
        Some(Target::Subject(subject)) => revoke_subject(core, caller, &subject).await,
    }
}

async fn revoke_token(core: &Core, caller: &Caller, token: &str) -> Result<(), Error> {
    let identity = core.context.auth.verify(token);
    let identity =
        identity.map_err(|error| Error::bad("token", format!("is not good now: {}", error.reason())))?;
    if caller.account() != Some(&*identity.subject) {
        caller.require("tokens", "revoke", &identity.subject)?;
    }
    let (Some(id), Some(expires_at)) = (&identity.token_id, identity.expires_at) else {
        return Err(Error::bad("token", "has no id; revoke all tokens of its subject"));
    };
    let change = core.tokens.revoke_token(id, expires_at)?;
    let entry = Entry::of(caller, "token.revoke", &identity.subject).detail(format!("token {id}"));
    core.store.commit(vec![change], entry).await?;
    core.tokens.flush().await;
    Ok(())
}

async fn revoke_session(core: &Core, caller: &Caller, id: &str) -> Result<(), Error> {
    let missing = || Error::NotFound("the session".to_owned());
    let Some(account) = sessions::account_of(core, id).await? else {
        // Who may not see whose sessions there are is not told that there is none.
        caller.require("tokens", "revoke", "*")?;
        return Err(missing());
    };
    require_revoke(caller, account.as_str())?;
    let entry = Entry::of(caller, "token.revoke", account.as_str()).detail(format!("session {id}"));
    let was_there = sessions::end_one(core, &account, id, entry).await?;
    was_there.then_some(()).ok_or_else(missing)
}

async fn revoke_subject(core: &Core, caller: &Caller, subject: &str) -> Result<(), Error> {
    require_revoke(caller, subject)?;
    check_subject(subject)?;
    let mut changes = vec![core.tokens.revoke_subject(subject)?];
    // An account's sessions are ended too: their refresh tokens would bring tokens back.
    if let Ok(name) = Name::account("subject", subject) {
        changes.extend(sessions::end_all(core, &name, None).await?);
    }
    core.store.commit(changes, Entry::of(caller, "token.revoke", subject).detail("all tokens")).await?;
    core.tokens.flush().await;
    Ok(())
}

/// One's own need no scope, for who has signed in.
fn require_revoke(caller: &Caller, subject: &str) -> Result<(), Error> {
    if caller.signed_in() == Some(subject) { Ok(()) } else { caller.require("tokens", "revoke", subject) }
}
