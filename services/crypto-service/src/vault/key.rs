//! A key in Vault's words.

use super::{
    body::{Fields, to_base64},
    frame::Refusal,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use patchbay_proto::crypto::v1::{Key, KeyType, KeyVersion};
use serde_json::{Map, Value, json};

/// Bytes of an Ed25519 public key at the end of its SPKI (RFC 8410, section 4).
const ED25519_PUBLIC: usize = 32;

/// The type of a key that is to be made: Vault's convergent keys are a type of their own here.
pub(super) fn created_type(body: &Fields) -> Result<KeyType, Refusal> {
    let asked = requested_type(body)?;
    match (body.flag("derived")?, body.flag("convergent_encryption")?) {
        (false, false) => Ok(asked),
        (true, true) if is_made_convergent(asked) => Ok(KeyType::Aes256GcmSivConvergent),
        (true, true) => Err(Refusal::bad(format!("a key of type {} cannot be convergent", word(asked)))),
        (true, false) => Err(Refusal::bad(
            "`derived` is only supported together with `convergent_encryption`: keys are not derived here otherwise",
        )),
        (false, true) => Err(Refusal::bad("`convergent_encryption` requires `derived` to be true")),
    }
}

/// Types that may be convergent in Vault, and the one that is it here.
fn is_made_convergent(kind: KeyType) -> bool {
    matches!(
        kind,
        KeyType::Aes128Gcm96
            | KeyType::Aes256Gcm96
            | KeyType::Chacha20Poly1305
            | KeyType::Aes256GcmSivConvergent
    )
}

/// The type that a request asks for; Vault's default is not this service's.
pub(super) fn requested_type(body: &Fields) -> Result<KeyType, Refusal> {
    let Some(word) = body.text("type")?.filter(|word| !word.is_empty()) else {
        return Ok(KeyType::Aes256Gcm96);
    };
    let name = format!("KEY_TYPE_{}", word.to_ascii_uppercase().replace('-', "_"));
    let known = KeyType::from_str_name(&name).filter(|kind| *kind != KeyType::Unspecified);
    known.ok_or_else(|| Refusal::bad(format!("unknown key type {word}")))
}

/// The word for a type: that of the interface, in lower case.
pub(super) fn word(key_type: KeyType) -> String {
    let name = key_type.as_str_name();
    name.strip_prefix("KEY_TYPE_").unwrap_or(name).to_ascii_lowercase().replace('_', "-")
}

/// The key as `GET keys/<name>` tells it.
pub(super) fn describe(key: &Key) -> Value {
    let (kind, can) = (key.r#type(), Abilities::of(key.r#type()));
    let is_convergent = kind == KeyType::Aes256GcmSivConvergent;
    json!({
        "name": key.name,
        "type": word(kind),
        "derived": is_convergent,
        "convergent_encryption": is_convergent,
        "deletion_allowed": key.deletion_allowed,
        "min_available_version": key.min_available_version,
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "latest_version": key.latest_version,
        "exportable": key.exportable,
        "allow_plaintext_backup": key.plaintext_backup_allowed,
        "supports_encryption": can.encrypt,
        "supports_decryption": can.encrypt,
        "supports_signing": can.sign,
        "supports_derivation": is_convergent,
        "auto_rotate_period": key.auto_rotate_period.as_ref().map_or(0, |period| period.seconds),
        "imported_key": key.imported,
        "soft_deleted": key.disabled,
        "keys": versions(kind, &key.versions),
    })
}

/// What a type can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) encrypt: bool,
    pub(super) sign: bool,
}

impl Abilities {
    pub(super) fn of(kind: KeyType) -> Self {
        match kind {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Self { encrypt: true, sign: true },
            KeyType::Ed25519
            | KeyType::EcdsaP256
            | KeyType::EcdsaP384
            | KeyType::EcdsaP521
            | KeyType::MlDsa65 => Self { encrypt: false, sign: true },
            // What these do Vault has no call for.
            KeyType::Hmac
            | KeyType::X25519
            | KeyType::EcdhP256
            | KeyType::MlKem768
            | KeyType::Aes128GcmChunked
            | KeyType::Aes256GcmChunked => Self { encrypt: false, sign: false },
            _ => Self { encrypt: true, sign: false },
        }
    }
}

/// Time of each version, or its public half.
fn versions(kind: KeyType, versions: &[KeyVersion]) -> Value {
    let described = versions.iter().map(|version| {
        let (seconds, nanos) = version.created.as_ref().map_or((0, 0), |time| (time.seconds, time.nanos));
        let value = match curve(kind) {
            None => json!(seconds),
            Some(name) => described(
                version,
                json!({
                    "creation_time": Timestamp::new(seconds, nanos).unwrap_or_default().to_string(),
                    "name": name,
                    "public_key": public_key(kind, &version.public_key_pem),
                }),
            ),
        };
        (version.version.to_string(), value)
    });
    Value::Object(described.collect::<Map<_, _>>())
}

/// Adds the chain, where there is one.
fn described(version: &KeyVersion, mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value
        && !version.certificate_chain_pem.is_empty()
    {
        fields.insert("certificate_chain".to_owned(), version.certificate_chain_pem.clone().into());
    }
    value
}

/// What Vault calls the kind of an asymmetric key.
fn curve(kind: KeyType) -> Option<&'static str> {
    match kind {
        KeyType::EcdsaP256 | KeyType::EcdhP256 => Some("P-256"),
        KeyType::EcdsaP384 => Some("P-384"),
        KeyType::EcdsaP521 => Some("P-521"),
        KeyType::Ed25519 => Some("ed25519"),
        KeyType::Rsa2048 => Some("rsa-2048"),
        KeyType::Rsa3072 => Some("rsa-3072"),
        KeyType::Rsa4096 => Some("rsa-4096"),
        KeyType::X25519 => Some("x25519"),
        KeyType::MlKem768 => Some("ml-kem-768"),
        KeyType::MlDsa65 => Some("ml-dsa-65"),
        _ => None,
    }
}

