//! The local authority of a data folder: one for all processes that share the folder, made when it is first needed.

use crate::{
    error::TlsError,
    files::{self, Lock},
    names, pem,
};
use patchbay_chassis::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// How long an authority is good.
const LIFE: Duration = Duration::from_hours(24 * 3650);

/// How long a certificate of a server is good.
pub(crate) const SERVER_LIFE: Duration = Duration::from_hours(24 * 90);

/// Validity begins so much in the past, for clients whose clocks are behind.
const SLACK: Duration = Duration::from_hours(1);

/// The certificate that is to be trusted.
const CERTIFICATE: &str = "ca.pem";

/// Its key.
const KEY: &str = "ca.key";

/// Modes of files: for everybody to read, and for the owner alone.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// A local authority that can sign.
pub struct Authority {
    folder: PathBuf,
    certificate: String,
    facts: pem::Facts,
    issuer: Issuer<'static, KeyPair>,
    clock: Clock,
}

/// A certificate and its key, in PEM.
pub struct Signed {
    /// The certificate; its authority is not with it.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Opens the authority of a folder, or makes one where there is none. Two processes that do so at once get the same.
    pub fn open(folder: &Path, clock: &Clock) -> Result<Self, TlsError> {
        let lock = Lock::take(folder)?;
        Self::open_locked(folder, clock, &lock)
    }

    /// The same, for who has the folder's lock.
    pub(crate) fn open_locked(folder: &Path, clock: &Clock, _: &Lock) -> Result<Self, TlsError> {
        match Self::read(folder, clock)? {
            Some(authority) if !authority.is_ending() => return Ok(authority),
            Some(_) => {
                let certificate = folder.join(CERTIFICATE);
                tracing::warn!(certificate = %certificate.display(), "the local authority is at its end and is made anew: trust the new one");
            }
            None => {}
        }
        Self::make(folder, clock)?;
        Self::read(folder, clock)?.ok_or_else(|| TlsError::NotAPair { folder: folder.to_owned() })
    }

    /// File with the certificate that browsers have to trust.
    pub fn certificate_file(folder: &Path) -> PathBuf {
        folder.join(CERTIFICATE)
    }

    /// The certificate that browsers have to trust, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a certificate of a server with a key of its own. Names are host names, with `*.` before them where wanted, and addresses.
    pub fn sign(&self, names: &[String]) -> Result<Signed, TlsError> {
        let names = names.iter().map(|name| names::canonical(name)).collect::<Result<Vec<_>, _>>()?;
        if let Some(name) = names.iter().find(|name| !self.may_sign(name)) {
            return Err(TlsError::NotPermitted(name.clone()));
        }
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::new(names.clone())?;
        certificate.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(first) = names.first().filter(|name| name.len() <= 64) {
            certificate.distinguished_name.push(DnType::CommonName, first);
        }
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        certificate.use_authority_key_identifier_extension = true;
        let now = since_epoch(&self.clock);
        let end = (now + SERVER_LIFE).min(Duration::from_secs(self.facts.expires));
        set_validity(&mut certificate, now.saturating_sub(SLACK), end);
        let signed = certificate.signed_by(&key, &self.issuer)?;
        Ok(Signed { certificate: signed.pem(), key: key.serialize_pem() })
    }

    /// Whether it may sign for a canonical name.
    pub(crate) fn may_sign(&self, name: &str) -> bool {
        names::is_permitted(name, &self.facts.permitted_domains)
    }

    /// Whether it has signed a certificate.
    pub(crate) fn has_signed(&self, certificate: &pem::Facts) -> bool {
        certificate.authority_key.is_some() && certificate.authority_key == self.facts.subject_key
    }

    fn is_ending(&self) -> bool {
        Duration::from_secs(self.facts.expires) < since_epoch(&self.clock) + SERVER_LIFE
    }

    /// An authority whose key was written, but not its certificate, is none: nobody has seen it.
    fn read(folder: &Path, clock: &Clock) -> Result<Option<Self>, TlsError> {
        let path = folder.join(CERTIFICATE);
        if !path.exists() {
            return Ok(None);
        }
        let text = files::read_text(&path)?;
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|source| TlsError::Pem {
            what: "a certificate",
            path: path.clone(),
            source,
        })?;
        let facts = pem::facts(&der).ok_or(TlsError::NotACertificate { path })?;
        let key = KeyPair::from_pem(&files::read_text(&folder.join(KEY))?)?;
        let issuer = params(&key);
        if facts.subject_key.as_deref() != Some(&*issuer.key_identifier(&key)) {
            return Err(TlsError::NotAPair { folder: folder.to_owned() });
        }
        let issuer = Issuer::new(issuer, key);
        Ok(Some(Self { folder: folder.to_owned(), certificate: text, facts, issuer, clock: clock.clone() }))
    }

    /// The key is there before the certificate that needs it; an old certificate goes before its key does.
    fn make(folder: &Path, clock: &Clock) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let mut authority = params(&key);
        authority.name_constraints = Some(names::constraints(names::of_this_machine().as_deref()));
        let now = since_epoch(clock);
        set_validity(&mut authority, now.saturating_sub(SLACK), now + LIFE);
        let certificate = authority.self_signed(&key)?;
        let old = folder.join(CERTIFICATE);
        files::remove(&old).map_err(|source| TlsError::Write { path: old, source })?;
        files::replace(&folder.join(KEY), &key.serialize_pem(), PRIVATE)?;
        files::replace(&folder.join(CERTIFICATE), &certificate.pem(), PUBLIC)?;
        let certificate = folder.join(CERTIFICATE);
        tracing::info!(certificate = %certificate.display(), "made a local authority: browsers that trust it will trust this service");
        Ok(())
    }

    /// The folder it is kept in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The part of an authority that follows from its key, so that it can be made again when the key is read. Each has a
/// name of its own: stores of trusted certificates find them by it.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let id = hex::encode(params.key_identifier(key));
    let name = format!("Patchbay development {}", id.get(..8).unwrap_or(&id));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Patchbay development");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The time since 1970, in whole seconds, as certificates have it.
pub(crate) fn since_epoch(clock: &Clock) -> Duration {
    let since = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(since.as_secs())
}

fn set_validity(params: &mut CertificateParams, begin: Duration, end: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + begin, epoch + end);
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
