//! Shamir's secret sharing over GF(256): a secret becomes shares for people, of which so many together give it back and fewer give nothing.
//!
//! Each byte of the secret is the value at 0 of a polynomial of its own, whose other coefficients are random; a share is the values at its
//! index. The field is that of AES (polynomial `0x11b`).
//!
//! This is written here because it is small (an addition, a multiplication and an interpolation, all below), and because the crates that
//! offer it either bring the arithmetic of elliptic curves along or look products up in tables, which the cache gives away. Nothing here
//! branches on a secret byte or takes one as an index, so that the time depends on the lengths and on the indexes of the shares only, which
//! are no secrets.
//!
//! Shares are not bound to a key of anybody: whoever puts them together must check that the result is the secret it expects.

use crate::{Error, Secret};
use aws_lc_rs::digest::{Context, SHA256};
use std::{collections::BTreeSet, fmt};
use zeroize::Zeroizing;

/// Bytes of a secret at most.
pub const MAX_SECRET: usize = 1024;

/// What the text of a share begins with.
pub const PREFIX: &str = "pbs1-";

/// Bytes of what tells the shares of one split from those of another.
const SET_ID: usize = 4;
/// Identity of the set, index, threshold and total.
const HEADER: usize = SET_ID + 3;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;
/// What is hashed before a share for its checksum.
const CHECKSUM_DOMAIN: &[u8] = b"patchbay share v1";

/// A part of a secret. It prints as its index only.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    set: [u8; SET_ID],
    index: u8,
    threshold: u8,
    total: u8,
    data: Secret,
}

