//! What is watched, and when it is told.

use super::target::Target;
use patchbay_chassis::{Problems, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

/// Hosts at most.
const MAX_WATCHED: usize = 1000;

/// Thresholds at most, and days of one.
const MAX_THRESHOLDS: usize = 16;
const MAX_DAYS: u32 = 3650;

/// Shortest and longest lease of the replica that watches: it is renewed three times as often.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// Certificates that are watched: those of the suite's own listeners always, and these.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    /// Hosts, such as `"example.com:443"`, `"smtp://mail.example.com:25"`, `"ftp://"` or `"imap://"`; 1000 at most. What may be reached is said by `tls_probe.egress`.
    pub watch: Vec<Target>,
    /// How often each host is looked at.
    pub check_every: Span,
    /// Days before a certificate's end at which it is told, each once.
    pub warn_days: Vec<u32>,
    /// How long the replica that watches is waited for after it died, before another goes on. What is known is looked through three times as often, so that is how late a threshold may be told.
    pub lease: Span,
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            watch: Vec::new(),
            check_every: Span::seconds(6 * 3600),
            warn_days: vec![30, 14, 7, 1],
            lease: Span::seconds(15),
        }
    }
}

impl Certificates {
    /// Says what is wrong with it.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        if self.watch.len() > MAX_WATCHED {
            problems.add("certificates.watch", format!("must not have more than {MAX_WATCHED} hosts"));
        }
        let mut names = HashSet::new();
        for target in self.watch.iter().filter(|target| !names.insert(target.name())) {
            problems.add("certificates.watch", format!("has `{}` twice", target.name()));
        }
        if self.check_every.duration() < Duration::from_secs(1) {
            problems.add("certificates.check_every", "must be a second at least");
        }
        if !LEASES.contains(&self.lease.duration()) {
            problems.add("certificates.lease", "must be from 1s to 10m");
        }
        let days = &self.warn_days;
        if days.is_empty()
            || days.len() > MAX_THRESHOLDS
            || days.iter().any(|days| !(1..=MAX_DAYS).contains(days))
        {
            problems.add(
                "certificates.warn_days",
                format!("must be 1 to {MAX_THRESHOLDS} numbers of days, each from 1 to {MAX_DAYS}"),
            );
        }
    }
}
