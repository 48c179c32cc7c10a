//! A report for people: what was found, one thing a line, and the chain as a tree.

use patchbay_tls_probe::report::{
    Certificate, Chain, Finding, Negotiated, ProtocolSupport, Report, Severity, StartTls, StrictTransport,
    Suite,
};
use std::fmt::{self, Write};

/// Alternative names of a certificate that are shown.
const NAMES: usize = 8;

/// The whole report, without a line break at its end.
pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    write_report(&mut text, report).expect("a string takes all that is written");
    text.trim_end().to_owned()
}

fn write_report(text: &mut String, report: &Report) -> fmt::Result {
    head(text, report)?;
    if report.failure.is_some() {
        return writeln!(text, "\nNot probed: {}", report.failure_message);
    }
    protocols(text, &report.protocols)?;
    key_exchange(text, report)?;
    if let Some(negotiated) = &report.negotiated {
        current_client(text, negotiated)?;
    }
    if let Some(found) = &report.chain {
        chain(text, found)?;
    }
    let of_chain = report.chain.iter().flat_map(|chain| &chain.problems);
    let beside = of_chain.filter(|problem| !report.findings.contains(problem));
    findings(text, "About the certificates", beside)?;
    findings(text, "Reasons for the grade", report.findings.iter())?;
    if !report.incomplete.is_empty() {
        writeln!(text, "\nNot found out in time: {}", report.incomplete.join(", "))?;
    }
    let grade = report.grade.map(|grade| grade.to_string()).unwrap_or_default();
    writeln!(text, "\nGrade {grade}")
}

fn head(text: &mut String, report: &Report) -> fmt::Result {
    let host = if report.host.contains(':') { format!("[{}]", report.host) } else { report.host.clone() };
    write!(text, "{host}:{}", report.port)?;
    if let Some(address) = report.address.filter(|address| address.ip().to_string() != report.host) {
        write!(text, " at {}", address.ip())?;
    }
    if report.server_name != report.host {
        write!(text, ", asked for {}", report.server_name)?;
    }
    match report.start_tls {
        StartTls::None => {}
        StartTls::Ftp => write!(text, ", by AUTH TLS of FTP")?,
        StartTls::Smtp => write!(text, ", by STARTTLS of SMTP")?,
        StartTls::Imap => write!(text, ", by STARTTLS of IMAP")?,
    }
    writeln!(text, " ({:.2} s, {} connections)", report.took.as_secs_f64(), report.connections)
}

fn protocols(text: &mut String, protocols: &[ProtocolSupport]) -> fmt::Result {
    writeln!(text)?;
    for ProtocolSupport { version, is_supported, suites, has_server_order } in protocols {
        let order = if *has_server_order { "in the server's order" } else { "the client chooses" };
        match suites.len() {
            _ if !is_supported => writeln!(text, "{version}  no")?,
            0 => writeln!(text, "{version}  yes")?,
            1 => writeln!(text, "{version}  yes, one suite")?,
            count => writeln!(text, "{version}  yes, {count} suites, {order}")?,
        }
        for Suite { name, severity, .. } in suites {
            writeln!(text, "  {:<9} {name}", word(*severity, ""))?;
        }
    }
    Ok(())
}

fn key_exchange(text: &mut String, report: &Report) -> fmt::Result {
    writeln!(text)?;
    if !report.groups.is_empty() {
        writeln!(text, "Groups          {}", report.groups.join(", "))?;
    }
    if let Some(bits) = report.dh_bits {
        writeln!(text, "Diffie-Hellman  {bits} bits")?;
    }
    if !report.alpn.is_empty() {
        writeln!(text, "Protocols       {}", report.alpn.join(", "))?;
    }
    match report.strict_transport {
        StrictTransport::NotAsked => Ok(()),
        StrictTransport::Absent => writeln!(text, "HSTS            no"),
        StrictTransport::Present { max_age_seconds } => {
            writeln!(text, "HSTS            {} days", max_age_seconds / 86_400)
        }
    }
}

fn current_client(text: &mut String, negotiated: &Negotiated) -> fmt::Result {
    let Negotiated { version, suite, group, alpn } = negotiated;
    write!(text, "Current client  {version}, {suite}")?;
    for word in [group, alpn].into_iter().filter(|word| !word.is_empty()) {
        write!(text, ", {word}")?;
    }
    writeln!(text)
}

/// Every certificate stands below the one that it signed, and a root that was not sent at the end.
fn chain(text: &mut String, chain: &Chain) -> fmt::Result {
    let trust = if chain.is_trusted { "trusted" } else { "not trusted" };
    let order = if chain.is_in_order { "" } else { ", not in order" };
    writeln!(text, "\nCertificates ({trust}{order})")?;
    for (depth, certificate) in chain.certificates.iter().enumerate() {
        branch(text, depth, &certificate.subject)?;
        details(text, depth, certificate)?;
    }
    let is_sent = chain.certificates.iter().any(|certificate| certificate.subject == chain.root);
    if !chain.root.is_empty() && !is_sent {
        branch(text, chain.certificates.len(), &format!("{} (a root that clients have)", chain.root))?;
    }
    staple(text, chain)
}

fn branch(text: &mut String, depth: usize, name: &str) -> fmt::Result {
    match depth {
        0 => writeln!(text, "  {name}"),
        _ => writeln!(text, "  {:width$}└─ {name}", "", width = (depth - 1) * 3),
    }
}

fn details(text: &mut String, depth: usize, certificate: &Certificate) -> fmt::Result {
    let indent = 2 + depth * 3 + 2;
    let Certificate { key_type, key_bits, signature_algorithm, not_before, not_after, days_left, .. } =
        certificate;
    let left = if *days_left < 0 {
        format!("ended {} days ago", -days_left)
    } else {
        format!("{days_left} days left")
    };
    let (from, until) = (not_before.strftime("%Y-%m-%d"), not_after.strftime("%Y-%m-%d"));
    writeln!(
        text,
        "{:indent$}{left}, {from} to {until}; {key_type}, {key_bits} bits; signed with {signature_algorithm}",
        ""
    )?;
    let names = &certificate.alternative_names;
    if !names.is_empty() {
        let beyond = names.len().saturating_sub(NAMES);
        let more = if beyond > 0 { format!(" and {beyond} more") } else { String::new() };
        let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
        writeln!(text, "{:indent$}for {}{more}", "", shown.join(", "))?;
    }
    writeln!(text, "{:indent$}SHA-256 {}", "", certificate.sha256)
}

fn staple(text: &mut String, chain: &Chain) -> fmt::Result {
    let Some(status) = chain.ocsp.status else { return Ok(()) };
    write!(text, "  OCSP staple: {status}")?;
    if let Some(until) = chain.ocsp.next_update {
        write!(text, ", until {until}")?;
    }
    let is_believed = if chain.ocsp.is_verified { "" } else { ", signature not checked" };
    writeln!(text, "{is_believed}")
}

fn findings<'a>(text: &mut String, title: &str, findings: impl Iterator<Item = &'a Finding>) -> fmt::Result {
    for (at, finding) in findings.enumerate() {
        if at == 0 {
            writeln!(text, "\n{title}")?;
        }
        let Finding { severity, code, message, caps_at } = finding;
        let cap = caps_at.map(|grade| format!(", at best {grade}")).unwrap_or_default();
        writeln!(text, "  {:<9} {code}{cap}\n            {message}", word(*severity, "good"))?;
    }
    Ok(())
}

/// `good` stands for what is as it should be.
fn word(severity: Severity, good: &'static str) -> &'static str {
    match severity {
        Severity::Good => good,
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
