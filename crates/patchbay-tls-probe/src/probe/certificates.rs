//! The light probe: a handful of connections, for who wants to know nothing but the certificates.

use super::{
    Options, ProbeError, blank, concluded,
    failures::{Failed, failed_to_reach, nothing_spoken},
    first_question, negotiated, reach, rustls_name, tell_chain, usual_protocols,
};
use crate::{
    ask::Asker,
    enumerate::{First, first_answer},
    handshake::{Handshake, Shown},
    report::{Report, Version},
    target::Target,
};
use patchbay_egress::Guard;
use tokio::time::Instant;

/// Versions in which a server shows its certificates in the clear, newest first.
const IN_THE_CLEAR: [Version; 3] = [Version::Tls11, Version::Tls10, Version::Ssl30];

/// Reaches a server and has it show its certificates: of the report there are the failure, or the chain with what is to be said of it and what a current client gets.
/// Nothing is graded. It ends within the deadline, and may be dropped at any time.
pub async fn certificates(target: &Target, guard: &Guard, options: &Options) -> Result<Report, ProbeError> {
    let mut report = blank(target);
    let started = Instant::now();
    let outcome = match reach(target, guard, options, &mut report).await {
        Ok(asker) => {
            let outcome = show_to(target, options, &asker, &mut report).await;
            report.connections = asker.connector.made();
            outcome
        }
        Err(failed) => Err(failed),
    };
    concluded(report, outcome, started)
}

/// Asks as a current client first; a server that speaks none of its versions shows its certificates to older ones.
async fn show_to(
    target: &Target,
    options: &Options,
    asker: &Asker<'_>,
    report: &mut Report,
) -> Result<(), Failed> {
    let tls12 = first_question(asker, report).await?;
    let name = rustls_name(&target.server_name);
    let current = Handshake::current(&asker.connector, &name, usual_protocols(target.start_tls)).await;
    let (handshake, shown) = match current {
        // What was shown in the clear is worth telling, whatever a current client gets.
        Err(_) if shows(&tls12) => (None, Shown::default()),
        current => current.map_err(|stop| failed_to_reach(stop, report))?,
    };
    let mut answers = vec![(Version::Tls12, tls12)];
    if shown.certificates.is_empty() {
        for version in IN_THE_CLEAR {
            if answers.iter().any(|(_, first)| shows(first)) {
                break;
            }
            answers.insert(0, (version, first_answer(asker, version, None).await));
        }
        if !answers.iter().any(|(_, first)| shows(first)) {
            return Err(nothing_spoken(&answers));
        }
    }
    report.negotiated = negotiated(handshake.as_ref(), &answers);
    tell_chain(target, options, shown, &answers, report);
    Ok(())
}

fn shows(first: &First) -> bool {
    first.flight().is_some_and(|flight| !flight.certificates.is_empty())
}
