//! Chains of certificates that are put to a key.

use crate::error::Error;
use patchbay_tls_probe::certificate::{Checked, check_signature};
use pem::Pem;
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

/// Bytes of a chain at most.
const CHAIN_MAX: usize = 64 * 1024;

/// Certificates of a chain at most.
const CERTIFICATES_MAX: usize = 10;

/// What every block of PEM begins with.
const BEGIN: &str = "-----BEGIN ";

/// What their PEM is labelled.
const LABEL: &str = "CERTIFICATE";

/// The field that a chain comes in.
const FIELD: &str = "certificate_chain_pem";

/// A chain whose certificates can be read, each with the name of the next as its issuer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pem: String,
    spki: Vec<u8>,
    subject: String,
}

impl Chain {
    /// Reads PEM that a caller brings, and checks that each certificate was signed by the next. Nothing is said of whether anybody believes the
    /// chain.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let blocks = blocks(text)?;
        let chain = Self::of_blocks(&blocks)?;
        check_signatures(&blocks)?;
        Ok(chain)
    }

    /// Reads PEM of a chain that was put to a key before: what was good then is not asked again.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        Self::of_blocks(&blocks(text)?)
    }

    fn of_blocks(blocks: &[Pem]) -> Result<Self, Error> {
        let read = blocks.iter().map(|block| Certificate::from_der(block.contents()));
        let certificates: Vec<Certificate> = read.collect::<Result<_, _>>().map_err(|_| unreadable())?;
        check_order(&certificates)?;
        let leaf = certificates.first().map(Certificate::tbs_certificate);
        let leaf = leaf.ok_or_else(|| Error::internal("a chain without certificates"))?;
        let spki = leaf.subject_public_key_info().to_der().map_err(Error::internal)?;
        // What was read, and nothing of what may stand between: a certificate is signed as the bytes that it is.
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let bare = |block: &Pem| pem::encode_config(&Pem::new(LABEL, block.contents()), config);
        Ok(Self { pem: blocks.iter().map(bare).collect(), spki, subject: leaf.subject().to_string() })
    }

    /// The certificates as PEM.
    pub(crate) fn into_pem(self) -> String {
        self.pem
    }

    /// Whether the first certificate is for a public key.
    pub(crate) fn is_for(&self, spki: &[u8]) -> bool {
        self.spki == spki
    }

    /// Subject of the first certificate, for the record.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }
}

fn bad(problem: String) -> Error {
    Error::bad(FIELD, problem)
}

fn unreadable() -> Error {
    bad("has a certificate that cannot be read".to_owned())
}

/// Takes PEM apart, which must be of certificates and nothing else.
fn blocks(text: &str) -> Result<Vec<Pem>, Error> {
    if text.len() > CHAIN_MAX {
        return Err(bad(format!("has {} bytes; {CHAIN_MAX} are allowed", text.len())));
    }
    let not_pem = || bad("is not PEM (`-----BEGIN CERTIFICATE-----`), or breaks off".to_owned());
    let blocks = pem::parse_many(text).map_err(|_| not_pem())?;
    // The parser passes over what begins and does not end.
    if blocks.len() != text.matches(BEGIN).count() {
        return Err(not_pem());
    }
    if blocks.is_empty() || blocks.len() > CERTIFICATES_MAX {
        return Err(bad(format!("has {} certificates; 1 to {CERTIFICATES_MAX} are allowed", blocks.len())));
    }
    if let Some(odd) = blocks.iter().find(|block| block.tag() != LABEL) {
        return Err(bad(format!("must hold certificates only, and has a `{}`", odd.tag())));
    }
    Ok(blocks)
}

/// Compares names as text: the same name may be written with another type of string.
fn check_order(certificates: &[Certificate]) -> Result<(), Error> {
    let is_issued = |pair: &[Certificate]| match pair {
        [lower, upper] => {
            lower.tbs_certificate().issuer().to_string() == upper.tbs_certificate().subject().to_string()
        }
        _ => true,
    };
    match certificates.windows(2).position(|pair| !is_issued(pair)) {
        None => Ok(()),
        Some(at) => {
            Err(bad(format!("is out of order: certificate {} was not issued by the one after it", at + 1)))
        }
    }
}

/// A certificate that the next one's key has not signed is another authority's of the same name, or has been changed. Signatures of kinds that
/// cannot be checked here pass: whoever verifies the chain will know them.
fn check_signatures(blocks: &[Pem]) -> Result<(), Error> {
    for (at, pair) in blocks.windows(2).enumerate() {
        let [lower, upper] = pair else { continue };
        let checked = check_signature(lower.contents(), upper.contents()).map_err(|_| unreadable())?;
        if checked == Checked::Wrong {
            return Err(bad(format!(
                "does not fit together: certificate {} was not signed by the one after it",
                at + 1
            )));
        }
    }
    Ok(())
}
