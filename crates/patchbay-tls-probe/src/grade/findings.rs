//! What speaks against a server, each with the best grade that is left with it.

use super::score::suites;
use crate::{
    report::{Finding, Grade, ProtocolSupport, Report, Severity, StartTls, StrictTransport, Version},
    suites::{Cipher, Integrity, Suite},
};

/// Half a year, which is what `A+` asks of HSTS.
const LONG_STRICT_TRANSPORT: u64 = 180 * 24 * 60 * 60;
/// Names of suites that a finding tells; all are in the report.
const SUITES_TOLD: usize = 3;

pub(super) fn of(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(versions(report));
    findings.extend(weak_suites(report));
    findings.extend(forward_secrecy(report));
    findings.extend(authenticated_encryption(report));
    findings.extend(finite_field(report));
    findings.extend(post_quantum(report));
    findings.extend(no_certificate(report));
    findings.extend(strict_transport(report));
    findings.extend(incomplete(report));
    findings
}

fn speaks(report: &Report, version: Version) -> bool {
    report.protocols.iter().any(|protocol| protocol.version == version && protocol.is_supported)
}

fn versions(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    if speaks(report, Version::Ssl30) {
        let message = "SSL 3.0 is spoken, which anybody on the way can read (POODLE, RFC 7568); turn it off";
        findings.push(Finding::new(Severity::Critical, "SSL30_SUPPORTED", message).capped(Grade::C));
    }
    for (version, code) in [(Version::Tls10, "TLS10_SUPPORTED"), (Version::Tls11, "TLS11_SUPPORTED")] {
        if speaks(report, version) {
            let message = format!(
                "{version} is spoken, which is out of use (RFC 8996); turn it off unless old devices need it"
            );
            findings.push(Finding::new(Severity::Warning, code, message).capped(Grade::B));
        }
    }
    if !speaks(report, Version::Tls12) && !speaks(report, Version::Tls13) {
        let message =
            "neither TLS 1.2 nor 1.3 is spoken, so that current clients cannot connect; turn them on";
        findings.push(Finding::new(Severity::Critical, "TLS12_MISSING", message).capped(Grade::C));
    } else if !speaks(report, Version::Tls13) {
        let message = "TLS 1.3 is not spoken; turn it on";
        findings.push(Finding::new(Severity::Note, "TLS13_MISSING", message).capped(Grade::A));
    }
    findings
}

/// Suites that nobody should take: code, best grade that is left, what is wrong, and which they are.
type Weakness = (&'static str, Grade, &'static str, fn(&Suite) -> bool);
const WEAKNESSES: [Weakness; 5] = [
    ("NULL_SUITES", Grade::F, "suites without encryption are taken", |suite| suite.cipher() == Cipher::Null),
    (
        "ANONYMOUS_SUITES",
        Grade::F,
        "suites without a certificate are taken, so that anybody can stand between",
        |suite| suite.is_anonymous(),
    ),
    ("EXPORT_SUITES", Grade::F, "suites made weak for export are taken (FREAK, Logjam)", |suite| {
        suite.is_export()
    }),
    ("DES_SUITES", Grade::F, "suites with keys that can be tried out are taken", |suite| {
        !suite.is_export() && matches!(suite.cipher(), Cipher::Des | Cipher::Rc2)
    }),
    ("RC4_SUITES", Grade::C, "suites with RC4 are taken, which leaks what it encrypts (RFC 7465)", |suite| {
        suite.cipher() == Cipher::Rc4
    }),
];

fn weak_suites(report: &Report) -> Vec<Finding> {
    let weak = WEAKNESSES.into_iter().filter_map(|(code, cap, what, is_meant)| {
        about(report, Severity::Critical, code, cap, what, is_meant)
    });
    weak.chain(small_blocks(report)).collect()
}

/// They are worse where clients would have better: TLS 1.0 and older have little else.
fn small_blocks(report: &Report) -> Option<Finding> {
    let is_meant = |suite: &Suite| matches!(suite.cipher(), Cipher::TripleDes | Cipher::Idea);
    let is_modern = |protocol: &&ProtocolSupport| protocol.is_supported && protocol.version >= Version::Tls11;
    let modern = report.protocols.iter().filter(is_modern).flat_map(|protocol| &protocol.suites);
    let is_in_modern =
        modern.filter_map(|suite| Suite::by_number(suite.number)).any(|suite| is_meant(&suite));
    let cap = if is_in_modern { Grade::C } else { Grade::B };
    let what = "suites with blocks of 64 bits are taken (Sweet32)";
    about(report, Severity::Warning, "SMALL_BLOCK_SUITES", cap, what, is_meant)
}

