//! Signatures and HMACs.

use super::{
    Outcome,
    batch::{Batch, Done, Failures, Refused, results, send},
    body::{Fields, to_base64},
    cipher::PREFIX,
    frame::Refusal,
    session::Session,
};
use crate::keyring::KeyType;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use patchbay_proto::crypto::v1::{
    DigestAlgorithm, HmacBatchRequest, HmacRequest, SaltLength, SignBatchRequest, SignRequest,
    SignatureScheme, VerifyBatchRequest, VerifyHmacBatchRequest, VerifyHmacRequest, VerifyRequest,
};
use serde_json::{Map, Value};

/// Added where a key of another type is asked for an HMAC.
const HMAC_HINT: &str = "; other keys have no HMAC half here, create one of type hmac";

/// Digests by Vault's names.
pub(super) fn digest(word: &str) -> Option<DigestAlgorithm> {
    match word {
        "sha1" => Some(DigestAlgorithm::Sha1),
        "sha2-224" => Some(DigestAlgorithm::Sha2224),
        "sha2-256" => Some(DigestAlgorithm::Sha2256),
        "sha2-384" => Some(DigestAlgorithm::Sha2384),
        "sha2-512" => Some(DigestAlgorithm::Sha2512),
        "sha3-224" => Some(DigestAlgorithm::Sha3224),
        "sha3-256" => Some(DigestAlgorithm::Sha3256),
        "sha3-384" => Some(DigestAlgorithm::Sha3384),
        "sha3-512" => Some(DigestAlgorithm::Sha3512),
        _ => None,
    }
}

/// The digest that a request asks for: in the path, else in the body, else Vault's default.
fn requested_digest(in_path: Option<&str>, body: &Fields) -> Result<DigestAlgorithm, Refusal> {
    let word = match in_path {
        Some(word) => word,
        None => body.text("hash_algorithm")?.or(body.text("algorithm")?).unwrap_or("sha2-256"),
    };
    if word == "none" {
        return Err(Refusal::bad("hash_algorithm `none` is not offered"));
    }
    digest(word).ok_or_else(|| Refusal::bad(format!("invalid hash algorithm \"{word}\"")))
}

/// Which way a signature goes: what `auto` means for the salt depends on it only in the service itself.
struct How {
    digest: i32,
    prehashed: bool,
    scheme: SignatureScheme,
    salt_length: SaltLength,
    salt_bytes: u32,
    is_jws: bool,
    key_version: u32,
}

impl How {
    /// Takes what concerns the type of the key, as Vault does: the rest is ignored.
    async fn of(
        session: &Session,
        operation: &str,
        name: &str,
        in_path: Option<&str>,
        body: &Fields,
    ) -> Result<Self, Refusal> {
        let kind = session.key_type(operation, name).await.map_err(|error| session.refuse(error))?;
        Self::for_type(kind, in_path, body)
    }

    fn for_type(kind: KeyType, in_path: Option<&str>, body: &Fields) -> Result<Self, Refusal> {
        body.refuse_derivation()?;
        let digest = requested_digest(in_path, body)?;
        let is_ecdsa = matches!(kind, KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521);
        let is_rsa = matches!(kind, KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096);
        let is_jws = jws(body)? && is_ecdsa;
        let scheme = match (is_rsa, is_ecdsa) {
            (true, _) => rsa_scheme(body)?,
            (_, true) if is_jws => SignatureScheme::EcdsaP1363,
            (_, true) => SignatureScheme::EcdsaAsn1,
            _ => SignatureScheme::Unspecified,
        };
        let (salt_length, salt_bytes) = salt(body)?;
        let is_pss = scheme == SignatureScheme::Pss;
        Ok(Self {
            digest: if is_rsa || is_ecdsa { digest.into() } else { 0 },
            prehashed: body.flag("prehashed")?,
            scheme,
            salt_length: if is_pss { salt_length } else { SaltLength::Unspecified },
            salt_bytes: if is_pss { salt_bytes } else { 0 },
            is_jws,
            key_version: body.number("key_version")?.unwrap_or_default(),
        })
    }
}

fn rsa_scheme(body: &Fields) -> Result<SignatureScheme, Refusal> {
    match body.text("signature_algorithm")?.unwrap_or_default() {
        "" | "pss" => Ok(SignatureScheme::Pss),
        "pkcs1v15" => Ok(SignatureScheme::Pkcs1v15),
        other => Err(Refusal::bad(format!("unsupported rsa signature algorithm {other}"))),
    }
}

/// Whether a signature is written as in a JWS.
fn jws(body: &Fields) -> Result<bool, Refusal> {
    match body.text("marshaling_algorithm")?.unwrap_or("asn1") {
        "asn1" => Ok(false),
        "jws" => Ok(true),
        other => Err(Refusal::bad(format!("invalid marshaling type \"{other}\""))),
    }
}

