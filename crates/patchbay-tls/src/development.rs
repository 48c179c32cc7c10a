//! The certificate of one service by the local authority: one file with the key and the certificate, so that it can be
//! replaced whole. Replicas that share a data folder share it.

use crate::{
    authority::{Authority, SERVER_LIFE, since_epoch},
    error::TlsError,
    files::{self, Lock},
    names,
    pem::{self, Served},
};
use patchbay_chassis::Clock;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// Mode of a file with a key.
const PRIVATE: u32 = 0o600;

/// How much earlier than others warn a certificate is renewed.
const EARLIER: Duration = Duration::from_hours(24);

/// Where a certificate is kept, and for whom.
#[derive(Debug)]
pub(crate) struct Development {
    folder: PathBuf,
    file: PathBuf,
    names: Vec<String>,
}

impl Development {
    /// Takes `tls` in a data folder, and the names that are wanted beside those of this machine.
    pub(crate) fn new(data: &Path, owner: &str, wanted: &[String]) -> Result<Self, TlsError> {
        let folder = data.join("tls");
        let wanted = wanted.iter().map(|name| names::canonical(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { file: folder.join(format!("{owner}.pem")), folder, names: wanted })
    }

    /// The one that is there, where it is good for a while yet, else a new one.
    pub(crate) fn obtain(&self, clock: &Clock) -> Result<Served, TlsError> {
        let lock = Lock::take(&self.folder)?;
        let authority = Authority::open_locked(&self.folder, clock, &lock)?;
        let names = self.names(&authority)?;
        if let Some(kept) = self.kept().filter(|kept| is_good(kept, &names, &authority, clock)) {
            return Ok(kept);
        }
        let signed = authority.sign(&names)?;
        let text = format!("{}{}", signed.key, signed.certificate);
        files::replace(&self.file, &text, PRIVATE)?;
        tracing::info!(file = %self.file.display(), names = names.join(", "), "made a certificate by the local authority");
        self.parse(&text)
    }

    /// This machine's names, as far as the authority may sign for them, and those that are wanted in any case.
    fn names(&self, authority: &Authority) -> Result<Vec<String>, TlsError> {
        if let Some(name) = self.names.iter().find(|name| !authority.may_sign(name)) {
            return Err(TlsError::NotPermitted(name.clone()));
        }
        let machine = names::of_this_machine().filter(|name| authority.may_sign(name));
        let all = names::HERE.into_iter().map(str::to_owned).chain(machine).chain(self.names.iter().cloned());
        let mut seen = BTreeSet::new();
        Ok(all.filter(|name| seen.insert(name.clone())).collect())
    }

    /// A file that cannot be used is made anew.
    fn kept(&self) -> Option<Served> {
        if !self.file.exists() {
            return None;
        }
        let read = files::read_text(&self.file).and_then(|text| self.parse(&text));
        read.inspect_err(|error| tracing::warn!(%error, "a certificate of the local authority is made anew"))
            .ok()
    }

    fn parse(&self, text: &str) -> Result<Served, TlsError> {
        pem::served((&self.file, text.as_bytes()), (&self.file, text.as_bytes()))
    }
}

/// Whether a certificate has so little left that it is time for another: a third of its life, which is when those who
/// watch certificates begin to warn, and a day more, so that they never have to.
pub(crate) fn is_due(expires: u64, clock: &Clock) -> bool {
    Duration::from_secs(expires) < since_epoch(clock) + SERVER_LIFE / 3 + EARLIER
}

fn is_good(kept: &Served, names: &[String], authority: &Authority, clock: &Clock) -> bool {
    let facts = &kept.facts;
    let has_begun = Duration::from_secs(facts.begins) <= since_epoch(clock);
    let has_names = facts.names.iter().eq(names.iter().collect::<BTreeSet<_>>());
    has_begun && has_names && authority.has_signed(facts) && !is_due(facts.expires, clock)
}
