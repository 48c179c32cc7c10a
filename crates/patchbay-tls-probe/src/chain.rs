//! Judges the certificates that a server shows: whether they lead to a root that is trusted, for this name, today, and what is wrong with them in words that say what to do.
//!
//! The path is validated by `webpki`, as a client would; the rest of this module explains what `webpki` only refuses.

mod path;
mod problems;
mod roots;
mod server_name;

use jiff::Timestamp;

pub(crate) use self::roots::Trust;
use self::{path::Path, problems::Judged, roots::trust, server_name::matches};
pub use self::{
    problems::WARNING_DAYS,
    roots::{MAX_ROOTS, Roots, RootsError},
};
use crate::{
    certificate::{MAX_CERTIFICATE_LENGTH, MAX_CERTIFICATES, Parsed},
    ocsp,
    report::{Chain, Finding, Grade, OcspStaple, OcspStatus, Severity},
};

/// Judges a chain, the server's own certificate first. Of more than [`MAX_CERTIFICATES`] only the first are looked at, and those that cannot be read are told as problems.
///
/// `server_name` is the name or the address that was asked for; when it is empty, no name is checked. `now` is the time to judge for.
#[must_use]
pub fn judge(
    der: &[Vec<u8>],
    staple: Option<&[u8]>,
    server_name: &str,
    now: Timestamp,
    roots: &Roots,
) -> Chain {
    let mut problems = Vec::new();
    let sent = read(der, &mut problems);
    let Some(own) = sent.first() else {
        return nothing(problems);
    };
    let path = Path::through(&sent);
    let trust = trust(own, &sent, now, roots);
    let is_for_name = server_name.is_empty() || matches(own, server_name);
    let judged = Judged { sent: &sent, path: &path, trust: &trust, roots, server_name, is_for_name, now };
    problems.extend(judged.problems());
    let (ocsp, of_staple) = ocsp::judge(staple, own, path.issuer(&sent), &trust, now);
    problems.extend(of_staple);
    problems.sort_by_key(|problem| (std::cmp::Reverse(problem.caps_at), std::cmp::Reverse(problem.severity)));
    Chain {
        certificates: sent.iter().map(|certificate| certificate.describe(now)).collect(),
        is_in_order: path.is_in_order(),
        is_trusted: trust.is_trusted() && is_for_name && ocsp.status != Some(OcspStatus::Revoked),
        root: trust.root().to_owned(),
        problems,
        ocsp,
    }
}

fn read<'a>(der: &'a [Vec<u8>], problems: &mut Vec<Finding>) -> Vec<Parsed<'a>> {
    if der.len() > MAX_CERTIFICATES {
        let message = format!(
            "there are more than {MAX_CERTIFICATES} certificates and only the first are looked at; send the chain of the certificate alone"
        );
        problems.push(Finding::new(Severity::Warning, "TOO_MANY_CERTIFICATES", message));
    }
    let mut sent = Vec::new();
    for (at, der) in der.iter().take(MAX_CERTIFICATES).enumerate() {
        match Parsed::read(der) {
            Ok(certificate) => sent.push(certificate),
            Err(error) => {
                let message = format!(
                    "certificate {} cannot be read ({error}); make it anew, or convert it again (at most {MAX_CERTIFICATE_LENGTH} bytes of DER)",
                    at + 1
                );
                let finding = Finding::new(Severity::Critical, "CERTIFICATE_UNREADABLE", message);
                problems.push(if at == 0 { finding.capped(Grade::T) } else { finding });
            }
        }
        if sent.is_empty() {
            break; // without the server's own there is nothing to judge
        }
    }
    sent
}

fn nothing(mut problems: Vec<Finding>) -> Chain {
    if problems.is_empty() {
        let message = "the server shows no certificate, so that nobody can know whom they speak with; turn off the suites without one";
        problems.push(Finding::new(Severity::Critical, "NO_CERTIFICATE", message).capped(Grade::T));
    }
    Chain {
        certificates: Vec::new(),
        is_in_order: false,
        is_trusted: false,
        root: String::new(),
        problems,
        ocsp: OcspStaple::default(),
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
