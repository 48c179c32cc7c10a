//! What a TLS server speaks and shows: versions, suites, groups, certificates, and a grade with its reasons.

pub mod report;
