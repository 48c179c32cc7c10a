//! What a TLS server speaks and shows: versions, suites, groups, certificates, and a grade with its reasons.

pub mod certificate;
pub mod chain;
mod der;
pub mod grade;
pub mod groups;
pub mod ocsp;
pub mod report;
pub mod start_tls;
pub mod suites;
#[cfg(test)]
mod test_authority;
pub mod wire;