/// PEM, but for Ed25519, of which Vault gives the 32 bytes in Base64.
pub(super) fn public_key(kind: KeyType, pem: &str) -> String {
    if kind != KeyType::Ed25519 {
        return pem.to_owned();
    }
    ed25519_public(pem).map(|public| to_base64(&public)).unwrap_or_default()
}

/// The 32 bytes of an Ed25519 public key in SPKI PEM.
pub(super) fn ed25519_public(pem: &str) -> Option<[u8; ED25519_PUBLIC]> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(text).ok()?.last_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_vaults_words() {
        for expected in ["aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p521", "rsa-4096", "hmac"] {
            let body = Fields::parse(json!({ "type": expected }).to_string().as_bytes()).unwrap();
            assert_eq!(word(requested_type(&body).unwrap()), expected);
        }
        assert!(requested_type(&Fields::default()) == Ok(KeyType::Aes256Gcm96));
        for odd in ["managed_key", "unspecified", "aes"] {
            let body = Fields::parse(json!({ "type": odd }).to_string().as_bytes()).unwrap();
            assert!(requested_type(&body).is_err(), "{odd}");
        }
    }

    #[test]
    fn words_are_those_of_the_keyring() {
        for kind in crate::keyring::KeyType::ALL {
            let body = Fields::parse(json!({ "type": kind.word() }).to_string().as_bytes()).unwrap();
            assert_eq!(word(requested_type(&body).unwrap()), kind.word());
        }
    }

    #[test]
    fn ed25519_public_keys_are_their_bytes() {
        // RFC 8410, section 10.1.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(public_key(KeyType::Ed25519, pem), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        assert_eq!(public_key(KeyType::Rsa2048, pem), pem);
    }

    #[test]
    fn symmetric_versions_are_times_and_asymmetric_ones_are_described() {
        let version = KeyVersion {
            version: 1,
            created: Some(prost_types::Timestamp { seconds: 1_767_323_045, nanos: 0 }),
            ..Default::default()
        };
        assert_eq!(
            versions(KeyType::Aes256Gcm96, std::slice::from_ref(&version)),
            json!({"1": 1_767_323_045})
        );
        let described = versions(KeyType::EcdsaP256, &[version]);
        assert_eq!(described["1"]["creation_time"], "2026-01-02T03:04:05Z");
        assert_eq!(described["1"]["name"], "P-256");
    }
}
