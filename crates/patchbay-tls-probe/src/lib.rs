//! What a TLS server speaks and shows: versions, suites, groups, certificates, and a grade with its reasons.

mod ask;
pub mod certificate;
pub mod chain;
mod connection;
mod der;
mod enumerate;
pub mod grade;
pub mod groups;
mod handshake;
pub mod ocsp;
mod probe;
pub mod report;
pub mod start_tls;
pub mod suites;
mod target;
#[cfg(test)]
mod test_authority;
pub mod wire;

pub use probe::{Options, ProbeError, certificates, probe};
pub use target::{Target, TargetError};
