//! The cases on `patchbay-crypto`.

use crate::{
    cases::{self, Cbc, Mac, Oaep, Pbes2, Pbkdf2, Sealed},
    table::{File, Outcome, Table},
};
use anyhow::Result;
use patchbay_crypto::{Error, Secret, aead, cbc, mac, password::Stored, pem, rsa};

/// Runs every file.
pub(crate) fn run() -> Result<Table> {
    let mut table = Table::default();
    for file in cases::aead_files()? {
        judge(&mut table, &file, sealed);
    }
    judge(&mut table, &cases::cbc_file()?, in_cbc);
    for file in cases::mac_files()? {
        judge(&mut table, &file, mac);
    }
    for file in cases::oaep_files()? {
        judge(&mut table, &file, oaep);
    }
    for file in cases::pbes2_files()? {
        judge(&mut table, &file, pbes2);
    }
    judge(&mut table, &cases::pbkdf2_file()?, pbkdf2);
    Ok(table)
}

fn judge<T>(table: &mut Table, file: &File<T>, run: impl Fn(&T) -> Outcome) {
    let outcomes: Vec<_> = file.cases.iter().map(|case| run(&case.input)).collect();
    table.judge(file, &outcomes);
}

/// What is decrypted must be the plaintext, and what is not must be refused with the one error, or because the key is not offered.
fn decrypted(outcome: Result<Secret, Error>, plaintext: &[u8]) -> Outcome {
    match outcome {
        Ok(found) if found.expose() == plaintext => Outcome::Accepted,
        Err(Error::Decryption | Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Ok(_) | Err(_) => Outcome::Broken,
    }
}

fn verified(outcome: &Result<bool, Error>) -> Outcome {
    match outcome {
        Ok(true) => Outcome::Accepted,
        Ok(false) | Err(Error::Key(_) | Error::Input(_)) => Outcome::Refused,
        Err(_) => Outcome::Broken,
    }
}

fn sealed(case: &Sealed) -> Outcome {
    let key = aead::Key::new(case.algorithm, &case.key);
    decrypted(key.and_then(|key| key.open(&case.aad, &case.message)), &case.plaintext)
}

fn in_cbc(case: &Cbc) -> Outcome {
    let key = cbc::Key::new(&case.key);
    decrypted(key.and_then(|key| key.decrypt(&case.message)), &case.plaintext)
}

fn mac(case: &Mac) -> Outcome {
    let key = mac::Key::new(&case.key);
    verified(&key.and_then(|key| key.verify(case.digest, &case.message, &case.tag)))
}

fn oaep(case: &Oaep) -> Outcome {
    let key = rsa::PrivateKey::from_pkcs8(&case.pkcs8);
    decrypted(key.and_then(|key| key.decrypt_oaep(&case.ciphertext)), &case.plaintext)
}

fn pbes2(case: &Pbes2) -> Outcome {
    decrypted(pem::decrypt_pbes2(&case.document, &case.password), &case.plaintext)
}

fn pbkdf2(case: &Pbkdf2) -> Outcome {
    let stored = case.hash.parse::<Stored>();
    verified(&stored.and_then(|stored| stored.verify(&case.password, None)).map(|verdict| verdict.is_valid))
}
