//! Makes keys and versions: create, import, rotate, and rotation by itself.

use super::{
    Header, KeyName, KeyType, Keyring, LoadedVersion,
    material::{Made, hmac_size},
    rows::{HEADERS, VersionRow, place},
};
use crate::{
    audit::Entry,
    error::Error,
    outbox,
    store::{Row, Table, parse},
};
use patchbay_backplane::{Change, Expect, Order, Scan};
use patchbay_crypto::Secret;
use std::time::Duration;

/// How often a change is tried again after another replica was quicker.
pub(super) const ATTEMPTS: usize = 8;

/// Headers of one read when keys to rotate are looked for.
const PAGE: usize = 500;

/// Shortest period of rotation by itself, and the longest, a hundred years.
const AUTO_ROTATE: std::ops::RangeInclusive<Duration> =
    Duration::from_hours(1)..=Duration::from_hours(100 * 365 * 24);

/// What a new key shall be.
#[derive(Clone, Copy, Debug)]
pub struct Creation {
    /// What it is.
    pub key_type: KeyType,
    /// Whether its material may be given out.
    pub exportable: bool,
    /// Whether a backup may be made without a password.
    pub plaintext_backup_allowed: bool,
    /// After how long a new version is made by itself; nothing is never.
    pub auto_rotate: Duration,
    /// Bytes of an HMAC key; 0 is the default.
    pub hmac_size: u32,
}

/// Material that a caller brings.
pub struct Import {
    /// What it is.
    pub key_type: KeyType,
    /// Bytes of a symmetric key, or a private one as DER or PEM.
    pub material: Secret,
    /// Password of an encrypted PKCS#8.
    pub password: Secret,
    /// Whether it may be given out again.
    pub exportable: bool,
}

/// Whether a key was made by the call or was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creating {
    /// It was made.
    New,
    /// It was there with this type.
    Existing,
}

/// Whether a rotation is asked for, or happens only where its time has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    Due,
}

impl Keyring {
    /// Makes a key with a first version; one that is there with the same type stays as it is.
    pub async fn create(
        &self,
        name: &KeyName,
        creation: Creation,
        entry: Entry,
    ) -> Result<(Header, Creating), Error> {
        let auto_rotate = auto_rotate_millis(creation.auto_rotate)?;
        let hmac_size = hmac_size(creation.key_type, creation.hmac_size)?;
        if let Some(row) = self.header(name).await? {
            return self.existing(name, row.value, creation.key_type, entry).await;
        }
        let made = self.make(creation.key_type, hmac_size).await?;
        let header = Header {
            exportable: creation.exportable,
            plaintext_backup_allowed: creation.plaintext_backup_allowed,
            auto_rotate,
            hmac_size,
            ..self.new_header(creation.key_type)?
        };
        match self.commit_new(name, header, made, entry.clone()).await {
            Ok(header) => Ok((header, Creating::New)),
            Err(Error::Conflict(_)) => {
                let (row, _) = self.snapshot(name, |_| Vec::new()).await?;
                self.existing(name, row.value, creation.key_type, entry).await
            }
            Err(error) => Err(error),
        }
    }

    async fn existing(
        &self,
        name: &KeyName,
        header: Header,
        asked: KeyType,
        entry: Entry,
    ) -> Result<(Header, Creating), Error> {
        if header.key_type != asked {
            let is = header.key_type.word();
            return Err(Error::AlreadyExists(format!("the key `{name}`, which is of type {is},")));
        }
        self.0.store.record(entry.detail("it was there already")).await?;
        Ok((header, Creating::Existing))
    }

