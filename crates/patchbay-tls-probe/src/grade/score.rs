//! The score: 30 % for the versions, 30 % for the key exchange, 40 % for the ciphers, each from 0 to 100, with the bands of SSL Labs' guide.

use crate::{
    report::{Finding, Grade, Report, Severity, Version},
    suites::{KeyExchange, Suite},
};

/// The three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    protocols: u32,
    key_exchange: u32,
    ciphers: u32,
}

/// Curves of 256 bits are as strong as RSA keys of this size (NIST SP 800-57 part 1, table 2).
const STRENGTH_OF_CURVE_256: u32 = 3072;

impl Score {
    pub(super) fn of(report: &Report) -> Self {
        Self { protocols: protocols(report), key_exchange: key_exchange(report), ciphers: ciphers(report) }
    }

    /// Out of 100; a part that is worth nothing makes the whole worth nothing.
    fn total(self) -> u32 {
        if self.protocols == 0 || self.key_exchange == 0 || self.ciphers == 0 {
            return 0;
        }
        (self.protocols * 30 + self.key_exchange * 30 + self.ciphers * 40) / 100
    }

    /// The letter; `A+` stands for no more than that nothing spoke against it yet.
    pub(super) fn grade(self) -> Grade {
        match self.total() {
            80.. => Grade::APlus,
            65..=79 => Grade::B,
            50..=64 => Grade::C,
            35..=49 => Grade::D,
            20..=34 => Grade::E,
            _ => Grade::F,
        }
    }

    /// The reason where the score alone is not enough for an `A`.
    pub(super) fn finding(self) -> Option<Finding> {
        let grade = self.grade();
        if grade == Grade::APlus {
            return None;
        }
        let Self { protocols, key_exchange, ciphers } = self;
        let message = format!(
            "the score is {} of 100: versions {protocols}, key exchange {key_exchange}, ciphers {ciphers}; take the weakest of them away",
            self.total()
        );
        Some(Finding::new(Severity::Warning, "SCORE", message).capped(grade))
    }
}

/// The middle of the best and the worst version.
fn protocols(report: &Report) -> u32 {
    let scores = report.protocols.iter().filter(|protocol| protocol.is_supported).map(|protocol| {
        match protocol.version {
            Version::Ssl30 => 80,
            Version::Tls10 => 90,
            Version::Tls11 => 95,
            Version::Tls12 | Version::Tls13 => 100,
        }
    });
    middle(scores)
}

/// The weakest of all that is taken.
fn key_exchange(report: &Report) -> u32 {
    let certificate = strength_of_certificate(report);
    let group =
        report.groups.iter().map(|group| strength_of_group(group)).min().unwrap_or(STRENGTH_OF_CURVE_256);
    let scores = suites(report).map(|suite| {
        if suite.is_anonymous() {
            return 0;
        }
        if suite.is_export() {
            return 40;
        }
        band(match suite.key_exchange() {
            KeyExchange::Any | KeyExchange::Ecdhe => certificate.min(group),
            KeyExchange::Dhe => certificate.min(report.dh_bits.unwrap_or(certificate)),
            KeyExchange::StaticEcdh
            | KeyExchange::StaticDh
            | KeyExchange::Rsa
            | KeyExchange::Psk
            | KeyExchange::Srp => certificate,
        })
    });
    scores.min().unwrap_or_else(|| band(certificate))
}

fn band(bits: u32) -> u32 {
    match bits {
        0 => 0,
        1..=511 => 20,
        512..=1023 => 40,
        1024..=2047 => 80,
        2048..=4095 => 90,
        _ => 100,
    }
}

/// Bits of an RSA key that would be as strong. A key that is not known speaks neither for nor against.
fn strength_of_certificate(report: &Report) -> u32 {
    let Some(own) = report.chain.as_ref().and_then(|chain| chain.certificates.first()) else {
        return STRENGTH_OF_CURVE_256;
    };
    match own.key_type.as_str() {
        kind if kind.starts_with("RSA") || kind == "DSA" => own.key_bits,
        kind if kind.starts_with("EC ") || kind.starts_with("Ed") => strength_of_curve(own.key_bits),
        kind if kind.starts_with("ML-DSA") => 15_360,
        _ => STRENGTH_OF_CURVE_256,
    }
}

fn strength_of_curve(bits: u32) -> u32 {
    match bits {
        0..=159 => 512,
        160..=223 => 1024,
        224..=254 => 2048,
        255..=383 => STRENGTH_OF_CURVE_256,
        384..=511 => 7680,
        _ => 15_360,
    }
}

fn strength_of_group(name: &str) -> u32 {
    if let Some(bits) = name.strip_prefix("ffdhe") {
        return bits.parse().unwrap_or(STRENGTH_OF_CURVE_256);
    }
    let digits: String = name
        .chars()
        .skip_while(|character| !character.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    match digits.parse() {
        // x25519 and the hybrids with it carry the number of the field's prime; ML-KEM alone that of its parameters.
        Ok(25519 | 448) | Err(_) => STRENGTH_OF_CURVE_256,
        Ok(512..=1024) if name.starts_with("MLKEM") => STRENGTH_OF_CURVE_256,
        Ok(bits) => strength_of_curve(bits),
    }
}

/// The middle of the strongest and the weakest cipher.
fn ciphers(report: &Report) -> u32 {
    middle(suites(report).map(|suite| match suite.bits() {
        0 => 0,
        1..=127 => 20,
        128..=255 => 80,
        _ => 100,
    }))
}

pub(super) fn suites(report: &Report) -> impl Iterator<Item = Suite> {
    let supported = report.protocols.iter().filter(|protocol| protocol.is_supported);
    supported.flat_map(|protocol| &protocol.suites).filter_map(|suite| Suite::by_number(suite.number))
}

/// Between the best and the worst; full marks where there is nothing to mark.
fn middle(scores: impl Iterator<Item = u32>) -> u32 {
    let (worst, best) = scores.fold((100, None), |(worst, best): (u32, Option<u32>), score| {
        (worst.min(score), best.max(Some(score)))
    });
    best.map_or(100, |best| u32::midpoint(best, worst))
}
