//! Whether a version is spoken at all.

use super::{groups_for, lists, offer};
use crate::{
    ask::{Answer, Asker, Offer},
    connection::{Connection, Patience, Stop},
    report::Version,
    wire::{Alert, Flight, ServerHello, WireError},
};

/// The first answer for a version.
#[derive(Debug)]
pub(crate) enum First {
    /// It is spoken, and this was chosen.
    Spoken(Box<Flight>),
    /// It is not, and this was said.
    Refused(Alert),
    /// It is not, and another version was chosen.
    Other,
    /// The connection was closed.
    Closed,
    /// Something came that cannot be read.
    Unreadable(WireError),
    /// It could not be found out.
    Unknown(Stop),
}

impl First {
    pub(crate) fn flight(&self) -> Option<&Flight> {
        if let Self::Spoken(flight) = self { Some(flight) } else { None }
    }
}

/// Asks for a version with one list of suites after the other, until it is clear. The first question goes over `connection` where there is one.
pub(crate) async fn first_answer(
    asker: &Asker<'_>,
    version: Version,
    mut connection: Option<Connection<'_>>,
) -> First {
    let mut last = First::Closed;
    for suites in lists(version) {
        let groups = groups_for(version);
        let offer = Offer { patience: Patience::Brief, ..offer(version, &suites, &groups) };
        let answer = match connection.take() {
            Some(connection) => match asker.ask_on(connection, offer).await {
                Ok(Answer::Closed) => asker.ask(offer).await,
                answer => answer,
            },
            None => asker.ask(offer).await,
        };
        last = judge(version, answer);
        // Another list of suites may help where the server said that none suits it, and nowhere else.
        if !matches!(&last, First::Refused(alert) if alert.description != Alert::PROTOCOL_VERSION) {
            return last;
        }
    }
    last
}

fn judge(version: Version, answer: Result<Answer, Stop>) -> First {
    match answer {
        Ok(Answer::Chose(flight))
            if flight.hello.as_ref().and_then(ServerHello::version) == Some(version) =>
        {
            First::Spoken(flight)
        }
        Ok(Answer::Chose(_)) => First::Other,
        Ok(Answer::Refused(alert)) => First::Refused(alert),
        Ok(Answer::Closed) => First::Closed,
        Ok(Answer::Unreadable(error)) => First::Unreadable(error),
        Err(stop) => First::Unknown(stop),
    }
}
