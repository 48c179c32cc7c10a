//! Reads one certificate (RFC 5280) into plain words, and a file of certificates into a list of them.
//!
//! What a certificate says is told here; whether it is to be believed is the business of `chain`.

mod key;
mod name;
mod signature;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    time::ASN1Time,
};

pub use self::signature::Checked;
pub(crate) use self::{
    key::Key,
    name::{printable, rfc4514},
    signature::check,
};
use crate::{
    der::{Reader, tag},
    report::Certificate,
};

/// Longest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE_LENGTH: usize = 64 * 1024;
/// Most certificates that are read of one chain.
pub const MAX_CERTIFICATES: usize = 16;

/// Alternative names that are told of one certificate; of those beyond only the number.
const MAX_NAMES_TOLD: usize = 1000;
/// TLS feature `status_request`: the server must staple (RFC 7633 section 4.2.3).
const FEATURE_STATUS_REQUEST: u8 = 5;
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
const ACCESS_OCSP: &str = "1.3.6.1.5.5.7.48.1";

/// Why a certificate, or a file of them, cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// One is too long.
    #[error("the certificate has {0} bytes, more than {MAX_CERTIFICATE_LENGTH}")]
    TooLong(usize),
    /// There are too many.
    #[error("there are more than {0} certificates; leave out those that are not needed")]
    TooMany(usize),
    /// There is none.
    #[error("there is no certificate; send PEM (BEGIN CERTIFICATE) or the DER of one certificate")]
    None,
    /// It is not a certificate.
    #[error("it is not an X.509 certificate: {0}")]
    Malformed(String),
    /// The PEM cannot be read.
    #[error("the PEM cannot be read: {0}")]
    Pem(String),
}

/// The certificates of a chain in a file: PEM, one after the other, or one as DER. Other PEM blocks are passed over.
///
/// # Errors
/// When there is none, when there are more than [`MAX_CERTIFICATES`], and when one of them cannot be read.
pub fn split(file: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    split_up_to(file, MAX_CERTIFICATES)
}

/// The same with a limit of one's own.
pub(crate) fn split_up_to(file: &[u8], most: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    if file.first() == Some(&tag::SEQUENCE) {
        Parsed::read(file)?;
        return Ok(vec![file.to_vec()]);
    }
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(file) {
        let der = certificate.map_err(|error| CertificateError::Pem(error.to_string()))?;
        if certificates.len() == most {
            return Err(CertificateError::TooMany(most));
        }
        Parsed::read(&der)?;
        certificates.push(der.to_vec());
    }
    if certificates.is_empty() { Err(CertificateError::None) } else { Ok(certificates) }
}

/// Reads one certificate.
///
/// # Errors
/// When it is too long or not a certificate.
pub fn read(der: &[u8], now: Timestamp) -> Result<Certificate, CertificateError> {
    Ok(Parsed::read(der)?.describe(now))
}

/// Whether the key of one certificate has made the signature of another, whatever their names are. Both are DER.
///
/// # Errors
/// When one of them is too long or not a certificate.
pub fn check_signature(certificate: &[u8], issuer: &[u8]) -> Result<Checked, CertificateError> {
    Ok(Parsed::read(certificate)?.is_signed_by(&Parsed::read(issuer)?))
}

/// A certificate whose parts can be looked at.
pub(crate) struct Parsed<'a> {
    pub(crate) x509: x509_parser::certificate::X509Certificate<'a>,
    pub(crate) key: Key,
    /// Whether subject and issuer are the same and the signature is its own, or of a kind that cannot be checked here.
    pub(crate) is_self_signed: bool,
}

