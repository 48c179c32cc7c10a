//! The cases on `patchbay-crypto`.

use crate::{
    cases::{self, Cbc, Chain, Hash, Hashed, Mac, Sealed},
    table::{File, Outcome, Table},
    vectors::Folder,
};
use anyhow::Result;
use patchbay_crypto::{
    Error, aead, cbc,
    digest::{Algorithm, Context},
    mac,
};

/// Runs every file.
pub(crate) fn run(folder: &Folder) -> Result<Table> {
    let mut table = Table::default();
    cases::digest_files(folder)?.iter().for_each(|file| judge(&mut table, file, hashed));
    cases::chain_files(folder)?.iter().for_each(|file| judge(&mut table, file, chain));
    cases::mac_files(folder)?.iter().for_each(|file| judge(&mut table, file, mac));
    cases::gcm_files(folder)?.iter().for_each(|file| judge(&mut table, file, sealed));
    cases::cbc_files(folder)?.iter().for_each(|file| judge(&mut table, file, in_cbc));
    Ok(table)
}

fn judge<T>(table: &mut Table, file: &File<T>, run: impl Fn(&T) -> Outcome) {
    let outcomes: Vec<_> = file.cases.iter().map(|case| run(&case.input)).collect();
    table.judge(file, &outcomes);
}

/// What a hash function is called here, by its name where it is not offered.
fn algorithm(digest: Hash) -> Option<Algorithm> {
    digest.or_else(str::parse).ok()
}

fn agreed(is_right: bool) -> Outcome {
    if is_right { Outcome::Accepted } else { Outcome::Broken }
}

/// Hashes a message whole, and in pieces that do not end where blocks do.
fn hashed(case: &Hashed) -> Outcome {
    let Some(algorithm) = algorithm(case.digest) else { return Outcome::Refused };
    let mut context = Context::new(algorithm);
    case.message.chunks(61).for_each(|piece| context.update(piece));
    agreed(algorithm.digest(&case.message) == case.expected && context.finish() == case.expected)
}

/// A thousand digests, each of the three before it, or of the one before it for SHA-3.
fn chain(case: &Chain) -> Outcome {
    let Some(algorithm) = algorithm(case.digest) else { return Outcome::Refused };
    let is_of_three = matches!(
        algorithm,
        Algorithm::Sha1 | Algorithm::Sha224 | Algorithm::Sha256 | Algorithm::Sha384 | Algorithm::Sha512
    );
    let length = case.seed.len();
    let mut before = case.seed.repeat(if is_of_three { 3 } else { 1 });
    let mut last = Vec::new();
    for _ in 0..1000 {
        last = algorithm.digest(&before);
        before.extend_from_slice(&last);
        before.drain(..length);
    }
    agreed(last == case.expected)
}

fn mac(case: &Mac) -> Outcome {
    let Some(digest) = algorithm(case.digest) else { return Outcome::Refused };
    let key = mac::Key::new(&case.key);
    let both = key.and_then(|key| {
        let computed = key.compute(digest, &case.message)?;
        Ok(computed == case.tag && key.verify(digest, &case.message, &case.tag)?)
    });
    match both {
        Ok(is_right) => agreed(is_right),
        Err(Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}

fn sealed(case: &Sealed) -> Outcome {
    let key = aead::Key::new(case.algorithm, &case.key);
    match key.and_then(|key| key.open(&case.aad, &case.message)) {
        Ok(plaintext) => agreed(plaintext.expose() == case.plaintext),
        Err(Error::Decryption) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}

fn in_cbc(case: &Cbc) -> Outcome {
    let key = cbc::Key::new(&case.key);
    match key.and_then(|key| key.decrypt(&case.message)) {
        Ok(plaintext) => agreed(case.is_plaintext(plaintext.expose())),
        Err(Error::Key(_)) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}