/// `auto` (or 0) is the longest that fits, `hash` (or -1) is as long as the digest, else bytes.
fn salt(body: &Fields) -> Result<(SaltLength, u32), Refusal> {
    let word = body.word("salt_length")?.unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "" | "auto" | "0" => Ok((SaltLength::Unspecified, 0)),
        "hash" | "-1" => Ok((SaltLength::Digest, 0)),
        number => number
            .parse()
            .map(|bytes| (SaltLength::Explicit, bytes))
            .map_err(|_| Refusal::bad(format!("salt length neither 'auto', 'hash', nor an int: {number}"))),
    }
}

/// Signs.
pub(super) async fn sign(session: &Session, name: &str, in_path: Option<&str>, body: &Fields) -> Outcome {
    let (batch, how) = (Batch::of(session, body)?, How::of(session, "sign", name, in_path, body).await?);
    let read = batch.read(|item| {
        Ok(SignRequest {
            key: name.to_owned(),
            message: input(&batch, item)?,
            digest: how.digest,
            prehashed: how.prehashed,
            scheme: how.scheme.into(),
            salt_length: how.salt_length.into(),
            salt_bytes: how.salt_bytes,
            key_version: how.key_version,
        })
    });
    let done = send(read, async |items| {
        let request = session.request(SignBatchRequest { items });
        let answer = session.wait(session.data().sign_batch(request)).await?;
        Ok(results!(sign_result, answer.results))
    });
    let signatures = done.await?.into_iter().map(|item| {
        let signed = item?;
        let text =
            if how.is_jws { URL_SAFE_NO_PAD.encode(&signed.signature) } else { to_base64(&signed.signature) };
        Ok(versioned("signature", signed.key_version, &text))
    });
    batch.answer(signatures.collect(), Failures::InItems)
}

/// What is signed; Vault takes an absent one for empty, but in a batch.
fn input(batch: &Batch, item: &Fields) -> Result<Bytes, Refusal> {
    item.refuse_derivation()?;
    match item.bytes("input")? {
        None if batch.is_many() => Err(Refusal::bad("missing input")),
        found => Ok(found.unwrap_or_default()),
    }
}

fn versioned(field: &str, version: u32, text: &str) -> Map<String, Value> {
    let text = format!("{PREFIX}{version}:{text}");
    Map::from_iter([(field.to_owned(), text.into()), ("key_version".to_owned(), version.into())])
}

/// Verifies a signature, or an HMAC.
pub(super) async fn verify(session: &Session, name: &str, in_path: Option<&str>, body: &Fields) -> Outcome {
    let batch = Batch::of(session, body)?;
    let count = |field: &str| -> Result<usize, Refusal> {
        let given = batch.items().iter().map(|item| Ok(item.text(field)?.is_some()));
        Ok(given.collect::<Result<Vec<_>, Refusal>>()?.into_iter().filter(|given| *given).count())
    };
    match (count("signature")?, count("hmac")?) {
        (0, 0) => Err(Refusal::bad("neither a 'signature' nor an 'hmac' was given to verify")),
        (_, 0) => verify_signatures(session, name, in_path, body, batch).await,
        (0, _) => verify_hmacs(session, name, in_path, body, batch).await,
        _ => Err(Refusal::bad("provide one of 'signature' or 'hmac', the same in all items")),
    }
}

async fn verify_signatures(
    session: &Session,
    name: &str,
    in_path: Option<&str>,
    body: &Fields,
    batch: Batch,
) -> Outcome {
    let how = How::of(session, "verify", name, in_path, body).await?;
    let read = batch.read(|item| {
        let (key_version, signature) = parse(item, "signature", how.is_jws)?;
        Ok(VerifyRequest {
            key: name.to_owned(),
            message: input(&batch, item)?,
            signature,
            digest: how.digest,
            prehashed: how.prehashed,
            scheme: how.scheme.into(),
            salt_length: how.salt_length.into(),
            salt_bytes: how.salt_bytes,
            key_version,
        })
    });
    let done = send(read, async |items| {
        let request = session.request(VerifyBatchRequest { items });
        let answer = session.wait(session.data().verify_batch(request)).await?;
        Ok(results!(verify_result, answer.results))
    });
    let verdicts = done.await?.into_iter().map(|item| Ok(verdict(item?.is_valid)));
    batch.answer(verdicts.collect(), Failures::InItems)
}

