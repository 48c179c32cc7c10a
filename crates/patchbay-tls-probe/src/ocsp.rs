//! Reads the OCSP answer that a server staples (RFC 6960, RFC 6066 section 8), checks who signed it, and says what is wrong with it.
//!
//! Nobody is asked for a status here: a probe looks at what the server shows.

mod response;

use jiff::Timestamp;
use x509_parser::{prelude::FromDer, x509::SubjectPublicKeyInfo};

use self::response::{Response, Single, Verification};
use crate::{
    certificate::Parsed,
    chain::Trust,
    report::{Finding, Grade, OcspStaple, OcspStatus, Severity},
};

/// Longest staple that is read, in bytes.
pub const MAX_STAPLE_LENGTH: usize = 64 * 1024;

/// Judges a staple for `own`, whose issuer was sent or is the root of `trust`.
pub(crate) fn judge(
    staple: Option<&[u8]>,
    own: &Parsed<'_>,
    issuer: Option<&Parsed<'_>>,
    trust: &Trust,
    now: Timestamp,
) -> (OcspStaple, Vec<Finding>) {
    let Some(staple) = staple.filter(|staple| !staple.is_empty()) else {
        return (OcspStaple::default(), missing(own).into_iter().collect());
    };
    let issuer_key = issuer_key(own, issuer, trust);
    match read(staple, own, issuer_key.as_ref()) {
        Ok((single, verification)) => {
            let told = OcspStaple {
                is_stapled: true,
                status: Some(single.status),
                this_update: Some(single.this_update),
                next_update: single.next_update,
                is_verified: verification == Verification::Right,
            };
            let problems = problems(&single, verification, now);
            (told, problems)
        }
        Err(why) => {
            let told = OcspStaple {
                is_stapled: true,
                status: Some(OcspStatus::Unreadable),
                ..OcspStaple::default()
            };
            (
                told,
                vec![Finding::new(
                    Severity::Warning,
                    "OCSP_UNREADABLE",
                    format!("the stapled OCSP answer is of no use: {why}; let the server fetch it again"),
                )],
            )
        }
    }
}

/// Why a staple cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum StapleError {
    #[error("it is too long")]
    TooLong,
    #[error("it cannot be read")]
    Malformed,
    #[error("the responder refused to answer ({0})")]
    Refused(&'static str),
    #[error("it is for another certificate")]
    ForAnother,
    #[error("its signature is wrong")]
    SignatureWrong,
}

fn read(
    staple: &[u8],
    own: &Parsed<'_>,
    issuer_key: Option<&SubjectPublicKeyInfo<'_>>,
) -> Result<(Single, Verification), StapleError> {
    if staple.len() > MAX_STAPLE_LENGTH {
        return Err(StapleError::TooLong);
    }
    let response = Response::read(staple)?;
    let single = response.single_for(own.x509.raw_serial(), issuer_key)?;
    match response.verify(issuer_key) {
        Verification::Wrong => Err(StapleError::SignatureWrong),
        verification => Ok((single, verification)),
    }
}

fn issuer_key<'a>(
    own: &'a Parsed<'_>,
    issuer: Option<&'a Parsed<'_>>,
    trust: &'a Trust,
) -> Option<SubjectPublicKeyInfo<'a>> {
    let raw = match (issuer, trust) {
        (Some(issuer), _) => issuer.x509.subject_pki.raw,
        (None, _) if own.is_self_signed => own.x509.subject_pki.raw,
        (None, Trust::Trusted { root_key, .. }) => root_key,
        (None, _) => return None,
    };
    SubjectPublicKeyInfo::from_der(raw).ok().map(|(_, key)| key)
}

fn missing(own: &Parsed<'_>) -> Option<Finding> {
    let message = "the certificate asks for a stapled OCSP answer (RFC 7633) and the server sends none, so that some clients refuse it; turn on OCSP stapling";
    own.must_staple().then(|| Finding::new(Severity::Critical, "STAPLE_MISSING", message).capped(Grade::B))
}

fn problems(single: &Single, verification: Verification, now: Timestamp) -> Vec<Finding> {
    let mut problems = Vec::new();
    match single.status {
        OcspStatus::Revoked => {
            let message = "the certificate is revoked, as its own staple says; get a new one with a new key";
            problems.push(Finding::new(Severity::Critical, "CERTIFICATE_REVOKED", message).capped(Grade::F));
        }
        OcspStatus::Unknown => problems.push(Finding::new(
            Severity::Warning,
            "OCSP_UNKNOWN",
            "the OCSP responder does not know the certificate; ask the authority that made it",
        )),
        OcspStatus::Good | OcspStatus::Unreadable => {}
    }
    if let Some(end) = single.next_update.filter(|end| now > *end) {
        problems.push(Finding::new(
            Severity::Warning,
            "OCSP_EXPIRED",
            format!("the stapled OCSP answer was for the time until {end}; let the server fetch it again"),
        ));
    }
    if now < single.this_update {
        problems.push(Finding::new(
            Severity::Warning,
            "OCSP_NOT_YET_VALID",
            format!(
                "the stapled OCSP answer is of {}, which is to come; check the clocks",
                single.this_update
            ),
        ));
    }
    if verification == Verification::NotChecked {
        problems.push(Finding::new(Severity::Note, "OCSP_NOT_CHECKED", "the signature of the stapled OCSP answer was not checked: its issuer is not known, or its algorithm is not one that is checked here"));
    }
    problems
}

#[cfg(test)]
#[path = "ocsp_tests.rs"]
mod tests;
