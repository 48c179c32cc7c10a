//! The whole of a probe: reaches a server, asks it all there is to ask within the time, and has the answers judged.

mod certificates;
mod failures;

pub use self::certificates::certificates;

use self::failures::{Failed, failed_to_reach, no_tls, nothing_spoken};
use crate::{
    ask::Asker,
    chain::{self, Roots},
    connection::{Bounds, Connector},
    enumerate::{First, Taken, application_protocols, first_answer, groups, suites},
    grade,
    groups::Group,
    handshake::{Handshake, Proof, Shown, strict_transport},
    report::{
        Certificate, Finding, Grade, Negotiated, ProtocolSupport, Report, Severity, StartTls,
        StrictTransport, Version,
    },
    suites::Suite,
    target::Target,
    wire::{Flight, KeyExchangeFacts},
};
use futures_util::future::join_all;
use jiff::Timestamp;
use patchbay_egress::{Guard, Host};
use rustls::pki_types::ServerName;
use std::{net::IpAddr, time::Duration};
use tokio::time::Instant;

/// How a probe is made.
#[derive(Clone)]
pub struct Options {
    /// How long all of it may take. What is not known by then is named.
    pub deadline: Duration,
    /// How long one answer may take.
    pub patience: Duration,
    /// Connections in all.
    pub connections: u32,
    /// Connections at the same time.
    pub at_once: usize,
    /// Roots that are trusted.
    pub roots: Roots,
    /// The time to judge certificates for.
    pub now: Timestamp,
}

impl Options {
    /// The usual ones: 10 s in all, 4 s for one answer, 300 connections, 4 at the same time.
    pub fn new(roots: Roots, now: Timestamp) -> Self {
        Self {
            deadline: Duration::from_secs(10),
            patience: Duration::from_secs(4),
            connections: 300,
            at_once: 4,
            roots,
            now,
        }
    }
}

/// Why there is no report at all. A server that cannot be reached is a report, with its failure.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The address may not be reached from here.
    #[error("{0}")]
    Forbidden(String),
    /// The system has no randomness for keys.
    #[error("no key could be made: the system has no randomness")]
    NoRandomness,
}

/// Probes a server. It ends within the deadline, and may be dropped at any time: all connections are closed with it.
pub async fn probe(target: &Target, guard: &Guard, options: &Options) -> Result<Report, ProbeError> {
    let mut report = blank(target);
    let started = Instant::now();
    let outcome = match reach(target, guard, options, &mut report).await {
        Ok(asker) => {
            let outcome = ask_all(target, options, &asker, &mut report).await;
            report.connections = asker.connector.made();
            outcome
        }
        Err(failed) => Err(failed),
    };
    if outcome.is_ok() {
        let (grade, findings) = grade::grade(&report);
        report.grade = grade;
        report.findings = findings;
    }
    concluded(report, outcome, started)
}

/// Looks the server up, and gets ready to ask it.
async fn reach<'g>(
    target: &'g Target,
    guard: &'g Guard,
    options: &Options,
    report: &mut Report,
) -> Result<Asker<'g>, Failed> {
    let bounds = Bounds {
        deadline: Instant::now() + options.deadline,
        patience: options.patience,
        at_once: options.at_once,
        connections: options.connections,
    };
    let connector =
        Connector::new(guard, target, bounds).await.map_err(|error| failed_to_reach(error.into(), report))?;
    Asker::new(connector, sni(target)).map_err(|_| Failed::NotAllowed(ProbeError::NoRandomness))
}

/// A server that cannot be reached, or says nothing of use, is a report too.
fn concluded(
    mut report: Report,
    outcome: Result<(), Failed>,
    started: Instant,
) -> Result<Report, ProbeError> {
    match outcome {
        Ok(()) => {}
        Err(Failed::Told { failure, message }) => {
            report.failure = Some(failure);
            report.failure_message = message;
        }
        Err(Failed::NotAllowed(error)) => return Err(error),
    }
    report.took = started.elapsed();
    Ok(report)
}

/// One question alone: what is no TLS is found out before more connections are made, and how fast the server is.
async fn first_question(asker: &Asker<'_>, report: &mut Report) -> Result<First, Failed> {
    let started = Instant::now();
    let first = asker.connector.first().await;
    report.address = asker.connector.address();
    let connection = first.map_err(|stop| failed_to_reach(stop, report))?;
    let answer = first_answer(asker, Version::Tls12, Some(connection)).await;
    no_tls(&answer, report)?;
    asker.connector.learn(started.elapsed());
    Ok(answer)
}

