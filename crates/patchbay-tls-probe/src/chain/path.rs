//! Which of the certificates that were sent follow from each other.

use crate::certificate::{Checked, Parsed};

/// Positions from the server's own certificate up, each signed by the next, as far as what was sent goes.
pub(super) struct Path {
    steps: Vec<usize>,
    /// How many were sent.
    sent: usize,
}

impl Path {
    pub(super) fn through(sent: &[Parsed<'_>]) -> Self {
        let mut steps = vec![0];
        let mut current = sent.first();
        while let Some(certificate) = current.filter(|certificate| !certificate.is_self_signed) {
            let next = sent.iter().enumerate().find(|(at, issuer)| {
                !steps.contains(at) && certificate.is_issued_by(issuer) != Checked::Wrong
            });
            current = next.map(|(_, issuer)| issuer);
            steps.extend(next.map(|(at, _)| at));
        }
        Self { steps, sent: sent.len() }
    }

    /// Whether each certificate of the path came just after the one that it signed.
    pub(super) fn is_in_order(&self) -> bool {
        self.steps.iter().enumerate().all(|(expected, at)| expected == *at)
    }

    /// Positions of the issuers that were sent.
    pub(super) fn issuers(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().copied().skip(1)
    }

    /// The one that the server's own is signed by, if it was sent.
    pub(super) fn issuer<'a, 'b>(&self, sent: &'b [Parsed<'a>]) -> Option<&'b Parsed<'a>> {
        self.steps.get(1).and_then(|at| sent.get(*at))
    }

    /// The last that can be reached.
    pub(super) fn top<'a, 'b>(&self, sent: &'b [Parsed<'a>]) -> Option<&'b Parsed<'a>> {
        self.steps.last().and_then(|at| sent.get(*at))
    }

    /// Positions of those that the path does not need.
    pub(super) fn extra(&self) -> impl Iterator<Item = usize> {
        (0..self.sent).filter(|at| !self.steps.contains(at))
    }
}
