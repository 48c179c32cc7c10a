//! Vault's `context`: what a derived key is derived with. Keys are not derived here; with a convergent key the context is what a
//! ciphertext is bound to, which has the same effect: the same context is needed to decrypt, and another gives another ciphertext.

use super::{batch::Batch, body::Fields, frame::Refusal, key, session::Session};
use crate::{error::Error, keyring::KeyType};
use bytes::Bytes;
use patchbay_proto::crypto::v1 as pb;

/// What an item is bound to: its associated data, or its context.
pub(super) fn bound(item: &Fields) -> Result<Bytes, Refusal> {
    item.refuse_nonce()?;
    match (item.bytes("context")?, item.bytes("associated_data")?) {
        (Some(context), Some(data)) if !context.is_empty() && !data.is_empty() => {
            Err(Refusal::bad("give `context` or `associated_data`, not both: a convergent key binds to one"))
        }
        (Some(context), _) if !context.is_empty() => Ok(context),
        (_, data) => Ok(data.unwrap_or_default()),
    }
}

/// Refuses a context for a key that is not convergent. Who may not use the key, or that there is none, is for the call to say.
pub(super) async fn check(
    session: &Session,
    operation: &str,
    name: &str,
    batch: &Batch,
    body: &Fields,
) -> Result<(), Refusal> {
    let given = batch.items().iter().map(|item| item.has("context")).collect::<Result<Vec<_>, _>>()?;
    if !given.contains(&true) {
        return Ok(());
    }
    match session.key_type(operation, name).await {
        Ok(KeyType::Aes256GcmSivConvergent) | Err(Error::Denied(_) | Error::BadRequest { .. }) => Ok(()),
        Err(Error::NotFound(_)) if is_upserted(body)? => Ok(()),
        Ok(_) | Err(Error::NotFound(_)) => Err(Refusal::bad(
            "`context` is only supported with convergent keys: create one with `derived` and `convergent_encryption`",
        )),
        Err(error) => Err(session.refuse(error)),
    }
}

/// The type of a key that an encryption makes: of one that is asked to be convergent it is told here alone, without `derived`.
pub(super) fn upserted_type(body: &Fields) -> Result<pb::KeyType, Refusal> {
    if is_upserted(body)? { Ok(pb::KeyType::Aes256GcmSivConvergent) } else { key::requested_type(body) }
}

fn is_upserted(body: &Fields) -> Result<bool, Refusal> {
    body.flag("convergent_encryption")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_is_bound_to_one_thing() {
        let bound = |value: serde_json::Value| bound(&Fields::parse(value.to_string().as_bytes()).unwrap());
        assert_eq!(bound(json!({"context": "YQ=="})), Ok(Bytes::from_static(b"a")));
        assert_eq!(bound(json!({"context": "", "associated_data": "Yg=="})), Ok(Bytes::from_static(b"b")));
        assert_eq!(bound(json!({})), Ok(Bytes::new()));
        assert!(bound(json!({"context": "YQ==", "associated_data": "Yg=="})).is_err());
        assert!(bound(json!({"nonce": "YQ=="})).is_err() && bound(json!({"context": "?"})).is_err());
    }
}
