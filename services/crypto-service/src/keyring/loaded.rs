//! Keys as they are used: unwrapped, parsed, and with the rules of which version may do what.

use super::{Header, KeyType, counter::Counter, material::Material};
use crate::error::Error;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A key in memory. It does not change: a change of the key makes another.
pub struct LoadedKey {
    /// Its name.
    pub name: Arc<str>,
    /// Everything but its versions.
    pub header: Header,
    /// Versions that may decrypt; those below the key's minimum are not unwrapped at all.
    pub versions: BTreeMap<u32, Arc<LoadedVersion>>,
    /// Revision of the header's row.
    pub(crate) revision: u64,
}

impl LoadedKey {
    /// What it is.
    pub fn key_type(&self) -> KeyType {
        self.header.key_type
    }

    /// Refuses a key that is disabled.
    pub fn check_enabled(&self) -> Result<(), Error> {
        if self.header.disabled { Err(Error::KeyDisabled(self.name.to_string())) } else { Ok(()) }
    }

    /// The version that encrypts or signs; 0 asks for the newest.
    pub fn encrypting(&self, requested: u32) -> Result<&Arc<LoadedVersion>, Error> {
        let number = if requested == 0 { self.header.latest } else { requested };
        if number < self.header.min_encryption {
            self.check_enabled()?;
            return Err(Error::KeyVersion(number));
        }
        self.decrypting(number)
    }

    /// A version that decrypts or verifies.
    pub fn decrypting(&self, version: u32) -> Result<&Arc<LoadedVersion>, Error> {
        self.check_enabled()?;
        if version < self.header.min_decryption {
            return Err(Error::KeyVersion(version));
        }
        self.versions.get(&version).ok_or(Error::KeyVersion(version))
    }

    /// All versions that verify, newest first; none of a disabled key, see [`LoadedKey::check_enabled`].
    pub fn verifying(&self) -> impl Iterator<Item = &Arc<LoadedVersion>> {
        let lowest = if self.header.disabled { u32::MAX } else { self.header.min_decryption };
        self.versions.range(lowest..).rev().map(|(_, version)| version)
    }
}

impl fmt::Debug for LoadedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedKey")
            .field("name", &self.name)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// A version in memory. Neither its number nor its material ever changes.
pub struct LoadedVersion {
    /// Number, from 1.
    pub number: u32,
    /// What it computes with.
    pub material: Material,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// Public half as SPKI DER, for asymmetric keys.
    pub public: Option<Vec<u8>>,
    /// Encryptions that this replica has reserved; `None` for types that are not counted.
    pub(super) counter: Option<Counter>,
}

impl fmt::Debug for LoadedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedVersion").field("number", &self.number).finish_non_exhaustive()
    }
}
