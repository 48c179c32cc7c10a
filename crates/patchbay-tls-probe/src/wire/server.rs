//! What a server says in the clear: its hello, and up to TLS 1.2 its certificates, their status and its half of the key exchange.

use super::{codec::Reader, version_of};
use crate::{
    certificate::MAX_CERTIFICATES,
    report::Version,
    suites::{KeyExchange, Suite},
};

/// Certificates that are kept of one chain: one more than is looked at, so that it is told that there were more.
const CERTIFICATES: usize = MAX_CERTIFICATES + 1;

/// The random bytes of a hello that asks for another one (RFC 8446, section 4.1.3): SHA-256 of `HelloRetryRequest`.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version's number.
    pub version: u16,
    /// The suite's number.
    pub suite: u16,
    /// Whether it asks for another hello.
    pub is_retry: bool,
    /// The group of its key share, or the one that it asks for one of.
    pub group: Option<u16>,
    /// The application protocol.
    pub alpn: Option<Vec<u8>>,
}

impl ServerHello {
    /// The version that it chose, if it is a known one.
    pub fn version(&self) -> Option<Version> {
        version_of(self.version)
    }

    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        let is_retry = reader.take(32)? == RETRY;
        reader.block8()?;
        let suite = reader.u16()?;
        reader.u8()?;
        let mut hello = Self { version: legacy_version, suite, is_retry, group: None, alpn: None };
        if !reader.is_empty() {
            let mut extensions = reader.block16()?;
            while !extensions.is_empty() {
                let (number, body) = (extensions.u16()?, extensions.block16()?);
                hello.extension(number, body)?;
            }
        }
        Some(hello)
    }

    fn extension(&mut self, number: u16, mut body: Reader<'_>) -> Option<()> {
        match number {
            16 => self.alpn = Some(body.block16()?.block8()?.rest().to_vec()),
            43 => self.version = body.u16()?,
            51 => self.group = Some(body.u16()?),
            _ => (),
        }
        Some(())
    }
}

/// What a server's half of the key exchange tells (RFC 5246, section 7.4.3; RFC 8422, section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchangeFacts {
    /// The number of its group.
    Group(u16),
    /// The length of its prime.
    PrimeBits(u32),
}

impl KeyExchangeFacts {
    pub(super) fn read(suite: u16, body: &[u8]) -> Option<Self> {
        let suite = Suite::by_number(suite)?;
        let mut reader = Reader::new(body);
        if suite.name.contains("PSK") {
            reader.block16()?;
        }
        match suite.key_exchange() {
            // 3 is a curve with a name; others are described by their equations.
            KeyExchange::Ecdhe => (reader.u8()? == 3).then_some(())?,
            KeyExchange::Dhe => return Some(Self::PrimeBits(bits(reader.block16()?.rest()))),
            _ => return None,
        }
        reader.u16().map(Self::Group)
    }
}

/// Bits of a number, without zeros before it.
fn bits(number: &[u8]) -> u32 {
    let digits = number.iter().skip_while(|byte| **byte == 0);
    let leading = digits.clone().next().map_or(0, |byte| byte.leading_zeros());
    let bytes = u32::try_from(digits.count()).unwrap_or(u32::MAX);
    bytes.saturating_mul(8).saturating_sub(leading)
}

/// Certificates as they were sent, the server's own first.
pub(super) fn certificates(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader::new(body).block24()?;
    let mut found = Vec::new();
    while !list.is_empty() && found.len() < CERTIFICATES {
        // Whatever its length: one that is left out would make its issuer look like the server's own.
        found.push(list.block24()?.rest().to_vec());
    }
    Some(found)
}

/// The OCSP answer in a message that brings one (RFC 6066, section 8).
pub(super) fn certificate_status(body: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(body);
    (reader.u8()? == 1).then_some(())?;
    Some(reader.block24()?.rest().to_vec())
}
