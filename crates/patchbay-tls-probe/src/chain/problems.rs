//! What is wrong with a chain, each with a stable code, what it does to the grade, and what to do about it.

use jiff::Timestamp;
use webpki::Error;

use super::{
    path::Path,
    roots::{Roots, Trust, is_about_dates},
    server_name::{address, has_only_in_common_name},
};
use crate::{
    certificate::{Parsed, days_left, printable},
    report::{Finding, Grade, Severity},
};

/// Days before the end from which on a certificate should have been renewed.
pub const WARNING_DAYS: i32 = 30;

/// All that is known when problems are looked for.
pub(super) struct Judged<'a> {
    pub(super) sent: &'a [Parsed<'a>],
    pub(super) path: &'a Path,
    pub(super) trust: &'a Trust,
    pub(super) roots: &'a Roots,
    pub(super) server_name: &'a str,
    pub(super) is_for_name: bool,
    pub(super) now: Timestamp,
}

impl Judged<'_> {
    pub(super) fn problems(&self) -> Vec<Finding> {
        let Some(own) = self.sent.first() else { return Vec::new() };
        let mut problems = Vec::new();
        problems.extend(self.dates(own));
        problems.extend(self.name(own));
        problems.extend(weak_key(own));
        problems.extend(self.issuer());
        for at in self.path.issuers() {
            problems.extend(self.sent.get(at).into_iter().flat_map(|issuer| self.of_issuer(issuer)));
        }
        problems.extend(self.weak_signature(own));
        problems.extend(self.order());
        problems.extend(self.root_sent());
        problems.extend(self.extra());
        problems.extend(self.refused(&problems));
        problems
    }

    fn dates(&self, own: &Parsed<'_>) -> Option<Finding> {
        let (begin, end) = (own.not_before(), own.not_after());
        if self.now > end {
            let message =
                format!("the certificate ended on {end}, {} days ago; renew it", -days_left(end, self.now));
            return Some(Finding::new(Severity::Critical, "CERTIFICATE_EXPIRED", message).capped(Grade::T));
        }
        if self.now < begin {
            let message = format!(
                "the certificate is valid from {begin} only; check the clock of whoever made it, or wait"
            );
            return Some(
                Finding::new(Severity::Critical, "CERTIFICATE_NOT_YET_VALID", message).capped(Grade::T),
            );
        }
        let days = days_left(end, self.now);
        if days >= WARNING_DAYS {
            return None;
        }
        // One that is made for less than this is renewed by a machine.
        let is_short_lived = days_left(end, begin) < WARNING_DAYS;
        let severity = if is_short_lived { Severity::Note } else { Severity::Warning };
        Some(Finding::new(
            severity,
            "CERTIFICATE_ENDS_SOON",
            format!("the certificate ends in {days} days, on {end}; renew it"),
        ))
    }

    fn name(&self, own: &Parsed<'_>) -> Option<Finding> {
        if self.is_for_name {
            return None;
        }
        let wanted = printable(self.server_name);
        let message = if has_only_in_common_name(own, self.server_name) {
            format!(
                "the certificate has {wanted} as its common name only, which clients do not look at; make one with it as an alternative name"
            )
        } else {
            let names: Vec<String> = own.describe(self.now).alternative_names;
            let told = if names.is_empty() {
                "no name at all".to_owned()
            } else {
                names.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
            };
            let kind = if address(self.server_name).is_some() { "address" } else { "name" };
            format!(
                "the certificate is not for the {kind} {wanted}, but for {told}; use one of these, or make a certificate with this {kind}"
            )
        };
        Some(Finding::new(Severity::Critical, "HOST_MISMATCH", message).capped(Grade::M))
    }

    /// Why the last certificate of the path leads to no root, where that is so.
    fn issuer(&self) -> Option<Finding> {
        let (own, top) = (self.sent.first()?, self.path.top(self.sent)?);
        if !matches!(self.trust, Trust::Refused(_)) {
            return None;
        }
        if own.is_self_signed {
            let message = "the certificate is signed by itself, so that no client can know that it is the right one; get one from an authority, or give it to the clients as a root";
            return Some(Finding::new(Severity::Critical, "SELF_SIGNED", message).capped(Grade::T));
        }
        if self.roots.has_name(top.x509.issuer.as_raw()) {
            return None; // it leads to a root that is known: something else is wrong
        }
        if top.is_self_signed {
            let message = format!(
                "the chain ends in {}, which is not among the roots that are trusted; get a certificate from a public authority, or give this root to the clients",
                top.subject()
            );
            return Some(Finding::new(Severity::Critical, "UNKNOWN_ISSUER", message).capped(Grade::T));
        }
        let message = format!(
            "the server does not send {}, which signed {}; add that certificate to the file of the chain (and, where it is an authority of your own, its root to the roots that are trusted)",
            top.issuer(),
            if self.path.issuers().next().is_none() { "its certificate".to_owned() } else { top.subject() }
        );
        Some(Finding::new(Severity::Critical, "MISSING_INTERMEDIATE", message).capped(Grade::T))
    }

    /// Problems of one that signed another. They count only where no other path is found.
    fn of_issuer(&self, issuer: &Parsed<'_>) -> Vec<Finding> {
        let mut problems = Vec::new();
        let subject = issuer.subject();
        if self.now > issuer.not_after() {
            problems.push(self.hindrance(
                "ISSUER_EXPIRED",
                format!(
                    "{subject}, which is sent with the certificate, ended on {}; send its successor",
                    issuer.not_after()
                ),
            ));
        }
        if self.now < issuer.not_before() {
            problems.push(self.hindrance(
                "ISSUER_NOT_YET_VALID",
                format!(
                    "{subject}, which is sent with the certificate, is valid from {} only",
                    issuer.not_before()
                ),
            ));
        }
        if issuer.key.is_weak() {
            problems.push(self.hindrance("WEAK_KEY", format!("{subject} has a key of {} bits ({}); get a certificate from an authority with a stronger one", issuer.key.bits, issuer.key.name)));
        }
        problems.extend(self.weak_signature(issuer));
        problems
    }

    /// The signature of a root is believed by nobody, so that its algorithm does not matter.
    fn weak_signature(&self, certificate: &Parsed<'_>) -> Option<Finding> {
        if certificate.is_self_signed || !certificate.has_weak_signature() {
            return None;
        }
        let message = format!(
            "{} is signed with {}, which can be forged; get a certificate with SHA-256",
            certificate.subject(),
            certificate.signature_algorithm()
        );
        Some(self.hindrance("WEAK_SIGNATURE", message))
    }

    fn hindrance(&self, code: &'static str, message: String) -> Finding {
        if self.trust.is_trusted() {
            return Finding::new(Severity::Note, code, message);
        }
        Finding::new(Severity::Critical, code, message).capped(Grade::T)
    }

    fn order(&self) -> Option<Finding> {
        if self.path.is_in_order() {
            return None;
        }
        let message = "the certificates are not sent in order, each followed by its issuer, which some clients cannot sort out (RFC 5246 section 7.4.2); put the file in order";
        Some(Finding::new(Severity::Warning, "CHAIN_ORDER", message))
    }

    fn root_sent(&self) -> Option<Finding> {
        let top =
            self.path.issuers().last().and_then(|at| self.sent.get(at)).filter(|top| top.is_self_signed)?;
        Some(Finding::new(
            Severity::Note,
            "ROOT_SENT",
            format!(
                "the root {} is sent too, which clients have or do not believe; leave it out",
                top.subject()
            ),
        ))
    }

    fn extra(&self) -> Vec<Finding> {
        let extra = self.path.extra().filter_map(|at| self.sent.get(at).map(|certificate| (at, certificate)));
        extra
            .map(|(at, certificate)| {
                Finding::new(
                    Severity::Note,
                    "EXTRA_CERTIFICATE",
                    format!(
                        "certificate {} ({}) is not part of the chain; leave it out",
                        at + 1,
                        certificate.subject()
                    ),
                )
            })
            .collect()
    }

    /// What no other problem explains.
    fn refused(&self, problems: &[Finding]) -> Option<Finding> {
        let Trust::Refused(error) = self.trust else { return None };
        if is_about_dates(error) || problems.iter().any(|problem| problem.caps_at == Some(Grade::T)) {
            return None;
        }
        let why = match error {
            Error::RequiredEkuNotFoundContext(_) => {
                "it is not made for servers; make one with the extended key usage serverAuth".to_owned()
            }
            Error::CaUsedAsEndEntity => {
                "it is the certificate of an authority, not of a server; make one for the server".to_owned()
            }
            Error::EndEntityUsedAsCa => {
                "one that may not sign others signed it; get a certificate from an authority".to_owned()
            }
            Error::NameConstraintViolation => {
                "its authority may not sign for such names; get it from another".to_owned()
            }
            Error::UnsupportedCertVersion => "it is not a version 3 certificate; make it anew".to_owned(),
            other => format!("clients refuse it ({other}); make it anew"),
        };
        Some(
            Finding::new(
                Severity::Critical,
                "CHAIN_REFUSED",
                format!("the certificate is not trusted: {why}"),
            )
            .capped(Grade::T),
        )
    }
}

fn weak_key(own: &Parsed<'_>) -> Option<Finding> {
    if !own.key.is_weak() {
        return None;
    }
    let message = format!(
        "the certificate's key has {} bits ({}), which can be broken and which current clients refuse; make one with RSA 2048 or P-256",
        own.key.bits, own.key.name
    );
    Some(Finding::new(Severity::Critical, "WEAK_KEY", message).capped(Grade::F))
}
