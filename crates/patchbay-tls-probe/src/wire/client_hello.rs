//! Hellos of any version.

use super::{
    codec::{Prefix, Writer},
    number_of,
};
use crate::{groups::X25519, report::Version};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Says that renegotiation is secure where there are no extensions (RFC 5746).
const RENEGOTIATION_SCSV: u16 = 0x00ff;

/// Bytes of a record; a longer hello goes into several.
const RECORD_BYTES: usize = 16_384;

/// What servers' certificates may be signed with: all that was ever in use, so that none is refused for its signature. ECDSA, `EdDSA`, RSA-PSS of both kinds, RSA, SHA-1 and DSA at the end.
const SIGNATURE_SCHEMES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501,
    0x0601, 0x0904, 0x0905, 0x0906, 0x081a, 0x081b, 0x081c, 0x0303, 0x0301, 0x0203, 0x0201, 0x0402, 0x0202,
];

/// A hello. What is empty is left out.
#[derive(Clone, Debug)]
pub struct ClientHello<'a> {
    /// The highest version that is offered; TLS 1.3 is offered alone.
    pub version: Version,
    /// Suites, most wanted first.
    pub suites: &'a [u16],
    /// Groups, most wanted first.
    pub groups: &'a [u16],
    /// Name of the server, in ASCII.
    pub server_name: Option<&'a str>,
    /// Application protocols.
    pub alpn: &'a [&'a str],
    /// Public key for X25519; without one a server of TLS 1.3 names the group that it wants.
    pub key_share: Option<&'a [u8]>,
    /// Random bytes; the session's name is the same bytes again, which tells nobody anything.
    pub random: [u8; 32],
}

impl ClientHello<'_> {
    /// Writes it with its records around it.
    pub fn encode(&self) -> Vec<u8> {
        let plain = self.message(None);
        let message = padding(plain.len()).map_or(plain, |zeros| self.message(Some(zeros)));
        let mut records = Writer::default();
        for fragment in message.chunks(RECORD_BYTES) {
            records.u8(HANDSHAKE);
            // Old servers look at the version of the record, and take one that is no newer than their own.
            records.u16(number_of(self.version.min(Version::Tls10)));
            records.block(Prefix::Two, |record| record.bytes(fragment));
        }
        records.into_bytes()
    }

    fn message(&self, padding: Option<usize>) -> Vec<u8> {
        let mut message = Writer::default();
        message.u8(CLIENT_HELLO);
        message.block(Prefix::Three, |body| self.body(body, padding));
        message.into_bytes()
    }

    fn body(&self, body: &mut Writer, padding: Option<usize>) {
        body.u16(number_of(self.version.min(Version::Tls12)));
        body.bytes(&self.random);
        // Middleboxes let TLS 1.3 pass when it looks like the resumption of a session (RFC 8446, appendix D.4).
        let session: &[u8] = if self.version == Version::Tls13 { &self.random } else { &[] };
        body.block(Prefix::One, |id| id.bytes(session));
        body.block(Prefix::Two, |suites| {
            self.suites.iter().for_each(|suite| suites.u16(*suite));
            if self.version == Version::Ssl30 {
                suites.u16(RENEGOTIATION_SCSV);
            }
        });
        body.block(Prefix::One, |compressions| compressions.u8(0));
        if self.version > Version::Ssl30 {
            body.block(Prefix::Two, |extensions| {
                self.extensions(extensions);
                if let Some(zeros) = padding {
                    extension(extensions, 21, |body| body.bytes(&vec![0; zeros]));
                }
            });
        }
    }

    fn extensions(&self, all: &mut Writer) {
        if let Some(name) = self.server_name {
            extension(all, 0, |body| {
                body.block(Prefix::Two, |names| {
                    names.u8(0);
                    names.block(Prefix::Two, |host| host.bytes(name.as_bytes()));
                });
            });
        }
        // OCSP, from any responder (RFC 6066, section 8).
        extension(all, 5, |body| body.bytes(&[1, 0, 0, 0, 0]));
        if !self.groups.is_empty() {
            extension(all, 10, |body| body.list16(Prefix::Two, self.groups));
            extension(all, 11, |body| body.block(Prefix::One, |formats| formats.bytes(&[0, 1, 2])));
        }
        if self.version >= Version::Tls12 {
            extension(all, 13, |body| body.list16(Prefix::Two, SIGNATURE_SCHEMES));
        }
        if !self.alpn.is_empty() {
            extension(all, 16, |body| {
                body.block(Prefix::Two, |list| {
                    self.alpn
                        .iter()
                        .for_each(|name| list.block(Prefix::One, |entry| entry.bytes(name.as_bytes())));
                });
            });
        }
        if self.version == Version::Tls13 {
            extension(all, 43, |body| body.list16(Prefix::One, &[number_of(Version::Tls13)]));
            extension(all, 51, |body| body.block(Prefix::Two, |shares| self.shares(shares)));
            return;
        }
        extension(all, 23, |_| ());
        extension(all, 0xff01, |body| body.u8(0));
    }

    fn shares(&self, shares: &mut Writer) {
        if let Some(key) = self.key_share {
            shares.u16(X25519);
            shares.block(Prefix::Two, |share| share.bytes(key));
        }
    }
}

/// Zeros that bring a message to 512 bytes: some boxes between hang on hellos from 256 to 511 bytes (RFC 7685).
fn padding(length: usize) -> Option<usize> {
    (256..512).contains(&length).then(|| 512_usize.saturating_sub(length + 4).max(1))
}

fn extension(all: &mut Writer, number: u16, body: impl FnOnce(&mut Writer)) {
    all.u16(number);
    all.block(Prefix::Two, body);
}
