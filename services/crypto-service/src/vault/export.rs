//! Export, backup and restore.

use super::{
    Outcome,
    body::{Fields, to_base64},
    frame::{Answer, Refusal},
    key::{self, Abilities},
    session::Session,
};
use crate::error::Error;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use patchbay_proto::crypto::v1::{
    BackupKeyRequest, ExportFormat, ExportKeyRequest, ExportKeyResponse, ExportedVersion, GetKeyRequest,
    KeyType, RestoreKeyRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Encryption,
    Signing,
    Hmac,
    Public,
}

impl Part {
    fn parse(word: &str) -> Result<Self, Refusal> {
        match word {
            "encryption-key" => Ok(Self::Encryption),
            "signing-key" => Ok(Self::Signing),
            "hmac-key" => Ok(Self::Hmac),
            "public-key" => Ok(Self::Public),
            _ => Err(Refusal::bad(format!("invalid export type: {word}"))),
        }
    }

    /// Refuses what a type has not.
    fn check(self, kind: KeyType) -> Result<(), Refusal> {
        let can = Abilities::of(kind);
        let word = key::word(kind);
        match self {
            Self::Encryption if !can.encrypt => {
                Err(Refusal::bad(format!("encryption not supported for the key type {word}")))
            }
            Self::Signing if !can.sign => {
                Err(Refusal::bad(format!("signing not supported for the key type {word}")))
            }
            Self::Hmac if kind != KeyType::Hmac => Err(Refusal::bad(format!(
                "a key of type {word} has no HMAC key here; create one of type hmac"
            ))),
            Self::Public if !crate::keyring::KeyType::from(kind).is_asymmetric() => {
                Err(Refusal::bad(format!("a key of type {word} has no public key")))
            }
            _ => Ok(()),
        }
    }

    /// Word of the scope that gives it out.
    fn operation(self) -> &'static str {
        if self == Self::Public { "read" } else { "export" }
    }

    fn format(self) -> ExportFormat {
        if self == Self::Public { ExportFormat::PublicPem } else { ExportFormat::Unspecified }
    }
}

/// Gives out material; `version` is a number or `latest`, absent for all.
pub(super) async fn export(session: &Session, part: &str, name: &str, version: Option<&str>) -> Outcome {
    let part = Part::parse(part)?;
    // Asked before anything is given out, so that the audit log says nothing that has not happened.
    match session.key_type(part.operation(), name).await {
        Ok(kind) => part.check(kind.into())?,
        Err(error) if is_for_the_call(&error) => {}
        Err(error) => return Err(session.refuse(error)),
    }
    let version = match version {
        None => 0,
        Some("latest") => latest(session, name).await?,
        Some(number) => number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::bad("invalid key version"))?,
    };
    let exported = fetch(session, name, version, part.format()).await?;
    let kind = exported.r#type();
    part.check(kind)?;
    let publics = match (kind, part) {
        (KeyType::Ed25519, Part::Signing) => publics(session, name, version).await?,
        _ => HashMap::new(),
    };
    let texts = exported.versions.iter().map(|version| {
        let text = text(kind, part, version, &publics)?;
        Ok((version.version.to_string(), Value::String(text)))
    });
    let texts = texts.collect::<Result<Map<_, _>, Refusal>>()?;
    Ok(Answer::map(Map::from_iter([
        ("name".to_owned(), name.into()),
        ("type".to_owned(), key::word(kind).into()),
        ("keys".to_owned(), Value::Object(texts)),
    ])))
}

/// What the call refuses by itself, and records: a stranger to the key, or no such key. Anything else ends the request here.
fn is_for_the_call(error: &Error) -> bool {
    matches!(error, Error::Denied(_) | Error::NotFound(_) | Error::BadRequest { .. })
}

async fn fetch(
    session: &Session,
    name: &str,
    version: u32,
    format: ExportFormat,
) -> Result<ExportKeyResponse, Refusal> {
    let message =
        ExportKeyRequest { name: name.to_owned(), version, format: format.into(), password: String::new() };
    let exported = session.wait(session.keys().export_key(session.request(message))).await;
    exported.map_err(|status| Refusal::of_read(&status))
}

async fn latest(session: &Session, name: &str) -> Result<u32, Refusal> {
    let request = session.request(GetKeyRequest { name: name.to_owned() });
    let read = session.wait(session.keys().get_key(request)).await;
    let key = read.map_err(|status| Refusal::of_read(&status))?.key.ok_or_else(Refusal::absent)?;
    Ok(key.latest_version)
}

/// Public halves by version: Vault's form of an Ed25519 key holds both.
async fn publics(session: &Session, name: &str, version: u32) -> Result<HashMap<u32, [u8; 32]>, Refusal> {
    let exported = fetch(session, name, version, ExportFormat::PublicPem).await?;
    let publics = exported.versions.iter().filter_map(|version| {
        let pem = std::str::from_utf8(&version.material).ok()?;
        Some((version.version, key::ed25519_public(pem)?))
    });
    Ok(publics.collect())
}