    /// Makes a key of what a caller brought, or a new version of one that was imported before.
    pub async fn import(&self, name: &KeyName, import: Import, entry: Entry) -> Result<Header, Error> {
        let Import { key_type, material, password, exportable } = import;
        let read = move || {
            let password = std::str::from_utf8(password.expose()).unwrap_or_default();
            Made::import(key_type, &material, password)
        };
        // RSA is checked number by number, and a password is stretched: both take long.
        let made = if key_type.is_asymmetric() { self.0.pool.sign(read).await?? } else { read()? };
        let hmac_size = if key_type == KeyType::Hmac { made.bytes.expose().len() } else { 0 };
        let hmac_size = u32::try_from(hmac_size).map_err(Error::internal)?;
        if self.header(name).await?.is_none() {
            let header = Header { imported: true, exportable, hmac_size, ..self.new_header(key_type)? };
            return match self.commit_new(name, header, made, entry).await {
                Err(Error::Conflict(_)) => Err(Error::AlreadyExists(format!("the key `{name}`"))),
                outcome => outcome,
            };
        }
        let check = |header: &Header| {
            if !header.imported || header.key_type != key_type {
                return Err(Error::AlreadyExists(format!("the key `{name}`")));
            }
            if exportable && !header.exportable {
                return Err(Error::bad(
                    "exportable",
                    "of a key that is there is changed by its configuration",
                ));
            }
            Ok(hmac_size)
        };
        self.add_version(name, made, check, entry).await
    }

    /// Makes a new version, which encrypts and signs from now on. An imported key gets a random one too.
    pub async fn rotate(&self, name: &KeyName, entry: Entry) -> Result<Header, Error> {
        let rotated = self.rotate_when(When::Now, name, entry).await?;
        rotated.ok_or_else(|| Error::Conflict(format!("the key `{name}`")))
    }

