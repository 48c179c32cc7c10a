//! Changes keys without making versions: configuration, trimming, deletion.

use super::{
    Header, KeyName, Keyring,
    rows::usage_row,
    versions::{ATTEMPTS, auto_rotate_millis, check_enabled},
};
use crate::{
    audit::Entry,
    error::Error,
    store::{Row, Table},
};
use patchbay_backplane::{Change, Expect};
use std::time::Duration;

/// What to change of a key; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configuration {
    /// Versions below decrypt and verify nothing; 0 is the oldest that is there.
    pub min_decryption: Option<u32>,
    /// Versions below encrypt and sign nothing; 0 is no such limit.
    pub min_encryption: Option<u32>,
    /// Whether it may be deleted.
    pub deletion_allowed: Option<bool>,
    /// Whether its material may be given out; can only become true.
    pub exportable: Option<bool>,
    /// Whether a backup may be made without a password; can only become true.
    pub plaintext_backup_allowed: Option<bool>,
    /// After how long a new version is made by itself; nothing is never.
    pub auto_rotate: Option<Duration>,
}

/// What becomes of a header, and which rows go with it.
pub(super) struct Plan {
    header: Option<Header>,
    changes: Vec<Change>,
}

impl Plan {
    fn keep(header: Header) -> Self {
        Self::writing(header, Vec::new())
    }

    fn removing(header: Option<Header>, rows: Vec<String>) -> Self {
        Self { header, changes: rows.into_iter().map(remove).collect() }
    }

    /// A header, and changes of other rows of the key.
    pub(super) fn writing(header: Header, changes: Vec<Change>) -> Self {
        Self { header: Some(header), changes }
    }
}

impl Keyring {
    /// Changes a key's configuration.
    pub async fn configure(
        &self,
        name: &KeyName,
        wanted: Configuration,
        entry: Entry,
    ) -> Result<Header, Error> {
        let plan = |header: &Header| {
            check_enabled(name, header)?;
            wanted.apply(header).map(Plan::keep)
        };
        self.change(name, plan, entry.detail(wanted.to_string())).await
    }

    /// Destroys versions below one.
    pub async fn trim(&self, name: &KeyName, min_available: u32, entry: Entry) -> Result<Header, Error> {
        let plan = |header: &Header| {
            check_enabled(name, header)?;
            check_trim(header, min_available)?;
            let removed = rows_of(name, header, header.min_available..min_available);
            Ok(Plan::removing(Some(Header { min_available, ..header.clone() }), removed))
        };
        self.change(name, plan, entry.detail(format!("versions below {min_available}"))).await
    }

    /// Disables a key.
    pub async fn soft_delete(&self, name: &KeyName, entry: Entry) -> Result<Header, Error> {
        self.change(name, |header| Ok(Plan::keep(Header { disabled: true, ..header.clone() })), entry).await
    }

    /// Enables a key that was disabled.
    pub async fn undelete(&self, name: &KeyName, entry: Entry) -> Result<Header, Error> {
        self.change(name, |header| Ok(Plan::keep(Header { disabled: false, ..header.clone() })), entry).await
    }

    /// Removes a key, its versions and its counters for good.
    pub async fn delete(&self, name: &KeyName, entry: Entry) -> Result<(), Error> {
        let plan = |header: &Header| {
            check_enabled(name, header)?;
            if !header.deletion_allowed {
                return Err(Error::DeletionNotAllowed);
            }
            Ok(Plan::removing(None, all_rows_of(name, header)))
        };
        self.change(name, plan, entry).await.map(drop)
    }

    /// Reads, plans and commits; where somebody else was quicker, again. Returns the header as it is, or was before it was removed.
    pub(super) async fn change(
        &self,
        name: &KeyName,
        plan: impl Fn(&Header) -> Result<Plan, Error>,
        entry: Entry,
    ) -> Result<Header, Error> {
        let _changing = self.0.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let row = self.header(name).await?.ok_or_else(|| name.not_found())?;
            let Plan { header, changes: others } = plan(&row.value)?;
            let mut changes = vec![match &header {
                Some(header) => header.put(name, row.unchanged())?,
                None => Table::Keys.change(name.header_row(), row.unchanged(), None),
            }];
            changes.extend(others);
            match self.0.store.commit(changes, entry.clone()).await {
                Ok(revision) => return Ok(self.changed(name, row.value, header, revision)),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(format!("the key `{name}`")))
    }

