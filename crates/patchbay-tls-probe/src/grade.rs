//! The grade of a server, after the rating guide of SSL Labs: a score of protocols, key exchange and ciphers gives a letter, and what is dangerous caps it.
//!
//! The weights and bands are in [`score`]; which finding caps at what is in [`findings`], and in `docs/decisions/0012-tls-probe.md` with the reasons where they differ from the guide.

mod findings;
mod score;

use std::cmp::Reverse;

use self::score::Score;
use crate::report::{Finding, Grade, Report, Severity};

/// Grades what was found, with the reasons why it is not better, worst first. There is no grade where no version is spoken.
#[must_use]
pub fn grade(report: &Report) -> (Option<Grade>, Vec<Finding>) {
    if !report.protocols.iter().any(|protocol| protocol.is_supported) {
        return (None, Vec::new());
    }
    let mut findings = findings::of(report);
    findings.extend(
        report
            .chain
            .iter()
            .flat_map(|chain| &chain.problems)
            .filter(|problem| problem.caps_at.is_some())
            .cloned(),
    );
    let score = Score::of(report);
    findings.extend(score.finding());
    let grade = capped(score.grade(), report, &findings, |_| true);
    if matches!(grade, Grade::M | Grade::T) {
        let otherwise = capped(score.grade(), report, &findings, |cap| !matches!(cap, Grade::M | Grade::T));
        let message = format!("were the certificate trusted, the grade would be {otherwise}");
        findings.push(Finding::new(Severity::Note, "GRADE_WITHOUT_TRUST", message));
    }
    findings.sort_by_key(|finding| (Reverse(finding.caps_at), Reverse(finding.severity)));
    (Some(grade), findings)
}

fn capped(score: Grade, report: &Report, findings: &[Finding], counts: impl Fn(Grade) -> bool) -> Grade {
    let cap = findings.iter().filter_map(|finding| finding.caps_at).filter(|cap| counts(*cap)).max();
    let grade = cap.map_or(score, |cap| cap.max(score));
    let of_chain = report.chain.iter().flat_map(|chain| &chain.problems);
    let has_warning = findings.iter().chain(of_chain).any(|finding| finding.severity >= Severity::Warning);
    if has_warning { grade.max(Grade::A) } else { grade }
}

#[cfg(test)]
#[path = "grade_tests.rs"]
mod tests;