    async fn rotate_when(&self, when: When, name: &KeyName, entry: Entry) -> Result<Option<Header>, Error> {
        let header = self.header(name).await?.ok_or_else(|| name.not_found())?.value;
        check_enabled(name, &header)?;
        let made = self.make(header.key_type, header.hmac_size).await?;
        let same_key = header.id;
        let mut not_due = false;
        let check = |header: &Header| {
            not_due = when == When::Due && !self.is_due(header);
            if header.id != same_key || not_due {
                return Err(Error::Conflict(format!("the key `{name}`")));
            }
            Ok(header.hmac_size)
        };
        match self.add_version(name, made, check, entry).await {
            Err(Error::Conflict(_)) if not_due => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// Adds a version to a key that `check` finds to be the right one; it returns the bytes of HMAC keys to come.
    async fn add_version(
        &self,
        name: &KeyName,
        made: Made,
        mut check: impl FnMut(&Header) -> Result<u32, Error>,
        entry: Entry,
    ) -> Result<Header, Error> {
        let _changing = self.0.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let row = self.header(name).await?.ok_or_else(|| name.not_found())?;
            check_enabled(name, &row.value)?;
            let hmac_size = check(&row.value)?;
            let latest =
                row.value.latest.checked_add(1).ok_or_else(|| Error::bad("name", "has no versions left"))?;
            let (now, wrapped_at) = (self.0.clock.now_millis(), self.0.root.revision());
            let header = Header { latest, hmac_size, rotated_at: now, ..row.value.clone() };
            let told = outbox::key_rotated(name.as_str(), &header.id, latest, now);
            let changes = vec![header.put(name, row.unchanged())?, self.version(name, &header, &made)?, told];
            let entry = entry.clone().detail(format!("version {latest}"));
            match self.0.store.commit(changes, entry).await {
                Ok(revision) => {
                    self.outlast(wrapped_at, name).await?;
                    self.adopt_made(name, Row { value: header.clone(), revision }, made);
                    return Ok(header);
                }
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(format!("the key `{name}`")))
    }

    async fn commit_new(
        &self,
        name: &KeyName,
        header: Header,
        made: Made,
        entry: Entry,
    ) -> Result<Header, Error> {
        let wrapped_at = self.0.root.revision();
        let changes = vec![header.put(name, Expect::Absent)?, self.version(name, &header, &made)?];
        let revision = self.0.store.commit(changes, entry.detail(header.key_type.word())).await?;
        self.outlast(wrapped_at, name).await?;
        self.adopt_made(name, Row { value: header.clone(), revision }, made);
        Ok(header)
    }

    /// The row of the newest version.
    fn version(&self, name: &KeyName, header: &Header, made: &Made) -> Result<Change, Error> {
        let (place, public) = (place(name, header, header.latest), made.ready.public());
        let row = VersionRow::wrap(&self.0.root, &place, header.rotated_at, &made.bytes, public.as_deref())?;
        Table::Keys.put(name.version_row(header.latest), Expect::Absent, &row)
    }

    fn adopt_made(&self, name: &KeyName, row: Row<Header>, made: Made) {
        let version = LoadedVersion::new(&row.value, row.value.latest, row.value.rotated_at, *made.ready);
        self.adopt(name, row, vec![version]);
    }

    async fn make(&self, key_type: KeyType, hmac_size: u32) -> Result<Made, Error> {
        if key_type.is_rsa() {
            return self.0.pool.sign(move || Made::random(key_type, hmac_size)).await?;
        }
        Made::random(key_type, hmac_size)
    }

    pub(super) fn new_header(&self, key_type: KeyType) -> Result<Header, Error> {
        let now = self.0.clock.now_millis();
        Ok(Header {
            id: Header::new_id()?,
            key_type,
            latest: 1,
            min_decryption: 1,
            min_encryption: 0,
            min_available: 1,
            deletion_allowed: false,
            exportable: false,
            plaintext_backup_allowed: false,
            imported: false,
            disabled: false,
            auto_rotate: 0,
            created: now,
            rotated_at: now,
            hmac_size: 0,
            root: self.0.root.id(),
        })
    }

    fn is_due(&self, header: &Header) -> bool {
        let age = self.0.clock.now_millis().saturating_sub(header.rotated_at);
        header.auto_rotate != 0 && !header.disabled && header.auto_rotate <= age
    }

    /// Rotates all keys whose time has come. Where several replicas try, compare-and-set lets one.
    pub(super) async fn rotate_due(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let scan = Scan { prefix: HEADERS.to_owned(), after, order: Order::Ascending, limit: PAGE };
            let page = self.0.store.scan(Table::Keys, scan).await?;
            for record in &page.records {
                let header = parse::<Header>(record)?.value;
                let name = record.key.strip_prefix(HEADERS).unwrap_or_default();
                if self.is_due(&header) {
                    self.rotate_one(&KeyName::parse("name", name)?).await;
                }
            }
            after = page.records.last().map(|record| record.key.clone());
            if !page.more {
                return Ok(());
            }
        }
    }

    /// A key that cannot be rotated does not keep the others from it; it is tried again at the next check.
    async fn rotate_one(&self, name: &KeyName) {
        let entry = Entry::by_service("key.auto_rotate", name.as_str());
        match self.rotate_when(When::Due, name, entry).await {
            Ok(Some(header)) => {
                tracing::info!(key = name.as_str(), version = header.latest, "rotated by itself");
            }
            Ok(None) | Err(Error::Conflict(_) | Error::NotFound(_) | Error::KeyDisabled(_)) => {}
            Err(error) => tracing::warn!(key = name.as_str(), %error, "could not be rotated by itself"),
        }
    }
}

/// Checks a period of rotation; nothing is never.
pub(super) fn auto_rotate_millis(period: Duration) -> Result<u64, Error> {
    if !period.is_zero() && !AUTO_ROTATE.contains(&period) {
        return Err(Error::bad("auto_rotate_period", "must be an hour to 100 years, or zero for never"));
    }
    u64::try_from(period.as_millis()).map_err(Error::internal)
}

pub(super) fn check_enabled(name: &KeyName, header: &Header) -> Result<(), Error> {
    if header.disabled { Err(Error::KeyDisabled(name.to_string())) } else { Ok(()) }
}