async fn ask_all(
    target: &Target,
    options: &Options,
    asker: &Asker<'_>,
    report: &mut Report,
) -> Result<(), Failed> {
    let tls12 = first_question(asker, report).await?;
    let server_name = rustls_name(&target.server_name);
    let application = usual_protocols(target.start_tls);
    let others = Version::ALL.into_iter().filter(|version| *version != Version::Tls12);
    let (others, handshake) = tokio::join!(
        join_all(others.map(async |version| (version, first_answer(asker, version, None).await))),
        Handshake::current(&asker.connector, &server_name, application),
    );
    let mut answers = others;
    answers.push((Version::Tls12, tls12));
    answers.sort_by_key(|(version, _)| *version);
    let (handshake, shown) = handshake.unwrap_or_else(|stop| {
        report.incomplete.push(format!("what a current client gets: {stop}"));
        (None, Shown::default())
    });
    let mut spoken: Vec<Version> =
        answers.iter().filter(|(_, first)| first.flight().is_some()).map(|(version, _)| *version).collect();
    spoken.extend(
        handshake.as_ref().map(|handshake| handshake.version).filter(|version| !spoken.contains(version)),
    );
    if spoken.is_empty() {
        return Err(nothing_spoken(&answers));
    }
    tell_unknown(&answers, report);
    report.negotiated = negotiated(handshake.as_ref(), &answers);
    tell_chain(target, options, shown, &answers, report);
    ask_details(target, asker, &spoken, &server_name, handshake.as_ref(), report).await;
    Ok(())
}

/// All that can be asked beside each other once the versions are known.
async fn ask_details(
    target: &Target,
    asker: &Asker<'_>,
    spoken: &[Version],
    server_name: &ServerName<'static>,
    handshake: Option<&Handshake>,
    report: &mut Report,
) {
    let (taken, (groups, no_groups), (alpn, no_alpn)) = tokio::join!(
        join_all(spoken.iter().map(|version| suites(asker, *version))),
        groups(asker, spoken),
        application_protocols(asker, spoken, usual_protocols(target.start_tls), server_name),
    );
    report.groups = groups;
    report.alpn = alpn;
    let missing = [("groups", no_groups), ("application protocols", no_alpn)];
    report
        .incomplete
        .extend(missing.into_iter().filter_map(|(what, stop)| Some(format!("{what}: {}", stop?))));
    tell_suites(taken, report);
    if !is_http(target, handshake) {
        return;
    }
    // Last, and alone: some servers serve one connection after the other, and this one waits for what is behind them.
    match strict_transport(&asker.connector, server_name, &authority(target)).await {
        Ok(strict) => report.strict_transport = strict,
        Err(stop) => report.incomplete.push(format!("strict transport security: {stop}")),
    }
}

fn tell_suites(taken: Vec<Taken>, report: &mut Report) {
    for Taken { support, prime_bits, stop } in taken {
        report.dh_bits = report.dh_bits.into_iter().chain(prime_bits).min();
        if let Some(stop) = stop {
            report.incomplete.push(format!(
                "suites of {} after {}: {stop}",
                support.version,
                support.suites.len()
            ));
        }
        let place = report.protocols.iter_mut().find(|protocol| protocol.version == support.version);
        if let Some(place) = place {
            *place = support;
        }
    }
}

fn tell_unknown(answers: &[(Version, First)], report: &mut Report) {
    for (version, first) in answers {
        if let First::Unknown(stop) = first {
            report.incomplete.push(format!("whether {version} is spoken: {stop}"));
        }
    }
}

/// The chain that a current client is shown, or the one that an older version shows in the clear.
fn tell_chain(
    target: &Target,
    options: &Options,
    shown: Shown,
    answers: &[(Version, First)],
    report: &mut Report,
) {
    let in_the_clear = || {
        let flights = answers.iter().rev().filter_map(|(_, first)| first.flight());
        let flight = flights.into_iter().find(|flight| !flight.certificates.is_empty())?;
        Some(Shown {
            certificates: flight.certificates.clone(),
            staple: flight.staple.clone(),
            proof: Proof::Unchecked,
        })
    };
    let shown = Some(shown).filter(|shown| !shown.certificates.is_empty()).or_else(in_the_clear);
    let Some(shown) = shown else {
        report.incomplete.push("certificates: the server showed none".to_owned());
        return;
    };
    let mut judged = chain::judge(
        &shown.certificates,
        shown.staple.as_deref(),
        &target.server_name.to_string(),
        options.now,
        &options.roots,
    );
    if shown.proof == Proof::Wrong && judged.certificates.first().is_some_and(is_checked) {
        judged.is_trusted = false;
        let message = "the server shows this certificate and does not have its key: somebody has copied it, or the server was given the wrong key";
        judged
            .problems
            .insert(0, Finding::new(Severity::Critical, "KEY_NOT_PROVEN", message).capped(Grade::T));
    }
    report.chain = Some(judged);
}

