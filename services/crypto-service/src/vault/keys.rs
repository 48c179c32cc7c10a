//! Making, reading and changing keys.

use super::{
    Outcome,
    body::Fields,
    frame::{Answer, Refusal},
    key,
    session::Session,
};
use crate::error::Error;
use patchbay_proto::crypto::v1::{
    CreateKeyRequest, DeleteKeyRequest, GetKeyRequest, Key, ListKeysRequest, RotateKeyRequest,
    SoftDeleteKeyRequest, TrimKeyRequest, UndeleteKeyRequest, UpdateKeyConfigRequest,
};
use serde_json::json;
use std::time::Duration;

/// Keys in one page of the list.
const PAGE: u32 = 1000;

/// Makes a key. One that is there already is left as it is, and it is said.
pub(super) async fn create(session: &Session, name: &str, body: &Fields) -> Outcome {
    body.refuse_nonce()?;
    let request = session.request(CreateKeyRequest {
        name: name.to_owned(),
        r#type: key::created_type(body)?.into(),
        exportable: body.flag("exportable")?,
        plaintext_backup_allowed: body.flag("allow_plaintext_backup")?,
        auto_rotate_period: body
            .duration("auto_rotate_period")?
            .filter(|period| !period.is_zero())
            .map(period),
        hmac_key_size: body.number("key_size")?.unwrap_or_default(),
    });
    let made = session.wait(session.keys().create_key(request)).await?;
    let answer = described(session, made.key).await?;
    let warning = || format!("key {name} already existed");
    Ok(if made.is_new { answer } else { answer.with_warning(warning()) })
}

fn period(period: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(period.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

/// The key with its versions; where the caller may not read it, what the call itself has told.
pub(super) async fn described(session: &Session, key: Option<Key>) -> Outcome {
    let key = key.ok_or_else(|| Refusal::bad("the answer holds no key"))?;
    if !key.versions.is_empty() {
        return Ok(Answer::data(key::describe(&key)));
    }
    let request = session.request(GetKeyRequest { name: key.name.clone() });
    let read = session.wait(session.keys().get_key(request)).await;
    let read = read.ok().and_then(|answer| answer.key).unwrap_or(key);
    Ok(Answer::data(key::describe(&read)))
}

/// Reads a key.
pub(super) async fn read(session: &Session, name: &str) -> Outcome {
    let request = session.request(GetKeyRequest { name: name.to_owned() });
    let read = session.wait(session.keys().get_key(request)).await;
    let read = read.map_err(|status| Refusal::of_read(&status))?;
    let key = read.key.ok_or_else(Refusal::absent)?;
    Ok(Answer::data(key::describe(&key)))
}

/// Lists the names of all keys that the caller may list.
pub(super) async fn list(session: &Session) -> Outcome {
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListKeysRequest { page_size: PAGE, page_token, prefix: String::new() };
        let page = session.wait(session.keys().list_keys(session.request(message))).await?;
        names.extend(page.keys.into_iter().map(|key| key.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    if names.is_empty() {
        return Err(Refusal::absent());
    }
    Ok(Answer::data(json!({ "keys": names })))
}

/// Changes what is given. What can only become true is left alone when it is told to be false, as in Vault.
pub(super) async fn config(session: &Session, name: &str, body: &Fields) -> Outcome {
    let request = session.request(UpdateKeyConfigRequest {
        name: name.to_owned(),
        // Versions begin at 1; Vault takes 0 for it.
        min_decryption_version: body.number("min_decryption_version")?.map(|version| version.max(1)),
        min_encryption_version: body.number("min_encryption_version")?,
        deletion_allowed: body.switch("deletion_allowed")?,
        exportable: body.switch("exportable")?.filter(|wanted| *wanted),
        plaintext_backup_allowed: body.switch("allow_plaintext_backup")?.filter(|wanted| *wanted),
        auto_rotate_period: body.duration("auto_rotate_period")?.map(period),
    });
    let changed = session.wait(session.keys().update_key_config(request)).await?;
    described(session, changed.key).await
}

/// Makes a new version.
pub(super) async fn rotate(session: &Session, name: &str) -> Outcome {
    let request = session.request(RotateKeyRequest { name: name.to_owned() });
    let rotated = session.wait(session.keys().rotate_key(request)).await?;
    described(session, rotated.key).await
}

/// Destroys old versions.
pub(super) async fn trim(session: &Session, name: &str, body: &Fields) -> Outcome {
    let oldest = body.number("min_available_version")?;
    let min_available_version = oldest.ok_or_else(|| Refusal::bad("missing min_available_version"))?;
    check_trim(session, name).await?;
    let request = session.request(TrimKeyRequest { name: name.to_owned(), min_available_version });
    session.wait(session.keys().trim_key(request)).await?;
    Ok(Answer::empty())
}

/// Vault destroys versions only where it is said which are still in use: both minimums must have been set. Everything else is for
/// the call to refuse.
async fn check_trim(session: &Session, name: &str) -> Result<(), Refusal> {
    let unset = match session.key_header("trim", name).await {
        Ok(header) if header.min_decryption == 0 => "min_decryption_version",
        Ok(header) if header.min_encryption == 0 => "min_encryption_version",
        Ok(_) | Err(Error::Denied(_) | Error::NotFound(_) | Error::BadRequest { .. }) => return Ok(()),
        Err(error) => return Err(session.refuse(error)),
    };
    let problem = format!("cannot be set while {unset} of the key is not: set it with keys/{name}/config");
    let error = Error::bad("min_available_version", problem);
    Err(session.refuse_change("key.trim", name, error).await)
}

/// Removes a key for good.
pub(super) async fn delete(session: &Session, name: &str) -> Outcome {
    let request = session.request(DeleteKeyRequest { name: name.to_owned() });
    session.wait(session.keys().delete_key(request)).await?;
    Ok(Answer::empty())
}

/// Disables a key.
pub(super) async fn soft_delete(session: &Session, name: &str) -> Outcome {
    let request = session.request(SoftDeleteKeyRequest { name: name.to_owned() });
    session.wait(session.keys().soft_delete_key(request)).await?;
    Ok(Answer::empty())
}

/// Enables a key again.
pub(super) async fn undelete(session: &Session, name: &str) -> Outcome {
    let request = session.request(UndeleteKeyRequest { name: name.to_owned() });
    session.wait(session.keys().undelete_key(request)).await?;
    Ok(Answer::empty())
}
