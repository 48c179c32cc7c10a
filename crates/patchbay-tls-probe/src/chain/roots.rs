//! The roots that are trusted, and whether a certificate leads to one of them.

use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{prelude::FromDer, x509::X509Name};

use crate::{
    certificate::{CertificateError, Parsed, rfc4514, split_up_to},
    der::{Reader, tag, wrapped},
};

/// Most roots of one's own.
pub const MAX_ROOTS: usize = 1000;

/// Roots that are trusted: those of Mozilla's programme, and one's own.
#[derive(Clone)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    /// One's own, whole: a server that shows one of these itself is trusted.
    own: Vec<Vec<u8>>,
}

/// Why roots of one's own cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A certificate of the file cannot be read.
    #[error("cannot read the roots")]
    Read(#[source] CertificateError),
    /// It can be read and is no root for TLS.
    #[error("{subject} cannot be taken as a root: {reason}")]
    NotARoot {
        /// Its subject.
        subject: String,
        /// Why.
        reason: String,
    },
}

impl Roots {
    /// The public roots, as they were when this was built.
    #[must_use]
    pub fn public() -> Self {
        Self { anchors: webpki_roots::TLS_SERVER_ROOTS.to_vec(), own: Vec::new() }
    }

    /// No roots: only those that are added are trusted.
    #[must_use]
    pub fn none() -> Self {
        Self { anchors: Vec::new(), own: Vec::new() }
    }

    /// These and those of a file: PEM, one after the other, or one as DER.
    ///
    /// # Errors
    /// When the file has no certificate, or one that cannot be a root.
    pub fn and(mut self, file: &[u8]) -> Result<Self, RootsError> {
        for der in split_up_to(file, MAX_ROOTS).map_err(RootsError::Read)? {
            let anchor = anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
                .map(|anchor| anchor.to_owned());
            let anchor = anchor.map_err(|error| RootsError::NotARoot {
                subject: Parsed::read(&der).map_or_else(|_| String::new(), |root| root.subject()),
                reason: error.to_string(),
            })?;
            self.anchors.push(anchor);
            self.own.push(der);
        }
        Ok(self)
    }

    /// Whether a root with this name, as DER, is trusted.
    pub(super) fn has_name(&self, name: &[u8]) -> bool {
        let content = Reader(name).expect(tag::SEQUENCE);
        content.is_some_and(|content| self.anchors.iter().any(|anchor| anchor.subject.as_ref() == content))
    }
}

/// Whether a certificate leads to a root, whatever name it is for.
pub(crate) enum Trust {
    /// It does.
    Trusted {
        /// Name of the root.
        root: String,
        /// Key of the root (SPKI), for what it signed itself.
        root_key: Vec<u8>,
    },
    /// It would, were it another day: only dates are wrong.
    NotToday {
        /// Name of the root.
        root: String,
    },
    /// It does not.
    Refused(Error),
}

impl Trust {
    pub(crate) fn is_trusted(&self) -> bool {
        matches!(self, Self::Trusted { .. })
    }

    pub(crate) fn root(&self) -> &str {
        match self {
            Self::Trusted { root, .. } | Self::NotToday { root } => root,
            Self::Refused(_) => "",
        }
    }
}

/// Looks for a path as a client does, today; and, where dates are what is wrong, on the last day of the certificate, so that nothing else hides behind them.
pub(super) fn trust(own: &Parsed<'_>, sent: &[Parsed<'_>], now: Timestamp, roots: &Roots) -> Trust {
    let error = match validate(own, sent, now, roots) {
        Ok(root) => return root,
        Err(error) => error,
    };
    if !is_about_dates(&error) {
        return Trust::Refused(error);
    }
    match validate(own, sent, own.not_after(), roots) {
        Ok(Trust::Trusted { root, .. }) => Trust::NotToday { root },
        Err(other) if !is_about_dates(&other) => Trust::Refused(other),
        _ => Trust::Refused(error),
    }
}

pub(super) fn is_about_dates(error: &Error) -> bool {
    matches!(error, Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity)
}

fn validate(own: &Parsed<'_>, sent: &[Parsed<'_>], at: Timestamp, roots: &Roots) -> Result<Trust, Error> {
    if roots.own.iter().any(|root| root == own.der()) {
        return trusted_itself(own, at);
    }
    let der = CertificateDer::from(own.der());
    let end_entity = EndEntityCert::try_from(&der)?;
    let others: Vec<CertificateDer<'_>> =
        sent.iter().skip(1).map(|certificate| CertificateDer::from(certificate.der())).collect();
    let path = end_entity.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &roots.anchors,
        &others,
        unix_time(at),
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    let anchor = path.anchor();
    Ok(Trust::Trusted {
        root: name_of(anchor),
        root_key: wrapped(tag::SEQUENCE, &anchor.subject_public_key_info),
    })
}

/// A root that a server shows as its own certificate: only its dates are left to check.
fn trusted_itself(own: &Parsed<'_>, at: Timestamp) -> Result<Trust, Error> {
    if at < own.not_before() {
        return Err(Error::CertNotValidYet { time: unix_time(at), not_before: unix_time(own.not_before()) });
    }
    if at > own.not_after() {
        return Err(Error::CertExpired { time: unix_time(at), not_after: unix_time(own.not_after()) });
    }
    Ok(Trust::Trusted { root: own.subject(), root_key: own.x509.subject_pki.raw.to_vec() })
}

fn unix_time(time: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0)))
}

fn name_of(anchor: &TrustAnchor<'_>) -> String {
    let name = wrapped(tag::SEQUENCE, anchor.subject.as_ref());
    X509Name::from_der(&name)
        .map_or_else(|_| "a root whose name cannot be read".to_owned(), |(_, name)| rfc4514(&name))
}
