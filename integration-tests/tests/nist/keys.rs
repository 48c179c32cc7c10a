//! Keys as documents in DER, written byte by byte and not by what is tested.

use anyhow::{Context, Result};
use integration_tests::vectors::tlv;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[1]` of an `ECPrivateKey` (RFC 5915, section 3).
const PUBLIC: u8 = 0xa1;

/// An elliptic curve of FIPS 186-3.
#[derive(Clone, Copy)]
pub(crate) struct Curve {
    oid: &'static [u8],
    /// Bytes of a coordinate.
    pub(crate) width: usize,
    /// Whether it is offered.
    pub(crate) is_offered: bool,
}

impl Curve {
    /// The curve that a file calls so.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let (_, bits) = name.split_once('-').context("no curve")?;
        let width = bits.parse::<usize>()?.div_ceil(8);
        let oid: &[u8] = match name {
            "P-192" => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1],
            "P-224" => &[0x2b, 0x81, 4, 0, 33],
            "P-256" => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            "P-384" => &[0x2b, 0x81, 4, 0, 34],
            "P-521" => &[0x2b, 0x81, 4, 0, 35],
            "K-163" => &[0x2b, 0x81, 4, 0, 1],
            "B-163" => &[0x2b, 0x81, 4, 0, 15],
            "K-233" => &[0x2b, 0x81, 4, 0, 26],
            "B-233" => &[0x2b, 0x81, 4, 0, 27],
            "K-283" => &[0x2b, 0x81, 4, 0, 16],
            "B-283" => &[0x2b, 0x81, 4, 0, 17],
            "K-409" => &[0x2b, 0x81, 4, 0, 36],
            "B-409" => &[0x2b, 0x81, 4, 0, 37],
            "K-571" => &[0x2b, 0x81, 4, 0, 38],
            "B-571" => &[0x2b, 0x81, 4, 0, 39],
            _ => anyhow::bail!("no curve is called {name}"),
        };
        Ok(Self { oid, width, is_offered: ["P-256", "P-384", "P-521"].contains(&name) })
    }

    /// A number as long as a coordinate.
    pub(crate) fn fixed(self, number: &[u8]) -> Vec<u8> {
        let mut fixed = vec![0; self.width.saturating_sub(number.len())];
        fixed.extend_from_slice(number);
        fixed
    }

    /// A `SubjectPublicKeyInfo` (RFC 5480).
    pub(crate) fn public_key(self, x: &[u8], y: &[u8]) -> Vec<u8> {
        sequence(&[self.algorithm(), self.point(x, y)])
    }

    /// A `PrivateKeyInfo` (RFC 5208) with an `ECPrivateKey`.
    pub(crate) fn private_key(self, d: &[u8], x: &[u8], y: &[u8]) -> Vec<u8> {
        let public = tlv(PUBLIC, &self.point(x, y));
        let key = sequence(&[integer(&[1]), tlv(OCTET_STRING, &self.fixed(d)), public]);
        sequence(&[integer(&[0]), self.algorithm(), tlv(OCTET_STRING, &key)])
    }

    fn algorithm(self) -> Vec<u8> {
        sequence(&[tlv(OID, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), tlv(OID, self.oid)])
    }

    fn point(self, x: &[u8], y: &[u8]) -> Vec<u8> {
        // No bits unused, and a point that is not compressed.
        tlv(BIT_STRING, &[vec![0, 4], self.fixed(x), self.fixed(y)].concat())
    }
}

/// A `SubjectPublicKeyInfo` (RFC 3279, section 2.3.1) of an RSA key.
pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Vec<u8> {
    let oid = tlv(OID, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
    let numbers = sequence(&[integer(n), integer(e)]);
    sequence(&[sequence(&[oid, tlv(NULL, &[])]), tlv(BIT_STRING, &[vec![0], numbers].concat())])
}

/// A zero keeps a number positive whose first bit is set.
fn integer(number: &[u8]) -> Vec<u8> {
    let is_high = number.first().is_none_or(|first| *first >= 0x80);
    let zero: &[u8] = if is_high { &[0] } else { &[] };
    tlv(INTEGER, &[zero, number].concat())
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}
