//! One certificate in use, as it was seen last.

use super::threshold::days_left;
use aws_lc_rs::digest::{SHA256, digest};
use patchbay_proto::crypto::v1 as pb;
use std::cmp::Ordering;

/// Hexadecimal digits by which a certificate is known.
const IDENTITY_DIGITS: usize = 32;

/// Where a certificate is in use, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `service/listener`, or `host:port`.
    pub(super) name: String,
    /// Replicas that show it; none for a host.
    pub(super) replicas: Option<u32>,
    /// When it was looked at, in milliseconds since 1970; 0 is never.
    pub(super) checked: u64,
    /// What was found, or why nothing was.
    pub(super) found: Result<Found, String>,
}

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Until when it is valid, in seconds since 1970.
    pub(super) not_after: i64,
    /// SHA-256 of it, hexadecimal; empty for the suite's own.
    pub(super) sha256: String,
    /// Empty for the suite's own.
    pub(super) subject: String,
    /// Empty where no grade was made.
    pub(super) grade: String,
}

impl Seen {
    /// What tells this certificate, in this place, from every other: a renewed one has another.
    pub(super) fn identity(&self, found: &Found) -> String {
        let text = format!("{}\n{}\n{}", self.name, found.not_after, found.sha256);
        let mut identity = hex::encode(digest(&SHA256, text.as_bytes()));
        identity.truncate(IDENTITY_DIGITS);
        identity
    }

    /// The one that ends first before the others; those that could not be asked at the end.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let end = |seen: &Self| seen.found.as_ref().map_or(i64::MAX, |found| found.not_after);
        let key = |seen: &Self| (seen.found.is_err(), end(seen));
        key(self).cmp(&key(other)).then_with(|| self.name.cmp(&other.name))
    }

    /// As callers are told.
    pub(super) fn shown(&self, now_millis: u64) -> pb::WatchedCertificate {
        let shown = pb::WatchedCertificate {
            name: self.name.clone(),
            is_own: self.replicas.is_some(),
            replicas: self.replicas.unwrap_or_default(),
            checked: (self.checked != 0).then(|| timestamp(seconds(self.checked))),
            ..pb::WatchedCertificate::default()
        };
        match &self.found {
            Err(reason) => pb::WatchedCertificate { failure_message: reason.clone(), ..shown },
            Ok(found) => pb::WatchedCertificate {
                subject: found.subject.clone(),
                not_after: Some(timestamp(found.not_after)),
                days_left: days_left(found.not_after, seconds(now_millis)),
                grade: found.grade.clone(),
                ..shown
            },
        }
    }
}

/// Whole seconds since 1970.
pub(super) fn seconds(millis: u64) -> i64 {
    i64::try_from(millis / 1000).unwrap_or(i64::MAX)
}

fn timestamp(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}