/// Material as Vault writes it: Base64 for bytes, PEM for RSA and ECDSA.
fn text(
    kind: KeyType,
    part: Part,
    version: &ExportedVersion,
    publics: &HashMap<u32, [u8; 32]>,
) -> Result<String, Refusal> {
    let pem = || std::str::from_utf8(&version.material).map_err(|_| Refusal::bad("the key has no text form"));
    match (part, kind) {
        (Part::Public, _) => Ok(key::public_key(kind, pem()?)),
        (Part::Signing, KeyType::Ed25519) => {
            let seed = ed25519_seed(pem()?).ok_or_else(|| Refusal::bad("the key has no text form"))?;
            let public = publics.get(&version.version).copied().unwrap_or_default();
            Ok(to_base64(&Zeroizing::new([*seed, public].concat())))
        }
        _ if Abilities::of(kind).sign => Ok(pem()?.to_owned()),
        _ => Ok(to_base64(&version.material)),
    }
}

/// The seed in an Ed25519 key: the last octet string of PKCS#8 (RFC 8410, section 7), which has a fixed place in version 1.
fn ed25519_seed(pem: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text: Zeroizing<String> =
        Zeroizing::new(pem.lines().filter(|line| !line.starts_with("-----")).collect());
    let der = Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?);
    let inner = der.windows(2).position(|pair| pair == [0x04, 0x20])?;
    let seed = der.get(inner + 2..)?.first_chunk::<32>()?;
    Some(Zeroizing::new(*seed))
}

/// What is given out as a backup: the name too, for a restore that names none.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Backup {
    format: u32,
    name: String,
    key: String,
}

/// The one format there is.
const FORMAT: u32 = 1;

/// Gives out a whole key, in the clear, where the key allows it.
pub(super) async fn backup(session: &Session, name: &str) -> Outcome {
    let request = session.request(BackupKeyRequest { name: name.to_owned(), password: String::new() });
    let made = session.wait(session.keys().backup_key(request)).await?;
    let backup = Backup { format: FORMAT, name: name.to_owned(), key: to_base64(&made.backup) };
    let text = serde_json::to_vec(&backup).map_err(|_| Refusal::bad("the backup cannot be written"))?;
    let text = Zeroizing::new(text);
    Ok(Answer::map(Map::from_iter([("backup".to_owned(), to_base64(&text).into())])))
}

/// Makes a key from a backup, under its own name or another.
pub(super) async fn restore(session: &Session, name: Option<&str>, body: &Fields) -> Outcome {
    let bytes = body.bytes("backup")?.ok_or_else(|| Refusal::bad("missing backup"))?;
    let unreadable = || Refusal::bad("the backup is not one that this interface has made");
    let backup: Backup = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    if backup.format != FORMAT {
        return Err(unreadable());
    }
    let material = STANDARD.decode(&backup.key).map_err(|_| unreadable())?;
    let request = session.request(RestoreKeyRequest {
        name: name.unwrap_or(&backup.name).to_owned(),
        backup: Bytes::from(material),
        password: String::new(),
        force: body.flag("force")?,
    });
    session.wait(session.keys().restore_key(request)).await?;
    Ok(Answer::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_found_in_either_version_of_pkcs8() {
        // RFC 8410, section 10.3: the same key without and with its public half.
        let short = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let expected = STANDARD.decode("1O5y2/kTWErVttjx92n4rTr+fCjL8dT74Jeoj0R1WEI=").unwrap();
        assert_eq!(ed25519_seed(short).unwrap().as_slice(), expected);
        let long = "-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";
        assert_eq!(ed25519_seed(long).unwrap().as_slice(), expected);
        assert!(ed25519_seed("").is_none());
    }

    #[test]
    fn a_key_that_could_not_be_looked_at_is_not_given_out() {
        let denied = Error::Denied("keys:export:k".into());
        assert!(is_for_the_call(&Error::NotFound("k".into())) && is_for_the_call(&denied));
        assert!(!is_for_the_call(&Error::Unavailable) && !is_for_the_call(&Error::internal("odd")));
    }

    #[test]
    fn parts_that_a_type_has_not_are_refused() {
        assert!(Part::parse("encryption-key").unwrap().check(KeyType::Aes256Gcm96).is_ok());
        assert!(Part::Encryption.check(KeyType::Ed25519).is_err());
        assert!(Part::Signing.check(KeyType::Aes256Gcm96).is_err());
        assert!(Part::Hmac.check(KeyType::Aes256Gcm96).is_err() && Part::Hmac.check(KeyType::Hmac).is_ok());
        assert!(Part::Public.check(KeyType::Rsa2048).is_ok() && Part::Public.check(KeyType::Hmac).is_err());
        assert!(Part::parse("secret-key").is_err());
    }
}
