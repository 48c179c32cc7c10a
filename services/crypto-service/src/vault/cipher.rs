//! Encrypt, decrypt, rewrap and data keys.

use super::{
    Outcome,
    batch::{Batch, Done, Failures, Refused, results, send},
    body::{Fields, to_base64},
    context,
    frame::{Answer, Refusal},
    key,
    session::Session,
};
use crate::data::text_form;
use bytes::Bytes;
use http::StatusCode;
use patchbay_proto::crypto::v1::{
    CreateKeyRequest, DecryptBatchRequest, DecryptRequest, EncryptBatchRequest, EncryptRequest,
    EncryptResponse, GenerateDataKeyRequest, RewrapBatchRequest, RewrapRequest,
};
use serde_json::{Map, Value};

/// What ciphertexts, signatures and HMACs begin with.
pub(super) const PREFIX: &str = "vault:v";

/// Encrypts; a key that is not there is made, where the caller may make it.
pub(super) async fn encrypt(session: &Session, name: &str, body: &Fields) -> Outcome {
    body.refuse_nonce()?;
    let (batch, failures) = (Batch::of(session, body)?, failures(body)?);
    context::check(session, "encrypt", name, &batch, body).await?;
    let read = batch.read(|item| encryption(name, item));
    let mut done = encrypt_all(session, read.clone()).await?;
    // All items are for one key; some of them may not even have been asked for.
    if done.iter().any(|item| item.as_ref().is_err_and(|refused| refused.is("NOT_FOUND"))) {
        make_key(session, name, body).await?;
        done = encrypt_all(session, read).await?;
    }
    batch.answer(done, failures)
}

/// The code for a batch of which a part fails.
fn failures(body: &Fields) -> Result<Failures, Refusal> {
    let Some(code) = body.number("partial_failure_response_code")? else {
        return Ok(Failures::Tell(StatusCode::BAD_REQUEST));
    };
    let code = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let wrong = || Refusal::bad("`partial_failure_response_code` must be an HTTP status from 200 to 599");
    code.map(Failures::Tell).ok_or_else(wrong)
}

fn encryption(name: &str, item: &Fields) -> Result<EncryptRequest, Refusal> {
    let plaintext = item.bytes("plaintext")?.ok_or_else(|| Refusal::bad("missing plaintext to encrypt"))?;
    Ok(EncryptRequest {
        key: name.to_owned(),
        plaintext,
        associated_data: context::bound(item)?,
        key_version: item.number("key_version")?.unwrap_or_default(),
    })
}

async fn encrypt_all(
    session: &Session,
    read: Vec<Done<EncryptRequest>>,
) -> Result<Vec<Done<Map<String, Value>>>, Refusal> {
    let done = send(read, async |items| {
        let request = session.request(EncryptBatchRequest { items });
        let answer = session.wait(session.data().encrypt_batch(request)).await?;
        Ok(results!(encrypt_result, answer.results))
    });
    let done: Vec<Done<EncryptResponse>> = done.await?;
    Ok(done.into_iter().map(|item| ciphertext(&item?.ciphertext)).collect())
}

/// Vault's fields for a ciphertext.
fn ciphertext(bytes: &Bytes) -> Done<Map<String, Value>> {
    let text = text_form(PREFIX, bytes).ok_or_else(|| Refused::new("the ciphertext has no text form"))?;
    let version: u32 = version_of(&text).unwrap_or_default();
    Ok(Map::from_iter([("ciphertext".to_owned(), text.into()), ("key_version".to_owned(), version.into())]))
}

/// Version in `vault:v<version>:<base64>`.
pub(super) fn version_of(text: &str) -> Option<u32> {
    text.strip_prefix(PREFIX)?.split_once(':')?.0.parse().ok()
}