async fn verify_hmacs(
    session: &Session,
    name: &str,
    in_path: Option<&str>,
    body: &Fields,
    batch: Batch,
) -> Outcome {
    let digest = requested_digest(in_path, body)?.into();
    let read = batch.read(|item| {
        let (key_version, hmac) = parse(item, "hmac", false)?;
        Ok(VerifyHmacRequest {
            key: name.to_owned(),
            message: input(&batch, item)?,
            hmac,
            digest,
            key_version,
        })
    });
    let done = send(read, async |items| {
        let request = session.request(VerifyHmacBatchRequest { items });
        let answer = session.wait(session.data().verify_hmac_batch(request)).await?;
        Ok(results!(verify_hmac_result, answer.results))
    });
    let verdicts = done.await?.into_iter().map(|item| {
        let verified = item.map_err(|refused: Refused| refused.hint("KEY_TYPE", HMAC_HINT))?;
        Ok(verdict(verified.is_valid))
    });
    batch.answer(verdicts.collect(), Failures::InItems)
}

fn verdict(is_valid: bool) -> Map<String, Value> {
    Map::from_iter([("valid".to_owned(), is_valid.into())])
}

/// `vault:v<version>:<base64>`.
fn parse(item: &Fields, field: &str, is_jws: bool) -> Result<(u32, Bytes), Refusal> {
    let text = item.text(field)?.unwrap_or_default();
    let rest =
        text.strip_prefix(PREFIX).ok_or_else(|| Refusal::bad(format!("invalid {field}: no prefix")))?;
    let wrong = || Refusal::bad(format!("invalid {field}: it must be vault:v<version>:<base64>"));
    let (version, encoded) = rest.split_once(':').ok_or_else(wrong)?;
    let version = version.parse().ok().filter(|version| *version > 0).ok_or_else(wrong)?;
    let decoded = if is_jws { URL_SAFE_NO_PAD.decode(encoded) } else { STANDARD.decode(encoded) };
    Ok((version, decoded.map_err(|_| wrong())?.into()))
}

/// Computes an HMAC.
pub(super) async fn hmac(session: &Session, name: &str, in_path: Option<&str>, body: &Fields) -> Outcome {
    let (batch, digest) = (Batch::of(session, body)?, requested_digest(in_path, body)?.into());
    let key_version = body.number("key_version")?.unwrap_or_default();
    let read = batch.read(|item| {
        Ok(HmacRequest { key: name.to_owned(), message: input(&batch, item)?, digest, key_version })
    });
    let done = send(read, async |items| {
        let request = session.request(HmacBatchRequest { items });
        let answer = session.wait(session.data().hmac_batch(request)).await?;
        Ok(results!(hmac_result, answer.results))
    });
    let hmacs = done.await?.into_iter().map(|item: Done<_>| {
        let made = item.map_err(|refused| refused.hint("KEY_TYPE", HMAC_HINT))?;
        Ok(versioned("hmac", made.key_version, &to_base64(&made.hmac)))
    });
    batch.answer(hmacs.collect(), Failures::InItems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn salts_are_vaults() {
        let salt_of = |value: Value| salt(&fields(&json!({ "salt_length": value })));
        for auto in [Value::Null, json!("auto"), json!("AUTO"), json!("0"), json!(0)] {
            assert!(salt_of(auto) == Ok((SaltLength::Unspecified, 0)));
        }
        assert!(salt_of(json!("hash")) == Ok((SaltLength::Digest, 0)));
        assert!(salt_of(json!("-1")) == Ok((SaltLength::Digest, 0)));
        assert!(salt_of(json!("20")) == Ok((SaltLength::Explicit, 20)));
        assert!(salt_of(json!("-2")).is_err() && salt_of(json!("long")).is_err());
    }

    #[test]
    fn digests_come_from_the_path_first() {
        let body = fields(&json!({"algorithm": "sha2-384", "hash_algorithm": "sha2-512"}));
        assert!(requested_digest(Some("sha2-256"), &body) == Ok(DigestAlgorithm::Sha2256));
        assert!(requested_digest(None, &body) == Ok(DigestAlgorithm::Sha2512));
        assert!(requested_digest(None, &Fields::default()) == Ok(DigestAlgorithm::Sha2256));
        assert!(
            requested_digest(Some("md5"), &body).is_err() && requested_digest(Some("none"), &body).is_err()
        );
    }

    #[test]
    fn signatures_name_their_version() {
        let parsed = |text: &str, is_jws| parse(&fields(&json!({ "signature": text })), "signature", is_jws);
        assert_eq!(parsed("vault:v3:+/8=", false), Ok((3, Bytes::from_static(b"\xfb\xff"))));
        assert_eq!(parsed("vault:v3:-_8", true), Ok((3, Bytes::from_static(b"\xfb\xff"))));
        for odd in ["", "abc", "vault:v3", "vault:v:AA==", "vault:v0:AA==", "vault:v3:###", "vault:vx:AA=="] {
            assert!(parsed(odd, false).is_err(), "{odd}");
        }
    }
}
