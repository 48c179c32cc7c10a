//! The little of TLS that is needed to ask a server what it speaks: hellos from SSL 3.0 to TLS 1.3 out, and what comes back in the clear in.
//!
//! Nothing here reads or writes a socket, and nothing is encrypted: a server names its version, suite and group before it is, and up to TLS 1.2 shows its certificates before it, too. Whatever
//! comes is read within limits, at whatever byte it is cut.

mod alert;
mod client_hello;
mod codec;
mod flight;
mod record;
mod server;

pub use alert::Alert;
pub use client_hello::ClientHello;
pub use flight::{Flight, Progress, Until};
pub use record::WireError;
pub use server::{KeyExchangeFacts, ServerHello};

use crate::report::Version;

/// The number of a version on the wire.
pub const fn number_of(version: Version) -> u16 {
    match version {
        Version::Ssl30 => 0x0300,
        Version::Tls10 => 0x0301,
        Version::Tls11 => 0x0302,
        Version::Tls12 => 0x0303,
        Version::Tls13 => 0x0304,
    }
}

/// The version of a number, if it is one of those that are known.
pub fn version_of(number: u16) -> Option<Version> {
    Version::ALL.into_iter().find(|version| number_of(*version) == number)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