fn about(
    report: &Report,
    severity: Severity,
    code: &'static str,
    cap: Grade,
    what: &str,
    is_meant: impl Fn(&Suite) -> bool,
) -> Option<Finding> {
    let mut names: Vec<&str> = suites(report).filter(is_meant).map(|suite| suite.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let beyond = names.len().saturating_sub(SUITES_TOLD);
    let more = if beyond > 0 { format!(" and {beyond} more") } else { String::new() };
    let told = names.into_iter().take(SUITES_TOLD).collect::<Vec<_>>().join(", ");
    Some(Finding::new(severity, code, format!("{what}: {told}{more}; turn them off")).capped(cap))
}

/// Counts what a current client gets; where none could connect, what there is at all.
fn forward_secrecy(report: &Report) -> Option<Finding> {
    let negotiated = report.negotiated.as_ref().and_then(|negotiated| Suite::by_name(&negotiated.suite));
    let has_it =
        negotiated.map_or_else(|| suites(report).any(Suite::has_forward_secrecy), Suite::has_forward_secrecy);
    if !has_it {
        let message = "current clients get no forward secrecy: whoever gets the server's key later reads what was recorded; turn on ECDHE suites and let them come first";
        return Some(Finding::new(Severity::Warning, "NO_FORWARD_SECRECY", message).capped(Grade::B));
    }
    let is_mixed = suites(report)
        .any(|suite| !suite.has_forward_secrecy() && !suite.is_export() && suite.cipher() != Cipher::Null);
    is_mixed.then(|| {
        let message = "suites without forward secrecy are taken too, for clients that ask for nothing better; turn them off unless old devices need them";
        Finding::new(Severity::Note, "STATIC_KEY_EXCHANGE", message)
    })
}

fn authenticated_encryption(report: &Report) -> Option<Finding> {
    if suites(report).any(|suite| suite.integrity() == Integrity::Aead) {
        return None;
    }
    let message =
        "no suite with authenticated encryption is taken (GCM, CCM, ChaCha20-Poly1305); turn them on";
    Some(Finding::new(Severity::Warning, "NO_AUTHENTICATED_ENCRYPTION", message).capped(Grade::B))
}

fn finite_field(report: &Report) -> Option<Finding> {
    let bits = report.dh_bits.filter(|bits| *bits < 2048)?;
    let (severity, cap) =
        if bits < 1024 { (Severity::Critical, Grade::F) } else { (Severity::Warning, Grade::B) };
    let message = format!(
        "Diffie-Hellman runs in a group of {bits} bits (Logjam); give the server one of 2048 (RFC 7919), or turn the DHE suites off"
    );
    Some(Finding::new(severity, "WEAK_DH_GROUP", message).capped(cap))
}

/// Hybrids are spoken with TLS 1.3 alone, whose absence is told already.
fn post_quantum(report: &Report) -> Option<Finding> {
    let has_it = report.groups.iter().any(|group| group.contains("MLKEM"));
    if has_it || !speaks(report, Version::Tls13) {
        return None;
    }
    let message = "no post-quantum key exchange is taken, so that what is recorded today may be read in years to come; turn on X25519MLKEM768 where the server has it";
    Some(Finding::new(Severity::Note, "NO_POST_QUANTUM_GROUP", message))
}

fn no_certificate(report: &Report) -> Option<Finding> {
    if report.chain.is_some() {
        return None;
    }
    let message = "the server showed no certificate that could be read, so that nothing can be said of whom one speaks with";
    Some(Finding::new(Severity::Critical, "NO_CERTIFICATE", message).capped(Grade::T))
}

fn strict_transport(report: &Report) -> Option<Finding> {
    let (code, message) = match report.strict_transport {
        StrictTransport::Present { max_age_seconds } if max_age_seconds >= LONG_STRICT_TRANSPORT => return None,
        StrictTransport::Present { max_age_seconds } => {
            let days = max_age_seconds / (24 * 60 * 60);
            ("STRICT_TRANSPORT_SHORT", format!("HSTS is sent for {days} days only; A+ asks for 180 (RFC 6797)"))
        }
        StrictTransport::Absent => ("STRICT_TRANSPORT_MISSING", "HSTS is not sent, which A+ asks for (RFC 6797); send Strict-Transport-Security with a max-age of half a year or more".to_owned()),
        StrictTransport::NotAsked if report.start_tls == StartTls::None => ("STRICT_TRANSPORT_NOT_ASKED", "A+ asks for HSTS (RFC 6797), and no HTTP answer could be had over a trusted connection".to_owned()),
        StrictTransport::NotAsked => ("STRICT_TRANSPORT_NOT_ASKED", "A+ is for HTTPS with HSTS (RFC 6797) only; other protocols have nothing that would say as much".to_owned()),
    };
    Some(Finding::new(Severity::Note, code, message).capped(Grade::A))
}

fn incomplete(report: &Report) -> Option<Finding> {
    if report.incomplete.is_empty() {
        return None;
    }
    let message = format!(
        "not all could be found out in time ({}), so that the grade may be better than the server; ask again with more time",
        report.incomplete.join(", ")
    );
    Some(Finding::new(Severity::Note, "INCOMPLETE", message).capped(Grade::A))
}
