//! The text of hashes: PHC strings (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`), bcrypt's own form, and PBKDF2 as Python's
//! passlib writes it.

use super::stored::{Cost, Stored};
use crate::{Error, Secret};
use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{
        GeneralPurpose,
        general_purpose::{NO_PAD, STANDARD_NO_PAD},
    },
};
use std::{fmt, str::FromStr};

/// What stands before a hash with a pepper.
const PEPPER: &str = "$pepper";

/// Characters of a hash at most.
const MAX_TEXT: usize = 512;

/// Bytes of bcrypt's output.
pub(super) const BCRYPT_OUTPUT: usize = 23;

/// Characters of bcrypt's salt.
const BCRYPT_SALT: usize = 22;

const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_peppered {
            f.write_str(PEPPER)?;
        }
        match self.cost {
            Cost::Argon2 { variant, version, memory_kib, passes, lanes } => {
                let version = u32::from(version);
                write!(f, "${}$v={version}$m={memory_kib},t={passes},p={lanes}", variant.as_str())?;
            }
            Cost::Scrypt { log_n, r, p } => write!(f, "$scrypt$ln={log_n},r={r},p={p}")?,
            Cost::Pbkdf2Sha256 { iterations } => {
                write!(f, "$pbkdf2-sha256$i={iterations},l={}", self.output.expose().len())?;
            }
            Cost::Bcrypt { cost } => {
                let (salt, output) =
                    (BCRYPT_BASE64.encode(&self.salt), BCRYPT_BASE64.encode(self.output.expose()));
                return write!(f, "$2b${cost:02}${salt}{output}");
            }
        }
        write!(f, "${}${}", STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(self.output.expose()))
    }
}

impl FromStr for Stored {
    type Err = Error;

    /// Reads a hash, and refuses one that would take too long to check.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            return Err(Error::Input(format!("the hash has more than {MAX_TEXT} characters")));
        }
        let (is_peppered, hash) = match text.strip_prefix(PEPPER) {
            Some(hash) => (true, hash),
            None => (false, text),
        };
        let (cost, salt, output) = parse(hash)?;
        cost.check()?;
        Ok(Self::new(cost, salt, Secret::new(output), is_peppered))
    }
}

type Parts = (Cost, Vec<u8>, Vec<u8>);

fn parse(hash: &str) -> Result<Parts, Error> {
    let fields: Vec<&str> = hash.split('$').collect();
    match fields.as_slice() {
        ["", "2a" | "2b" | "2y", cost, rest] if cost.len() == 2 => {
            let (salt, output) = bcrypt_parts(rest)?;
            Ok((Cost::Bcrypt { cost: number(cost)? }, salt, output))
        }
        ["", name @ ("argon2id" | "argon2i" | "argon2d"), version, parameters, salt, output] => {
            let version = version.strip_prefix("v=").ok_or_else(malformed)?;
            parts(argon2_cost(name, number(version)?, parameters)?, salt, output)
        }
        // Without a version it is the first one.
        ["", name @ ("argon2id" | "argon2i" | "argon2d"), parameters, salt, output] => {
            parts(argon2_cost(name, 0x10, parameters)?, salt, output)
        }
        ["", "scrypt", parameters, salt, output] => {
            let [log_n, r, p] = named(parameters, ["ln", "r", "p"])?;
            let log_n = u8::try_from(log_n).map_err(|_| malformed())?;
            parts(Cost::Scrypt { log_n, r, p }, salt, output)
        }
        ["", "pbkdf2-sha256", iterations, salt, output]
            if iterations.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            let standard = |text: &str| text.replace('.', "+");
            let cost = Cost::Pbkdf2Sha256 { iterations: number(iterations)? };
            parts(cost, &standard(salt), &standard(output))
        }
        ["", "pbkdf2-sha256", parameters, salt, output] => pbkdf2_parts(parameters, salt, output),
        _ => Err(Error::Input(
            "this is no hash of a kind that is known here: Argon2, bcrypt, scrypt or PBKDF2-SHA256"
                .to_owned(),
        )),
    }
}

fn argon2_cost(name: &str, version: u32, parameters: &str) -> Result<Cost, Error> {
    let [memory_kib, passes, lanes] = named(parameters, ["m", "t", "p"])?;
    let variant = argon2::Algorithm::from_str(name).map_err(|_| malformed())?;
    let version = argon2::Version::try_from(version).map_err(|_| {
        Error::Input(format!("version {version} of Argon2 is not known here, but 16 and 19 are"))
    })?;
    Ok(Cost::Argon2 { variant, version, memory_kib, passes, lanes })
}

/// The length is optional, and must be that of the output.
fn pbkdf2_parts(parameters: &str, salt: &str, output: &str) -> Result<Parts, Error> {
    let (iterations, length) = match parameters.split_once(",l=") {
        Some((iterations, length)) => (iterations, Some(number(length)?)),
        None => (parameters, None),
    };
    let [iterations] = named(iterations, ["i"])?;
    let parts = parts(Cost::Pbkdf2Sha256 { iterations }, salt, output)?;
    let is_right = length.is_none_or(|length| u32::try_from(parts.2.len()) == Ok(length));
    is_right.then_some(parts).ok_or_else(malformed)
}

fn parts(cost: Cost, salt: &str, output: &str) -> Result<Parts, Error> {
    let decode = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| malformed());
    let (salt, output) = (decode(salt)?, decode(output)?);
    // The bounds of the PHC format; a short output would be easy to guess.
    let is_right = (8..=64).contains(&salt.len()) && (10..=64).contains(&output.len());
    is_right.then_some((cost, salt, output)).ok_or_else(|| {
        Error::Input("the salt must have from 8 to 64 bytes, and the output from 10 to 64".to_owned())
    })
}

/// Reads `a=1,b=2` with exactly these names in this order.
fn named<const N: usize>(text: &str, names: [&str; N]) -> Result<[u32; N], Error> {
    let mut values = [0; N];
    let mut found = text.split(',');
    for (name, value) in names.iter().zip(&mut values) {
        let text = found.next().and_then(|field| field.strip_prefix(name)?.strip_prefix('='));
        *value = number(text.ok_or_else(malformed)?)?;
    }
    found.next().is_none().then_some(values).ok_or_else(malformed)
}

fn number(text: &str) -> Result<u32, Error> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().ok_or_else(malformed)
}

fn bcrypt_parts(text: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (salt, output) = text.split_at_checked(BCRYPT_SALT).ok_or_else(malformed)?;
    let decode = |text: &str| BCRYPT_BASE64.decode(text).map_err(|_| malformed());
    let (salt, output) = (decode(salt)?, decode(output)?);
    let is_right = salt.len() == super::SALT && output.len() == BCRYPT_OUTPUT;
    is_right.then_some((salt, output)).ok_or_else(malformed)
}

/// The output in bcrypt's own text.
pub(super) fn bcrypt_output(text: &str) -> Result<Vec<u8>, Error> {
    let rest = text.rsplit('$').next().ok_or_else(malformed)?;
    bcrypt_parts(rest).map(|(_, output)| output)
}

fn malformed() -> Error {
    Error::Input("the hash is malformed".to_owned())
}
