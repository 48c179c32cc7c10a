//! Copies of whole keys: made here, restored anywhere, whatever the root key there.
//!
//! A backup is JSON with a header and the material of every version. With a password it is `1 || salt (16 bytes) || nonce ||
//! ciphertext || tag`: XAES-256-GCM under a key made with Argon2id, the first 17 bytes authenticated. Without one it is Base64.

use super::{
    Header, KeyName, Keyring, LoadedVersion,
    certificates::{CertificateRow, certificate_change},
    export::check_password,
    load::Numbered,
    manage::{all_rows_of, remove},
    material::{Made, is_hmac_size},
    rows::{UsageRow, VersionRow, place, usage_row},
    versions::{auto_rotate_millis, check_enabled},
};
use crate::{
    audit::Entry,
    error::Error,
    store::{Row, Table},
    x509::Chain,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay_backplane::{Change, Expect};
use patchbay_crypto::{Secret, aead, password::argon2id_key};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::HashSet, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// First byte of an encrypted backup.
const ENCRYPTED: u8 = 1;

const SALT: usize = 16;

/// Argon2id (RFC 9106, section 4, second recommendation).
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// Version of the JSON.
const FORMAT: u32 = 1;

/// Bytes of JSON at most of a header with a name, and of a version beside its material and its chain.
const HEADER_BYTES: usize = 1024;
const VERSION_BYTES: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    format: u32,
    name: String,
    header: Header,
    versions: Vec<BackedUp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackedUp {
    number: u32,
    created: u64,
    /// Encryptions that were reserved.
    encryptions: u64,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    material: Secret,
    /// Certificate chain as PEM, where one was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

/// What a caller brings to be restored.
pub struct Restore {
    /// The copy.
    pub backup: Secret,
    /// Its password; empty for a plaintext one.
    pub password: Secret,
    /// What becomes of a key that is there.
    pub existing: Existing,
}

/// What becomes of a key that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is restored.
    Keep,
    /// It is replaced.
    Replace,
}

impl Keyring {
    /// Copies a key. It is recorded before it is given out.
    pub async fn backup(&self, name: &KeyName, password: Secret, entry: Entry) -> Result<Secret, Error> {
        let (header, rows, chains) = self.all_versions(name).await?;
        check_enabled(name, &header)?;
        let is_plaintext = password.expose().is_empty();
        if is_plaintext && !header.plaintext_backup_allowed {
            return Err(Error::NotExportable);
        }
        if !is_plaintext {
            check_password(&password)?;
        }
        let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
        let usage = self.usage(&header, &numbers).await?;
        self.0.root.reload(&self.0.store).await?;
        let copy = |(((number, row), encryptions), chain): ((Numbered, u64), Option<CertificateRow>)| {
            let material = row.unwrap(&self.0.root, &place(name, &header, number))?;
            let certificate = chain.map(|row| row.chain);
            Ok(BackedUp { number, created: row.created, encryptions, material, certificate })
        };
        let versions =
            rows.into_iter().zip(usage).zip(chains).map(copy).collect::<Result<Vec<_>, Error>>()?;
        let json = write(&Backup { format: FORMAT, name: name.to_string(), header, versions })?;
        let backup = if is_plaintext {
            Secret::new(STANDARD.encode(json.expose()).into_bytes())
        } else {
            let seal = move || seal(&password, &json);
            self.0.pool.hash(u64::from(MEMORY_KIB) * 1024, seal).await??
        };
        let detail = if is_plaintext { "plaintext" } else { "encrypted" };
        self.0.store.record(entry.detail(detail)).await?;
        Ok(backup)
    }

    /// Restores a key under a name. It gets an id of its own, and counters that are not lower than those of the copy and of the key that it
    /// replaces: each counts a block more, for what was encrypted after the copy was made.
    pub async fn restore(&self, name: &KeyName, restore: Restore, entry: Entry) -> Result<Header, Error> {
        let Restore { backup, password, existing } = restore;
        if existing == Existing::Keep && self.header(name).await?.is_some() {
            return Err(Error::AlreadyExists(format!("the key `{name}`")));
        }
        let backup = Arc::new(self.open(backup, password).await?);
        let parsed = Arc::clone(&backup);
        let versions = self.0.pool.sign(move || parse_materials(&parsed)).await??;
        let header = Header { id: Header::new_id()?, root: self.0.root.id(), ..backup.header.clone() };
        let _changing = self.0.changing.lock().await;
        let before = self.header(name).await?;
        if before.is_some() && existing == Existing::Keep {
            return Err(Error::AlreadyExists(format!("the key `{name}`")));
        }
        let wrapped_at = self.0.root.revision();
        let changes = self.restoring(name, &header, (&backup, &versions), before.as_ref()).await?;
        let detail = format!("backup of {}, {} versions", backup.name, backup.versions.len());
        let revision = self.0.store.commit(changes, entry.detail(detail)).await?;
        self.outlast(wrapped_at, name).await?;
        let usable = versions.into_iter().filter(|version| version.number >= header.min_decryption).collect();
        self.adopt(name, Row { value: header.clone(), revision }, usable);
        Ok(header)
    }

    async fn open(&self, backup: Secret, password: Secret) -> Result<Backup, Error> {
        let is_encrypted = backup.expose().first() == Some(&ENCRYPTED);
        if is_encrypted {
            let open = move || open_sealed(&password, &backup);
            return read(&self.0.pool.hash(u64::from(MEMORY_KIB) * 1024, open).await??);
        }
        if !password.expose().is_empty() {
            return Err(Error::BackupUnreadable);
        }
        read(&Secret::new(
            STANDARD.decode(backup.expose().trim_ascii()).map_err(|_| Error::BackupUnreadable)?,
        ))
    }

    /// All rows of the restored key, and the removal of those of the key before that it does not overwrite.
    async fn restoring(
        &self,
        name: &KeyName,
        header: &Header,
        (backup, parsed): (&Backup, &[LoadedVersion]),
        before: Option<&Row<Header>>,
    ) -> Result<Vec<Change>, Error> {
        let expect = before.map_or(Expect::Absent, Row::unchanged);
        let mut changes = vec![header.put(name, expect)?];
        let numbers: Vec<u32> = backup.versions.iter().map(|version| version.number).collect();
        let used_before = match before {
            Some(before) => self.usage(&before.value, &numbers).await?,
            None => vec![0; numbers.len()],
        };
        for ((version, parsed), used_before) in backup.versions.iter().zip(parsed).zip(used_before) {
            let place = place(name, header, version.number);
            let (material, public) = (&version.material, parsed.public.as_deref());
            let row = VersionRow::wrap(&self.0.root, &place, version.created, material, public)?;
            changes.push(Table::Keys.put(name.version_row(version.number), Expect::Anything, &row)?);
            if let Some(chain) = certificate(version, parsed)? {
                changes.push(certificate_change(name, version.number, Some(&chain))?);
            }
            if header.key_type.is_counted() {
                let reserved =
                    restored_usage(version.encryptions.max(used_before), self.0.config.counter_block);
                let row = usage_row(&header.id, version.number);
                changes.push(Table::Keys.put(row, Expect::Absent, &UsageRow { reserved })?);
            }
        }
        if let Some(before) = before {
            let written: HashSet<String> = changes.iter().map(|change| change.key.clone()).collect();
            let old = all_rows_of(name, &before.value).into_iter().filter(|row| !written.contains(row));
            changes.extend(old.map(remove).collect::<Vec<_>>());
        }
        Ok(changes)
    }
}

/// The chain of a version, which must be its own.
fn certificate(version: &BackedUp, parsed: &LoadedVersion) -> Result<Option<CertificateRow>, Error> {
    let Some(chain) = &version.certificate else { return Ok(None) };
    let chain = Chain::read(chain).map_err(|_| Error::BackupUnreadable)?;
    let is_own = parsed.public.as_deref().is_some_and(|spki| chain.is_for(spki));
    is_own.then(|| Some(CertificateRow { chain: chain.into_pem() })).ok_or(Error::BackupUnreadable)
}

/// The count of a restored version: never lower, and a block more.
fn restored_usage(encryptions: u64, block: u32) -> u64 {
    encryptions.saturating_add(u64::from(block)).min(super::counter::LIMIT)
}

/// Checks what is true of every backup that was made here, and parses the material.
fn parse_materials(backup: &Backup) -> Result<Vec<LoadedVersion>, Error> {
    let header = &backup.header;
    let numbers = backup.versions.iter().map(|version| version.number);
    let rotates = auto_rotate_millis(Duration::from_millis(header.auto_rotate));
    if backup.format != FORMAT
        || !header.is_consistent()
        || !numbers.eq(header.available())
        || rotates.is_err()
        || !is_hmac_size(header.key_type, header.hmac_size)
    {
        return Err(Error::BackupUnreadable);
    }
    let parse = |version: &BackedUp| {
        let made =
            Made::stored(header.key_type, version.material.clone()).map_err(|_| Error::BackupUnreadable)?;
        Ok(LoadedVersion::new(header, version.number, version.created, *made.ready))
    };
    backup.versions.iter().map(parse).collect()
}

fn write(backup: &Backup) -> Result<Secret, Error> {
    // With room from the start: a buffer that grows leaves copies behind.
    let mut json = Vec::with_capacity(room(backup));
    serde_json::to_writer(&mut json, backup).map_err(Error::internal)?;
    Ok(Secret::new(json))
}

/// Bytes that a backup is not longer than as JSON: Base64 is a third longer, and each line break of a chain becomes two bytes.
fn room(backup: &Backup) -> usize {
    let version = |version: &BackedUp| {
        let chain = version.certificate.as_ref().map_or(0, String::len);
        VERSION_BYTES + version.material.expose().len().div_ceil(3) * 4 + 2 * chain
    };
    HEADER_BYTES + backup.versions.iter().map(version).sum::<usize>()
}

fn read(json: &Secret) -> Result<Backup, Error> {
    serde_json::from_slice(json.expose()).map_err(|_| Error::BackupUnreadable)
}

fn seal(password: &Secret, json: &Secret) -> Result<Secret, Error> {
    let salt = Secret::random(SALT).map_err(Error::internal)?;
    let mut sealed = vec![ENCRYPTED];
    sealed.extend_from_slice(salt.expose());
    let prefix = sealed.clone();
    key(password, salt.expose())?.seal_into(&prefix, json.expose(), &mut sealed).map_err(Error::internal)?;
    Ok(Secret::new(sealed))
}

fn open_sealed(password: &Secret, backup: &Secret) -> Result<Secret, Error> {
    let (prefix, body) = backup.expose().split_at_checked(1 + SALT).ok_or(Error::BackupUnreadable)?;
    let (_, salt) = prefix.split_at_checked(1).ok_or(Error::BackupUnreadable)?;
    key(password, salt)?.open(prefix, body).map_err(|_| Error::BackupUnreadable)
}

fn key(password: &Secret, salt: &[u8]) -> Result<aead::Key, Error> {
    let algorithm = aead::Algorithm::Xaes256Gcm;
    let key = argon2id_key(password.expose(), salt, MEMORY_KIB, PASSES, LANES, algorithm.key_length());
    aead::Key::new(algorithm, key.map_err(Error::internal)?.expose()).map_err(Error::internal)
}

fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(STANDARD.encode(secret.expose())))
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    STANDARD.decode(text.as_bytes()).map(Secret::new).map_err(|_| D::Error::custom("no Base64"))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
