//! Bringing keys along, wrapped for this service.

use super::{
    Outcome,
    body::Fields,
    frame::{Answer, Refusal},
    key, keys,
    session::Session,
};
use crate::error::Error;
use patchbay_proto::crypto::v1::{self as pb, DigestAlgorithm, GetWrappingKeyRequest, ImportKeyRequest};
use serde_json::json;

/// The public key to wrap for.
pub(super) async fn wrapping_key(session: &Session) -> Outcome {
    let request = session.request(GetWrappingKeyRequest {});
    let told = session.wait(session.keys().get_wrapping_key(request)).await?;
    Ok(Answer::data(json!({ "public_key": told.public_key_pem })))
}

/// Makes a key.
pub(super) async fn import(session: &Session, name: &str, body: &Fields) -> Outcome {
    body.refuse_derivation()?;
    refuse_configuration(name, body)?;
    match session.key_header("import", name).await {
        Ok(_) => {
            let error =
                Error::bad("name", "is that of a key that is there: bring a new version with import_version");
            return Err(session.refuse_change("key.import", name, error).await);
        }
        // What else is wrong the call says, and records.
        Err(Error::NotFound(_) | Error::Denied(_) | Error::BadRequest { .. }) => {}
        Err(error) => return Err(session.refuse(error)),
    }
    bring(session, name, key::requested_type(body)?, body).await
}

/// Refuses what an import cannot say of the key that it makes.
fn refuse_configuration(name: &str, body: &Fields) -> Result<(), Refusal> {
    let refused = |field: &str| {
        Err(Refusal::bad(format!("`{field}` cannot be set by an import: set it with keys/{name}/config")))
    };
    if body.flag("allow_plaintext_backup")? {
        return refused("allow_plaintext_backup");
    }
    if body.duration("auto_rotate_period")?.is_some_and(|period| !period.is_zero()) {
        return refused("auto_rotate_period");
    }
    Ok(())
}

/// Adds a version to a key that was imported.
pub(super) async fn import_version(session: &Session, name: &str, body: &Fields) -> Outcome {
    if body.number("version")?.is_some_and(|version| version != 0) {
        return Err(Refusal::bad("`version` is not supported: an import makes a new version"));
    }
    let header = session.key_header("import", name).await.map_err(|error| session.refuse(error))?;
    bring(session, name, header.key_type.into(), body).await
}

async fn bring(session: &Session, name: &str, key_type: pb::KeyType, body: &Fields) -> Outcome {
    if body.has("public_key")? {
        return Err(Refusal::bad("`public_key` is not supported: a key is imported with its private half"));
    }
    let wrapped = body.bytes("ciphertext")?.ok_or_else(|| Refusal::bad("missing ciphertext to import"))?;
    let request = session.request(ImportKeyRequest {
        name: name.to_owned(),
        r#type: key_type.into(),
        exportable: body.flag("exportable")?,
        wrapped_material: wrapped,
        wrapping_digest: digest(body)?.into(),
        ..Default::default()
    });
    let imported = session.wait(session.keys().import_key(request)).await?;
    keys::described(session, imported.key).await
}

/// Digest of RSA-OAEP, by Vault's names.
fn digest(body: &Fields) -> Result<DigestAlgorithm, Refusal> {
    match body.text("hash_function")?.unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "SHA256" => Ok(DigestAlgorithm::Sha2256),
        "SHA1" => Ok(DigestAlgorithm::Sha1),
        "SHA384" => Ok(DigestAlgorithm::Sha2384),
        "SHA512" => Ok(DigestAlgorithm::Sha2512),
        other => {
            Err(Refusal::bad(format!("unsupported hash_function {other}: SHA256, SHA1, SHA384 or SHA512")))
        }
    }
}
