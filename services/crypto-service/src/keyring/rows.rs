//! Rows of the table of keys, and the names of keys.

use super::KeyType;
use crate::{
    error::Error,
    root_key::{Rewrapped, RootKey},
    store::Table,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_backplane::{Change, Expect};
use patchbay_crypto::Secret;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Characters of a name at most.
const NAME_MAX: usize = 128;

/// What rows of headers start with.
pub(crate) const HEADERS: &str = "key/";

/// Name of a key: 1 to 128 letters, digits, `.`, `-`, `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// Checks a name that came in `field`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(allowed) {
            return Err(Error::bad(field, "must be 1 to 128 letters, digits, `.`, `-` or `_`"));
        }
        Ok(Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Its header's row.
    pub(crate) fn header_row(&self) -> String {
        header_row(&self.0)
    }

    /// A version's row.
    pub(crate) fn version_row(&self, number: u32) -> String {
        format!("version/{}/{number:010}", self.0)
    }

    /// Says that there is no such key.
    pub(crate) fn not_found(&self) -> Error {
        not_found(&self.0)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A header's row.
pub(crate) fn header_row(name: &str) -> String {
    format!("{HEADERS}{name}")
}

/// Says that there is no such key.
pub(crate) fn not_found(name: &str) -> Error {
    Error::NotFound(format!("the key `{name}`"))
}

/// A counter's row.
pub(crate) fn usage_row(id: &str, number: u32) -> String {
    format!("usage/{id}/{number:010}")
}

/// Everything about a key but its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "five switches that have nothing to do with each other")]
pub struct Header {
    /// Random, 16 bytes in hexadecimal: tells a key from one that had the same name before.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// Newest version, from 1.
    pub latest: u32,
    /// Versions below decrypt and verify nothing.
    pub min_decryption: u32,
    /// Versions below encrypt and sign nothing; 0 is no such limit.
    pub min_encryption: u32,
    /// Versions below are gone.
    pub min_available: u32,
    /// Whether it may be deleted.
    pub deletion_allowed: bool,
    /// Whether its material may be given out.
    pub exportable: bool,
    /// Whether a backup may be made without a password.
    pub plaintext_backup_allowed: bool,
    /// Whether its material came from outside.
    pub imported: bool,
    /// Whether it is soft-deleted.
    pub disabled: bool,
    /// Milliseconds after which a new version is made by itself; 0 is never.
    pub auto_rotate: u64,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// When its newest version was made.
    pub rotated_at: u64,
    /// Bytes of an HMAC key; 0 for other types.
    pub hmac_size: u32,
    /// Root key that was in use when it was made; its versions are wrapped anew when that is rotated.
    pub root: String,
}

impl Header {
    /// Makes a random id.
    pub(crate) fn new_id() -> Result<String, Error> {
        Ok(hex::encode(Secret::random(16).map_err(Error::internal)?.expose()))
    }

    /// Numbers of the versions that are there.
    pub fn available(&self) -> std::ops::RangeInclusive<u32> {
        self.min_available..=self.latest
    }

    /// Whether the numbers can be true; they always are but in a backup that somebody has edited.
    pub(crate) fn is_consistent(&self) -> bool {
        let lowest_encryption =
            if self.min_encryption == 0 { self.min_decryption } else { self.min_encryption };
        0 < self.min_available
            && self.min_available <= self.min_decryption
            && self.min_decryption <= lowest_encryption
            && lowest_encryption <= self.latest
    }

    /// A change of the header.
    pub(crate) fn put(&self, name: &KeyName, expect: Expect) -> Result<Change, Error> {
        Table::Keys.put(name.header_row(), expect, self)
    }
}

/// A version, its material wrapped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionRow {
    /// When it was made, in milliseconds since 1970.
    pub(crate) created: u64,
    /// Material, wrapped by the root key, Base64.
    wrapped: String,
    /// Public half as SPKI DER, Base64; empty for symmetric keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public: String,
}

impl VersionRow {
    /// Wraps material for its place.
    pub(crate) fn wrap(
        root: &RootKey,
        place: &str,
        created: u64,
        material: &Secret,
        public: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let wrapped = STANDARD.encode(root.wrap(place, material)?);
        Ok(Self { created, wrapped, public: public.map(|der| STANDARD.encode(der)).unwrap_or_default() })
    }

    /// Unwraps the material of its place.
    pub(crate) fn unwrap(&self, root: &RootKey, place: &str) -> Result<Secret, Error> {
        root.unwrap(place, &STANDARD.decode(&self.wrapped).map_err(Error::internal)?)
    }

    /// The same, wrapped by the newest root key; `None` where it is already, and an error where no key that is known here has wrapped it.
    pub(crate) fn rewrapped(&self, root: &RootKey, place: &str) -> Result<Option<Self>, Error> {
        let wrapped = match root.rewrap(place, &STANDARD.decode(&self.wrapped).map_err(Error::internal)?)? {
            Rewrapped::Newest => return Ok(None),
            Rewrapped::Anew(wrapped) => STANDARD.encode(wrapped),
            Rewrapped::Unknown => return Err(Error::internal(format!("no root key opens {place}"))),
        };
        Ok(Some(Self { wrapped, ..self.clone() }))
    }

    /// Public half as SPKI DER.
    pub(crate) fn public(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.public.is_empty() {
            return Ok(None);
        }
        STANDARD.decode(&self.public).map(Some).map_err(Error::internal)
    }
}

/// What a version's material is wrapped for: it cannot be put in the place of another.
pub(crate) fn place(name: &KeyName, header: &Header, number: u32) -> String {
    format!("key/{}/{name}/{number}/{}", header.id, header.key_type.word())
}

/// How many encryptions all replicas together have reserved with one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsageRow {
    pub(crate) reserved: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "app-key_1.x", &"k".repeat(128)] {
            assert_eq!(KeyName::parse("name", good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a b", "ä", "a:b", "*", &"k".repeat(129), "a\n"] {
            assert!(
                matches!(KeyName::parse("name", bad), Err(Error::BadRequest { field: "name", .. })),
                "{bad}"
            );
        }
    }
}
