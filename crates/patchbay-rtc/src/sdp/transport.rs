//! The attributes that say how to reach a peer and whom to trust: they may stand for the whole description or for one section.

use super::lines::Line;
use super::{Credentials, Fingerprint, OfferError};

/// Lengths of an ICE user name fragment (RFC 8839, section 5.4).
const UFRAG: std::ops::RangeInclusive<usize> = 4..=256;
/// Lengths of an ICE password.
const PASSWORD: std::ops::RangeInclusive<usize> = 22..=256;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Transport {
    ufrag: Option<String>,
    password: Option<String>,
    fingerprint: Option<Fingerprint>,
    /// A hash that we do not check, to say so when there is no other.
    foreign_hash: Option<String>,
    setup: Option<Setup>,
}

/// Who opens the DTLS connection (RFC 8842), as offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    /// The offerer can or will.
    Active,
    /// The offerer will not.
    Passive,
}

impl Transport {
    /// Takes an attribute that belongs here; others are passed over. The first of a kind counts.
    pub(super) fn attribute(&mut self, line: &Line<'_>, name: &str, value: &str) -> Result<(), OfferError> {
        match name {
            "ice-ufrag" => keep(&mut self.ufrag, checked(line, name, value, UFRAG)?),
            "ice-pwd" => keep(&mut self.password, checked(line, name, value, PASSWORD)?),
            "fingerprint" => self.fingerprint(line, value)?,
            "setup" => keep(&mut self.setup, setup(line, value)?),
            _ => {}
        }
        Ok(())
    }

    /// What a section has, and what the description says for all where the section is silent.
    pub(super) fn or(&self, session: &Self) -> Self {
        // Fragment and password belong together: a section never borrows one of them.
        let own = if self.ufrag.is_some() || self.password.is_some() { self } else { session };
        let trusted = if self.fingerprint.is_some() || self.foreign_hash.is_some() { self } else { session };
        Self {
            ufrag: own.ufrag.clone(),
            password: own.password.clone(),
            fingerprint: trusted.fingerprint,
            foreign_hash: trusted.foreign_hash.clone(),
            setup: self.setup.or(session.setup),
        }
    }

    /// ICE credentials.
    pub(super) fn credentials(&self) -> Result<Credentials, OfferError> {
        let Some(ufrag) = self.ufrag.clone() else {
            return Err(OfferError::Missing { what: "a=ice-ufrag" });
        };
        let Some(password) = self.password.clone() else {
            return Err(OfferError::Missing { what: "a=ice-pwd" });
        };
        Ok(Credentials { ufrag, password })
    }

    /// ICE credentials, when there are any.
    pub(super) fn credentials_if_any(&self) -> Result<Option<Credentials>, OfferError> {
        if self.ufrag.is_none() && self.password.is_none() {
            return Ok(None);
        }
        self.credentials().map(Some)
    }

    /// Hash of the certificate.
    pub(super) fn trusted(&self) -> Result<Fingerprint, OfferError> {
        if let Some(fingerprint) = self.fingerprint {
            return Ok(fingerprint);
        }
        match &self.foreign_hash {
            Some(hash) => Err(OfferError::Unsupported {
                what: format!("the fingerprint is made with {hash}, and only sha-256 is checked here"),
            }),
            None => Err(OfferError::Missing { what: "a=fingerprint" }),
        }
    }

    /// Checks that the offerer opens the DTLS connection.
    pub(super) fn check_setup(&self) -> Result<(), OfferError> {
        match self.setup {
            Some(Setup::Active) => Ok(()),
            Some(Setup::Passive) => Err(OfferError::Unsupported {
                what: "this server waits for the DTLS connection: offer a=setup:actpass or a=setup:active"
                    .to_owned(),
            }),
            None => Err(OfferError::Missing { what: "a=setup" }),
        }
    }

    fn fingerprint(&mut self, line: &Line<'_>, value: &str) -> Result<(), OfferError> {
        let Some((hash, digits)) = value.split_once(' ') else {
            return Err(line.malformed("a fingerprint is the name of a hash and its value"));
        };
        if !hash.eq_ignore_ascii_case("sha-256") {
            keep(&mut self.foreign_hash, hash.chars().take(32).collect());
            return Ok(());
        }
        let Some(bytes) = hexadecimal(digits.trim()) else {
            return Err(
                line.malformed("a sha-256 fingerprint is 32 pairs of hexadecimal digits with colons between")
            );
        };
        keep(&mut self.fingerprint, Fingerprint(bytes));
        Ok(())
    }
}

fn keep<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

fn checked(
    line: &Line<'_>,
    name: &str,
    value: &str,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<String, OfferError> {
    if !lengths.contains(&value.len()) {
        let (least, most) = (lengths.start(), lengths.end());
        return Err(line.malformed(format!("{name} has {} characters, not {least} to {most}", value.len())));
    }
    // Wider than RFC 8839's letters, digits, + and /; a colon would split the user name of a check.
    if !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Err(line.malformed(format!("{name} has a character that is not allowed")));
    }
    Ok(value.to_owned())
}

fn setup(line: &Line<'_>, value: &str) -> Result<Setup, OfferError> {
    match value {
        "actpass" | "active" => Ok(Setup::Active),
        "passive" | "holdconn" => Ok(Setup::Passive),
        _ => Err(line.malformed("setup is actpass, active or passive")),
    }
}

fn hexadecimal(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut pairs = digits.split(':');
    for byte in &mut bytes {
        let pair = pairs
            .next()
            .filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}
