//! The layout of an OCSP response (RFC 6960 section 4.2.1) and its signature.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use jiff::Timestamp;
use x509_parser::{
    prelude::FromDer,
    time::ASN1Time,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use super::StapleError;
use crate::{
    certificate::{Checked, Key, Parsed, check},
    der::{Reader, tag},
    report::OcspStatus,
};

/// Answers for single certificates that are looked at in one response.
const MAX_SINGLES: usize = 32;
/// Certificates of responders that are looked at.
const MAX_SIGNERS: usize = 4;
/// id-pkix-ocsp-basic
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

/// Who signed a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verification {
    /// The issuer, or one whom the issuer named.
    Right,
    /// Neither.
    Wrong,
    /// It cannot be known.
    NotChecked,
}

/// The answer for one certificate.
pub(super) struct Single {
    pub(super) status: OcspStatus,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
}

/// A signed response, taken apart.
pub(super) struct Response<'a> {
    data: &'a [u8],
    singles: Reader<'a>,
    algorithm: AlgorithmIdentifier<'a>,
    signature: &'a [u8],
    signers: Option<Reader<'a>>,
}

impl<'a> Response<'a> {
    pub(super) fn read(staple: &'a [u8]) -> Result<Self, StapleError> {
        let mut outer = Reader(staple).enter(tag::SEQUENCE).ok_or(StapleError::Malformed)?;
        match outer.expect(tag::ENUMERATED).ok_or(StapleError::Malformed)? {
            [0] => Self::basic(outer).ok_or(StapleError::Malformed),
            [1] => Err(StapleError::Refused("malformed request")),
            [2] => Err(StapleError::Refused("internal error")),
            [3] => Err(StapleError::Refused("try later")),
            [5] => Err(StapleError::Refused("signature required")),
            [6] => Err(StapleError::Refused("unauthorized")),
            _ => Err(StapleError::Malformed),
        }
    }

    fn basic(mut outer: Reader<'a>) -> Option<Self> {
        let mut bytes = outer.enter(tag::CONSTRUCTED_0)?.enter(tag::SEQUENCE)?;
        if bytes.expect(tag::OBJECT_IDENTIFIER)? != BASIC {
            return None;
        }
        let mut basic = Reader(bytes.expect(tag::OCTET_STRING)?).enter(tag::SEQUENCE)?;
        let data = basic.optional(tag::SEQUENCE)?;
        let algorithm = basic.optional(tag::SEQUENCE)?;
        let (_, algorithm) = AlgorithmIdentifier::from_der(algorithm.raw).ok()?;
        let (0, signature) = basic.expect(tag::BIT_STRING)?.split_first()? else { return None };
        let signers = basic.enter(tag::CONSTRUCTED_0).and_then(|mut signers| signers.enter(tag::SEQUENCE));
        Some(Self { data: data.raw, singles: singles(Reader(data.content))?, algorithm, signature, signers })
    }

    /// The answer for a certificate. Which issuer it is for is looked at where that issuer is known.
    pub(super) fn single_for(
        &self,
        serial: &[u8],
        issuer: Option<&SubjectPublicKeyInfo<'_>>,
    ) -> Result<Single, StapleError> {
        let mut singles = self.singles;
        for _ in 0..MAX_SINGLES {
            if singles.is_empty() {
                break;
            }
            let single = singles.enter(tag::SEQUENCE).ok_or(StapleError::Malformed)?;
            if let Some(single) = read_single(single, serial, issuer).ok_or(StapleError::Malformed)? {
                return Ok(single);
            }
        }
        Err(StapleError::ForAnother)
    }

    pub(super) fn verify(&self, issuer: Option<&SubjectPublicKeyInfo<'_>>) -> Verification {
        let Some(issuer) = issuer else { return Verification::NotChecked };
        match self.is_signed_by(issuer) {
            Checked::Right => Verification::Right,
            Checked::Unknown => Verification::NotChecked,
            Checked::Wrong if self.is_signed_by_delegate(issuer) => Verification::Right,
            Checked::Wrong => Verification::Wrong,
        }
    }

    fn is_signed_by(&self, signer: &SubjectPublicKeyInfo<'_>) -> Checked {
        check(signer, &Key::read(signer), &self.algorithm, self.data, self.signature)
    }

    /// A responder's own certificate must be issued by the same authority, for this purpose (section 4.2.2.2).
    fn is_signed_by_delegate(&self, issuer: &SubjectPublicKeyInfo<'_>) -> bool {
        let Some(mut signers) = self.signers else { return false };
        for _ in 0..MAX_SIGNERS {
            let Some(value) = signers.any() else { return false };
            let Ok(delegate) = Parsed::read(value.raw) else { continue };
            let certificate = &delegate.x509;
            let signature = check(
                issuer,
                &Key::read(issuer),
                &certificate.signature_algorithm,
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            );
            if delegate.may_sign_ocsp()
                && signature == Checked::Right
                && self.is_signed_by(&certificate.subject_pki) == Checked::Right
            {
                return true;
            }
        }
        false
    }
}

/// `ResponseData`: version, who answers and when come before the answers.
fn singles(mut data: Reader<'_>) -> Option<Reader<'_>> {
    data.optional(tag::CONSTRUCTED_0);
    data.optional(tag::CONSTRUCTED_1).or_else(|| data.optional(tag::CONSTRUCTED_2))?;
    data.expect(tag::GENERALIZED_TIME)?;
    data.enter(tag::SEQUENCE)
}

/// The answer, if it is for this certificate; none around none where it cannot be read.
#[expect(clippy::option_option, reason = "malformed and for another certificate are different things")]
fn read_single(
    mut single: Reader<'_>,
    serial: &[u8],
    issuer: Option<&SubjectPublicKeyInfo<'_>>,
) -> Option<Option<Single>> {
    if !is_for(single.enter(tag::SEQUENCE)?, serial, issuer)? {
        return Some(None);
    }
    let status = match single.any()?.tag {
        tag::CONTEXT_0 => OcspStatus::Good,
        tag::CONSTRUCTED_1 => OcspStatus::Revoked,
        tag::CONTEXT_2 => OcspStatus::Unknown,
        _ => return None,
    };
    let this_update = time(single.optional(tag::GENERALIZED_TIME)?.raw)?;
    let next_update = match single.enter(tag::CONSTRUCTED_0) {
        Some(next) => Some(time(next.0)?),
        None => None,
    };
    Some(Some(Single { status, this_update, next_update }))
}

/// `CertID`: a hash function, hashes of the issuer's name and key, and the serial number.
fn is_for(mut id: Reader<'_>, serial: &[u8], issuer: Option<&SubjectPublicKeyInfo<'_>>) -> Option<bool> {
    let hash = id.enter(tag::SEQUENCE)?.expect(tag::OBJECT_IDENTIFIER)?;
    id.expect(tag::OCTET_STRING)?;
    let key_hash = id.expect(tag::OCTET_STRING)?;
    let is_same_serial = id.expect(tag::INTEGER)? == serial;
    let algorithm = match hash {
        [0x2b, 14, 3, 2, 26] => &SHA1_FOR_LEGACY_USE_ONLY,
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1] => &SHA256,
        _ => return Some(is_same_serial),
    };
    let is_same_issuer =
        issuer.is_none_or(|key| digest(algorithm, &key.subject_public_key.data).as_ref() == key_hash);
    Some(is_same_serial && is_same_issuer)
}

fn time(raw: &[u8]) -> Option<Timestamp> {
    let (_, time) = ASN1Time::from_der(raw).ok()?;
    Timestamp::from_second(time.timestamp()).ok()
}