impl Share {
    /// Reads the text of a share; white space around it and the case of its letters do not matter. A mistyped one is refused with one chance
    /// in 2^32 that it is not noticed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = Zeroizing::new(text.trim().to_ascii_lowercase());
        let digits = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| Error::Input(format!("a share begins with `{PREFIX}`: copy all of it")))?;
        let longest = 2 * (HEADER + MAX_SECRET + CHECKSUM);
        if digits.len() > longest {
            return Err(Error::Input(format!("a share has {longest} digits at most: give one share")));
        }
        // Into what is as long as it will be: one that grows leaves copies of the share behind.
        let mut bytes = Secret::new(vec![0; digits.len() / 2]);
        hex::decode_to_slice(digits, &mut bytes.0).map_err(|_| {
            Error::Input(format!("after `{PREFIX}` a share has pairs of 0 to 9 and a to f: copy it again"))
        })?;
        let (body, sum) = bytes.expose().split_last_chunk::<CHECKSUM>().ok_or_else(cut)?;
        if checksum(body) != *sum {
            return Err(Error::Input("this share is mistyped or cut: its checksum is wrong".into()));
        }
        let (header, data) = body.split_first_chunk::<HEADER>().ok_or_else(cut)?;
        let [a, b, c, d, index, threshold, total] = *header;
        if data.is_empty() || index == 0 || index > total || check_counts(total, threshold).is_err() {
            return Err(Error::Input("this share contradicts itself: it was not made by a split".into()));
        }
        Ok(Self { set: [a, b, c, d], index, threshold, total, data: Secret::new(data.to_vec()) })
    }

    /// Text to give to a person: `pbs1-` and hexadecimal digits of the identity of the set, the index, the threshold, the total, the share
    /// itself and a checksum.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new(Vec::with_capacity(HEADER + self.data.expose().len() + CHECKSUM));
        body.extend_from_slice(&self.set);
        body.extend_from_slice(&[self.index, self.threshold, self.total]);
        body.extend_from_slice(self.data.expose());
        let sum = checksum(&body);
        body.extend_from_slice(&sum);
        let digits = Zeroizing::new(hex::encode(body.as_slice()));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + digits.len()));
        text.push_str(PREFIX);
        text.push_str(&digits);
        text
    }

    /// Random bytes that all shares of one split have in common.
    pub fn set(&self) -> [u8; SET_ID] {
        self.set
    }

    /// Which share of its set it is, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Shares that are needed.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Shares that were made.
    pub fn total(&self) -> u8 {
        self.total
    }

    /// Bytes of the secret.
    pub fn secret_length(&self) -> usize {
        self.data.expose().len()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Makes shares of a secret of 1 to [`MAX_SECRET`] bytes, of which `threshold` are needed. One share for one person is allowed, and is the
/// secret itself; of several shares at least two must be needed.
pub fn split(secret: &Secret, shares: u8, threshold: u8) -> Result<Vec<Share>, Error> {
    check_counts(shares, threshold)?;
    if !(1..=MAX_SECRET).contains(&secret.expose().len()) {
        return Err(Error::Input(format!("a secret to share has 1 to {MAX_SECRET} bytes")));
    }
    let mut set = [0; SET_ID];
    aws_lc_rs::rand::fill(&mut set).map_err(|_| Error::Library)?;
    // The coefficients of x, x^2 ... of all bytes; one of all zeros is as likely as any other, and must be.
    let random =
        (1..threshold).map(|_| Secret::random(secret.expose().len())).collect::<Result<Vec<_>, _>>()?;
    let share =
        |index| Share { set, index, threshold, total: shares, data: evaluate(secret, &random, index) };
    Ok((1..=shares).map(share).collect())
}

/// Puts a secret together from shares of one set, in any order. More than are needed must all fit, so that a wrong one is noticed.
pub fn combine(shares: &[Share]) -> Result<Secret, Error> {
    let first = shares.first().ok_or_else(|| Error::Input("no share was given".into()))?;
    check_together(first, shares)?;
    let needed = usize::from(first.threshold);
    let Some((used, others)) = shares.split_at_checked(needed) else {
        let missing = needed - shares.len();
        return Err(Error::Input(format!(
            "{missing} more of the {needed} shares that are needed are missing"
        )));
    };
    let fits = |other: &Share| interpolate(used, other.index) == other.data;
    if !others.iter().all(fits) {
        return Err(Error::Input("these shares do not fit together: one of them is wrong".into()));
    }
    Ok(interpolate(used, 0))
}

/// Checks how many shares shall be made and needed.
fn check_counts(shares: u8, threshold: u8) -> Result<(), Error> {
    match (shares, threshold) {
        (0, _) => Err(Error::Input("at least 1 share must be made".into())),
        (1, 1) => Ok(()),
        (_, 0 | 1) => Err(Error::Input(format!("of {shares} shares at least 2 must be needed"))),
        _ if threshold > shares => {
            Err(Error::Input(format!("{threshold} shares cannot be needed where {shares} are made")))
        }
        _ => Ok(()),
    }
}

fn check_together(first: &Share, shares: &[Share]) -> Result<(), Error> {
    let kind = |share: &Share| (share.set, share.threshold, share.total, share.secret_length());
    if shares.iter().any(|share| kind(share) != kind(first)) {
        return Err(Error::Input("these shares are of different sets: bring those of one split".into()));
    }
    let mut seen = BTreeSet::new();
    match shares.iter().find(|share| !seen.insert(share.index)) {
        Some(twice) => Err(Error::Input(format!("share {} was given twice", twice.index))),
        None => Ok(()),
    }
}

/// Value of every polynomial at an index, by Horner's rule.
fn evaluate(secret: &Secret, random: &[Secret], at: u8) -> Secret {
    let mut values = Secret::new(vec![0; secret.expose().len()]);
    for coefficients in random.iter().rev().chain([secret]) {
        for (value, coefficient) in values.0.iter_mut().zip(coefficients.expose()) {
            *value = multiply(*value, at) ^ coefficient;
        }
    }
    values
}

/// Value at an index of the polynomials that go through these shares (Lagrange). Subtraction is addition here.
fn interpolate(shares: &[Share], at: u8) -> Secret {
    let length = shares.first().map_or(0, Share::secret_length);
    let mut values = Secret::new(vec![0; length]);
    for share in shares {
        let others = || shares.iter().map(|other| other.index).filter(|index| *index != share.index);
        let above = others().map(|index| at ^ index).fold(1, multiply);
        let below = others().map(|index| share.index ^ index).fold(1, multiply);
        let weight = multiply(above, invert(below));
        for (value, data) in values.0.iter_mut().zip(share.data.expose()) {
            *value ^= multiply(*data, weight);
        }
    }
    values
}

/// Product in GF(256): eight steps whatever the factors are, with masks in the place of branches.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        let carry = (a >> 7).wrapping_neg();
        a = (a << 1) ^ (carry & 0x1b);
        b >>= 1;
    }
    product
}

/// Inverse in GF(256): `a^254`, because `a^255` is 1. That of 0 is 0, and is never asked for: two indexes are never equal.
fn invert(a: u8) -> u8 {
    let (mut square, mut inverse) = (a, 1);
    for _ in 0..7 {
        square = multiply(square, square);
        inverse = multiply(inverse, square);
    }
    inverse
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let mut context = Context::new(&SHA256);
    context.update(CHECKSUM_DOMAIN);
    context.update(body);
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

fn cut() -> Error {
    Error::Input("this share is cut: copy all of it".into())
}

#[cfg(test)]
#[path = "shamir_tests.rs"]
mod tests;