/// Whether signatures of its key are checked at all: short keys of RSA are refused before.
fn is_checked(certificate: &Certificate) -> bool {
    !certificate.key_type.starts_with("RSA") || (2048..=8192).contains(&certificate.key_bits)
}

/// What a current client gets; where it gets nothing, what the newest version gives.
fn negotiated(handshake: Option<&Handshake>, answers: &[(Version, First)]) -> Option<Negotiated> {
    if let Some(handshake) = handshake {
        return Some(Negotiated {
            version: handshake.version,
            suite: suite_name(handshake.suite),
            group: handshake.group.map(group_name).unwrap_or_default(),
            alpn: handshake.alpn.clone(),
        });
    }
    let (version, flight) =
        answers.iter().rev().find_map(|(version, first)| Some((*version, first.flight()?)))?;
    let hello = flight.hello.as_ref()?;
    let group = group_of(flight).or(hello.group);
    Some(Negotiated {
        version,
        suite: suite_name(hello.suite),
        group: group.map(group_name).unwrap_or_default(),
        alpn: String::new(),
    })
}

fn group_of(flight: &Flight) -> Option<u16> {
    match flight.key_exchange {
        Some(KeyExchangeFacts::Group(group)) => Some(group),
        Some(KeyExchangeFacts::PrimeBits(_)) | None => None,
    }
}

fn suite_name(number: u16) -> String {
    Suite::by_number(number).map_or_else(|| format!("0x{number:04x}"), |suite| suite.name.to_owned())
}

fn group_name(number: u16) -> String {
    Group::by_number(number).map_or_else(|| format!("0x{number:04x}"), |group| group.name.to_owned())
}

/// Application protocols that are offered, by what runs over TLS. SMTP has no name of its own in IANA's list.
const fn usual_protocols(start_tls: StartTls) -> &'static [&'static str] {
    match start_tls {
        StartTls::None => &["h2", "http/1.1"],
        StartTls::Ftp => &["ftp"],
        StartTls::Imap => &["imap"],
        StartTls::Smtp => &[],
    }
}

/// Whether a request of HTTP would be understood: it is not sent to anything else.
fn is_http(target: &Target, handshake: Option<&Handshake>) -> bool {
    let is_agreed = handshake.is_some_and(|handshake| matches!(handshake.alpn.as_str(), "h2" | "http/1.1"));
    target.start_tls == StartTls::None && (is_agreed || matches!(target.port, 443 | 8443))
}

/// What a request of HTTP names as its host.
fn authority(target: &Target) -> String {
    let host = match &target.server_name {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        other => other.to_string(),
    };
    if target.port == 443 { host } else { format!("{host}:{}", target.port) }
}

/// The name in a hello: addresses have no place there (RFC 6066, section 3).
fn sni(target: &Target) -> Option<String> {
    match &target.server_name {
        Host::Name(name) => Some(name.clone()),
        Host::Address(_) => None,
    }
}

/// The same for rustls, which takes no names with underscores: it is then told the address of nobody, and names none.
fn rustls_name(host: &Host) -> ServerName<'static> {
    let nobody = || ServerName::from(IpAddr::from([0, 0, 0, 0]));
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).unwrap_or_else(|_| nobody()),
        Host::Address(address) => ServerName::from(*address),
    }
}

fn blank(target: &Target) -> Report {
    let unspoken = |version| ProtocolSupport {
        version,
        is_supported: false,
        suites: Vec::new(),
        has_server_order: false,
    };
    Report {
        host: target.host.to_string(),
        port: target.port,
        address: None,
        start_tls: target.start_tls,
        server_name: target.server_name.to_string(),
        failure: None,
        failure_message: String::new(),
        protocols: Version::ALL.into_iter().map(unspoken).collect(),
        groups: Vec::new(),
        dh_bits: None,
        alpn: Vec::new(),
        negotiated: None,
        chain: None,
        strict_transport: StrictTransport::NotAsked,
        grade: None,
        findings: Vec::new(),
        took: Duration::ZERO,
        connections: 0,
        incomplete: Vec::new(),
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
