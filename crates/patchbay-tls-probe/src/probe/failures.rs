//! Failures told apart, each in words that say what can be done.

use super::ProbeError;
use crate::{
    connection::Stop,
    enumerate::First,
    report::{Failure, Report, StartTls, Version},
    wire::WireError,
};
use patchbay_egress::EgressError;

/// Why there is nothing to tell.
#[derive(Debug)]
pub(super) enum Failed {
    /// The report tells it.
    Told { failure: Failure, message: String },
    /// There is no report.
    NotAllowed(ProbeError),
}

fn told(failure: Failure, message: impl Into<String>) -> Failed {
    Failed::Told { failure, message: message.into() }
}

/// The server was not reached, or did not change to TLS.
pub(super) fn failed_to_reach(stop: Stop, report: &mut Report) -> Failed {
    let name = start_tls_name(report.start_tls);
    match stop {
        Stop::Egress(error) => of_egress(&error, report),
        Stop::Deadline | Stop::Unanswered(_) if report.start_tls != StartTls::None => told(
            Failure::TimedOut,
            format!(
                "{} took the connection and did not answer by {name} in time: is it {name} that stands on this port?",
                at(report)
            ),
        ),
        Stop::Deadline | Stop::Unanswered(_) | Stop::Connections => {
            told(Failure::TimedOut, format!("{} took the connection and did not answer in time", at(report)))
        }
        Stop::Closed => told(
            Failure::ConnectionClosed,
            format!(
                "{} closed the connection before TLS began: it may want to be asked from elsewhere, or is out of order",
                at(report)
            ),
        ),
        Stop::StartTls(words) => told(Failure::StartTlsRefused, format!("{}: {words}", at(report))),
    }
}

fn of_egress(error: &EgressError, report: &mut Report) -> Failed {
    report.address = error.address().or(report.address);
    let message = error.to_string();
    match error {
        EgressError::Forbidden { .. } => Failed::NotAllowed(ProbeError::Forbidden(message)),
        EgressError::NameNotFound { .. } => told(Failure::NameNotFound, message),
        EgressError::Refused { .. } => told(Failure::ConnectionRefused, message),
        EgressError::Unreachable { .. } => told(Failure::Unreachable, message),
        EgressError::TimedOut { .. } => {
            told(Failure::TimedOut, format!("{message}: a firewall may drop what is sent there"))
        }
    }
}

/// Ends a probe whose first answer shows that there is no TLS.
pub(super) fn no_tls(first: &First, report: &Report) -> Result<(), Failed> {
    match first {
        First::Unreadable(WireError::NotTls(words)) => {
            Err(told(Failure::NotTls, format!("{} does not speak TLS: {words}", at(report))))
        }
        First::Unknown(Stop::Unanswered(_) | Stop::Deadline) => Err(told(
            Failure::TimedOut,
            format!(
                "{} took the connection and did not answer a hello of TLS in time: another protocol may wait there for its client to speak",
                at(report)
            ),
        )),
        _ => Ok(()),
    }
}

/// No version is spoken: by what was said to each.
pub(super) fn nothing_spoken(answers: &[(Version, First)]) -> Failed {
    let refused: Vec<String> = answers
        .iter()
        .filter_map(|(version, first)| match first {
            First::Refused(alert) => Some(format!("{version}: {alert}")),
            First::Other => Some(format!("{version}: another version")),
            _ => None,
        })
        .collect();
    if !refused.is_empty() {
        return told(
            Failure::HandshakeRefused,
            format!(
                "the server refused every version and suite ({}); it may want another server name",
                refused.join(", ")
            ),
        );
    }
    let unreadable = answers.iter().find_map(|(_, first)| match first {
        First::Unreadable(error) => Some(error.to_string()),
        _ => None,
    });
    if let Some(words) = unreadable {
        return told(Failure::NotTls, words);
    }
    let is_late = answers
        .iter()
        .any(|(_, first)| matches!(first, First::Unknown(Stop::Unanswered(_) | Stop::Deadline)));
    if is_late {
        return told(Failure::TimedOut, "the server stopped answering");
    }
    told(
        Failure::ConnectionClosed,
        "the server closed each connection after the hello of TLS, without a word",
    )
}

fn at(report: &Report) -> String {
    let host = format!("{}:{}", report.host, report.port);
    report.address.map_or(host, |address| address.to_string())
}

const fn start_tls_name(start_tls: StartTls) -> &'static str {
    match start_tls {
        StartTls::None => "TLS",
        StartTls::Ftp => "FTP",
        StartTls::Smtp => "SMTP",
        StartTls::Imap => "IMAP",
    }
}