async fn make_key(session: &Session, name: &str, body: &Fields) -> Result<(), Refusal> {
    let key_type = context::upserted_type(body)?;
    if !key::Abilities::of(key_type).encrypt {
        return Err(Refusal::bad(format!(
            "key type {} not supported for this operation",
            key::word(key_type)
        )));
    }
    let request = CreateKeyRequest { name: name.to_owned(), r#type: key_type.into(), ..Default::default() };
    session.wait(session.keys().create_key(session.request(request))).await?;
    Ok(())
}

/// Decrypts.
pub(super) async fn decrypt(session: &Session, name: &str, body: &Fields) -> Outcome {
    body.refuse_nonce()?;
    let (batch, failures) = (Batch::of(session, body)?, failures(body)?);
    context::check(session, "decrypt", name, &batch, body).await?;
    let read = batch.read(|item| {
        Ok(DecryptRequest {
            key: name.to_owned(),
            ciphertext: sealed(item)?,
            associated_data: context::bound(item)?,
        })
    });
    let done = send(read, async |items| {
        let request = session.request(DecryptBatchRequest { items });
        let answer = session.wait(session.data().decrypt_batch(request)).await?;
        Ok(results!(decrypt_result, answer.results))
    });
    let plaintexts = done.await?.into_iter().map(|item| {
        let text = to_base64(&item?.plaintext);
        Ok(Map::from_iter([("plaintext".to_owned(), text.into())]))
    });
    batch.answer(plaintexts.collect(), failures)
}

/// The text of a ciphertext; the call reads the rest of it, so that all that is wrong with it is one error.
fn sealed(item: &Fields) -> Result<Bytes, Refusal> {
    let text = item.text("ciphertext")?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Refusal::bad("missing ciphertext to decrypt"))?;
    let has_prefix = text.starts_with(PREFIX) || text.starts_with("patchbay:v");
    if !has_prefix {
        return Err(Refusal::bad("invalid ciphertext: no prefix"));
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

/// Rewraps.
pub(super) async fn rewrap(session: &Session, name: &str, body: &Fields) -> Outcome {
    body.refuse_nonce()?;
    let (batch, failures) = (Batch::of(session, body)?, failures(body)?);
    context::check(session, "rewrap", name, &batch, body).await?;
    let read = batch.read(|item| {
        Ok(RewrapRequest {
            key: name.to_owned(),
            ciphertext: sealed(item)?,
            associated_data: context::bound(item)?,
            key_version: item.number("key_version")?.unwrap_or_default(),
        })
    });
    let done = send(read, async |items| {
        let request = session.request(RewrapBatchRequest { items });
        let answer = session.wait(session.data().rewrap_batch(request)).await?;
        Ok(results!(rewrap_result, answer.results))
    });
    let done = done.await?.into_iter().map(|item| ciphertext(&item?.ciphertext)).collect();
    batch.answer(done, failures)
}

/// Makes a data key; `kind` is `plaintext` or `wrapped`.
pub(super) async fn data_key(session: &Session, kind: &str, name: &str, body: &Fields) -> Outcome {
    body.refuse_nonce()?;
    context::check(session, "datakey", name, &Batch::of(session, body)?, body).await?;
    let wrapped_only = match kind {
        "plaintext" => false,
        "wrapped" => true,
        _ => return Err(Refusal::bad("the path must be datakey/plaintext/<key> or datakey/wrapped/<key>")),
    };
    let request = session.request(GenerateDataKeyRequest {
        key: name.to_owned(),
        bits: body.number("bits")?.unwrap_or(256),
        associated_data: context::bound(body)?,
        wrapped_only,
    });
    let made = session.wait(session.data().generate_data_key(request)).await?;
    let mut fields = ciphertext(&made.ciphertext).map_err(Refusal::from)?;
    if !wrapped_only {
        fields.insert("plaintext".to_owned(), to_base64(&made.plaintext).into());
    }
    Ok(Answer::map(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ciphertexts_have_vaults_text_form() {
        let binary = Bytes::from_static(b"\x01\x00\x00\x00\x07abc");
        let fields = ciphertext(&binary).unwrap();
        assert_eq!(Value::Object(fields), json!({"ciphertext": "vault:v7:YWJj", "key_version": 7}));
        assert!(ciphertext(&Bytes::from_static(b"\x01\x00")).is_err());
    }

    #[test]
    fn what_is_no_ciphertext_is_told_apart_from_one_that_is_wrong() {
        let item = |text: &str| Fields::parse(json!({ "ciphertext": text }).to_string().as_bytes()).unwrap();
        assert!(sealed(&item("YWJj")).is_err() && sealed(&item("")).is_err());
        assert!(sealed(&item("vault:v1:###")).is_ok(), "the call tells what is wrong with it");
    }

    #[test]
    fn codes_for_partial_failures_are_statuses() {
        let code = |code: Value| {
            failures(
                &Fields::parse(json!({"partial_failure_response_code": code}).to_string().as_bytes())
                    .unwrap(),
            )
        };
        assert_eq!(code(json!(202)), Ok(Failures::Tell(StatusCode::ACCEPTED)));
        assert_eq!(code(Value::Null), Ok(Failures::Tell(StatusCode::BAD_REQUEST)));
        assert!(code(json!(99)).is_err() && code(json!(600)).is_err());
    }
}