    fn changed(&self, name: &KeyName, before: Header, after: Option<Header>, revision: u64) -> Header {
        let Some(header) = after else {
            self.0.cache.forget(name.as_str());
            return before;
        };
        self.adopt(name, Row { value: header.clone(), revision }, Vec::new());
        header
    }
}

impl Configuration {
    fn apply(&self, header: &Header) -> Result<Header, Error> {
        let mut next = header.clone();
        next.exportable = one_way("exportable", header.exportable, self.exportable)?;
        next.plaintext_backup_allowed = one_way(
            "plaintext_backup_allowed",
            header.plaintext_backup_allowed,
            self.plaintext_backup_allowed,
        )?;
        next.deletion_allowed = self.deletion_allowed.unwrap_or(header.deletion_allowed);
        if let Some(period) = self.auto_rotate {
            next.auto_rotate = auto_rotate_millis(period)?;
        }
        if let Some(version) = self.min_decryption {
            next.min_decryption = if version == 0 { header.min_available } else { version };
        }
        next.min_encryption = self.min_encryption.unwrap_or(header.min_encryption);
        check_minimums(&next)?;
        Ok(next)
    }
}

impl std::fmt::Display for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = Vec::new();
        let mut say = |field: &str, value: Option<String>| {
            said.extend(value.map(|value| format!("{field}={value}")));
        };
        say("min_decryption_version", self.min_decryption.map(|version| version.to_string()));
        say("min_encryption_version", self.min_encryption.map(|version| version.to_string()));
        say("deletion_allowed", self.deletion_allowed.map(|allowed| allowed.to_string()));
        say("exportable", self.exportable.map(|allowed| allowed.to_string()));
        say("plaintext_backup_allowed", self.plaintext_backup_allowed.map(|allowed| allowed.to_string()));
        say("auto_rotate_period", self.auto_rotate.map(|period| format!("{}s", period.as_secs())));
        f.write_str(&said.join(" "))
    }
}

fn one_way(field: &'static str, is: bool, wanted: Option<bool>) -> Result<bool, Error> {
    match wanted {
        Some(false) if is => Err(Error::OneWay(field)),
        Some(wanted) => Ok(wanted),
        None => Ok(is),
    }
}

fn check_minimums(header: &Header) -> Result<(), Error> {
    let Header { min_available, min_decryption, min_encryption, latest, .. } = *header;
    if !(min_available..=latest).contains(&min_decryption) {
        let problem = format!("must be a version that is there, {min_available} to {latest}");
        return Err(Error::bad("min_decryption_version", problem));
    }
    if min_encryption != 0 && !(min_decryption..=latest).contains(&min_encryption) {
        let problem =
            format!("must be 0, or from min_decryption_version to the newest, {min_decryption} to {latest}");
        return Err(Error::bad("min_encryption_version", problem));
    }
    Ok(())
}

fn check_trim(header: &Header, min_available: u32) -> Result<(), Error> {
    let highest = match header.min_encryption {
        0 => header.min_decryption,
        min_encryption => header.min_decryption.min(min_encryption),
    };
    if (header.min_available..=highest).contains(&min_available) {
        return Ok(());
    }
    let lowest = header.min_available;
    let problem = format!(
        "must be from {lowest} to {highest}: not below what is there, and not above min_decryption_version and min_encryption_version"
    );
    Err(Error::bad("min_available_version", problem))
}

/// Rows of some versions: material, counters and certificates.
fn rows_of(name: &KeyName, header: &Header, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.flat_map(|number| rows_of_version(name, header, number)).collect()
}

/// Rows of all versions.
pub(super) fn all_rows_of(name: &KeyName, header: &Header) -> Vec<String> {
    let mut rows = rows_of(name, header, header.min_available..header.latest);
    rows.extend(rows_of_version(name, header, header.latest));
    rows
}

fn rows_of_version(name: &KeyName, header: &Header, number: u32) -> [String; 3] {
    [name.version_row(number), usage_row(&header.id, number), name.certificate_row(number)]
}

/// Removes a row, if it is there.
pub(super) fn remove(row: String) -> Change {
    Table::Keys.change(row, Expect::Anything, None)
}