impl<'a> Parsed<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_LENGTH {
            return Err(CertificateError::TooLong(der.len()));
        }
        let (rest, x509) = x509_parser::certificate::X509Certificate::from_der(der)
            .map_err(|error| CertificateError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed(format!("{} bytes follow it", rest.len())));
        }
        let key = Key::read(&x509.subject_pki);
        let mut parsed = Self { x509, key, is_self_signed: false };
        parsed.is_self_signed = parsed.is_issued_by(&parsed) != Checked::Wrong;
        Ok(parsed)
    }

    /// Whether `issuer` has the name that this one says its issuer has, and made its signature.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> Checked {
        if self.x509.issuer.as_raw() != issuer.x509.subject.as_raw() {
            return Checked::Wrong;
        }
        self.is_signed_by(issuer)
    }

    fn is_signed_by(&self, issuer: &Self) -> Checked {
        check(
            &issuer.x509.subject_pki,
            &issuer.key,
            &self.x509.signature_algorithm,
            self.x509.tbs_certificate.as_ref(),
            &self.x509.signature_value.data,
        )
    }

    pub(crate) fn der(&self) -> &'a [u8] {
        self.x509.as_raw()
    }

    pub(crate) fn subject(&self) -> String {
        rfc4514(&self.x509.subject)
    }

    pub(crate) fn issuer(&self) -> String {
        rfc4514(&self.x509.issuer)
    }

    pub(crate) fn not_before(&self) -> Timestamp {
        time(self.x509.validity.not_before)
    }

    pub(crate) fn not_after(&self) -> Timestamp {
        time(self.x509.validity.not_after)
    }

    pub(crate) fn signature_algorithm(&self) -> String {
        signature::name(&self.x509.signature_algorithm)
    }

    /// Whether its signature has a hash that can be forged.
    pub(crate) fn has_weak_signature(&self) -> bool {
        signature::is_weak(&self.x509.signature_algorithm)
    }

    /// DNS names and addresses that it is for, as they stand in it.
    pub(crate) fn alternative_names(&self) -> impl Iterator<Item = &GeneralName<'a>> {
        self.x509
            .extensions()
            .iter()
            .filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            })
            .flatten()
    }

    /// Whether it may sign OCSP answers for its issuer (RFC 6960 section 4.2.2.2).
    pub(crate) fn may_sign_ocsp(&self) -> bool {
        self.x509.extensions().iter().any(|extension| matches!(extension.parsed_extension(), ParsedExtension::ExtendedKeyUsage(usage) if usage.ocsp_signing))
    }

    /// Whether a server that shows it must staple (RFC 7633).
    pub(crate) fn must_staple(&self) -> bool {
        self.x509.extensions().iter().any(|extension| {
            extension.oid.to_id_string() == TLS_FEATURE && lists_status_request(extension.value)
        })
    }

    pub(crate) fn describe(&self, now: Timestamp) -> Certificate {
        Certificate {
            subject: self.subject(),
            issuer: self.issuer(),
            serial: hex::encode(self.x509.raw_serial()),
            alternative_names: self.names_told(),
            not_before: self.not_before(),
            not_after: self.not_after(),
            days_left: days_left(self.not_after(), now),
            key_type: self.key.name.clone(),
            key_bits: self.key.bits,
            signature_algorithm: self.signature_algorithm(),
            sha256: hex::encode(digest(&SHA256, self.der())),
            public_key_sha256: hex::encode(digest(&SHA256, self.x509.subject_pki.raw)),
            is_ca: self.x509.is_ca(),
            is_self_signed: self.is_self_signed,
            ocsp_urls: self.ocsp_urls(),
            sct_count: self.sct_count(),
            must_staple: self.must_staple(),
            pem: pem(self.der()),
        }
    }

    fn names_told(&self) -> Vec<String> {
        let mut names = self.alternative_names().map(name::general);
        let mut told: Vec<String> = names.by_ref().take(MAX_NAMES_TOLD).collect();
        let beyond = names.count();
        if beyond > 0 {
            told.push(format!("({beyond} more)"));
        }
        told
    }

    fn ocsp_urls(&self) -> Vec<String> {
        let accesses =
            self.x509.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityInfoAccess(accesses) => Some(accesses.iter()),
                _ => None,
            });
        let urls = accesses.flatten().filter(|access| access.access_method.to_id_string() == ACCESS_OCSP);
        urls.filter_map(|access| {
            if let GeneralName::URI(url) = &access.access_location { Some(printable(url)) } else { None }
        })
        .take(MAX_CERTIFICATES)
        .collect()
    }

    fn sct_count(&self) -> u32 {
        let lists =
            self.x509.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SCT(list) => Some(list.len()),
                _ => None,
            });
        u32::try_from(lists.sum::<usize>()).unwrap_or(u32::MAX)
    }
}

/// Whole days from `now` until `end`, rounded down; negative when it is over.
pub(crate) fn days_left(end: Timestamp, now: Timestamp) -> i32 {
    let seconds = end.as_second() - now.as_second();
    i32::try_from(seconds.div_euclid(24 * 60 * 60)).unwrap_or(i32::MAX)
}

/// The end of 9999, which stands for "no end" (RFC 5280 section 4.1.2.5), is a day past what a timestamp holds: the last one stands for it.
fn time(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let beyond = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(beyond)
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 60);
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Features ::= SEQUENCE OF INTEGER
fn lists_status_request(extension: &[u8]) -> bool {
    let Some(mut features) = Reader(extension).enter(tag::SEQUENCE) else { return false };
    while let Some(feature) = features.expect(tag::INTEGER) {
        if feature == [FEATURE_STATUS_REQUEST] {
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
