//! One question to a server: a hello, and what it says to it.

use crate::{
    connection::{Connection, Connector, Patience, Stop},
    report::Version,
    wire::{Alert, ClientHello, Flight, Progress, Until, WireError},
};
use aws_lc_rs::{
    agreement::{EphemeralPrivateKey, X25519},
    error::Unspecified,
    rand::{self, SystemRandom},
};
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait before a server that closed a connection is asked again.
const AGAIN: Duration = Duration::from_millis(150);

/// What a server says to a hello.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It chose, and showed what it shows in the clear.
    Chose(Box<Flight>),
    /// It will not go on.
    Refused(Alert),
    /// It closed the connection.
    Closed,
    /// It said something that cannot be read.
    Unreadable(WireError),
}

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) version: Version,
    pub(crate) suites: &'a [u16],
    pub(crate) groups: &'a [u16],
    pub(crate) alpn: &'a [&'a str],
    pub(crate) share: Share,
    pub(crate) patience: Patience,
}

/// Whether a key comes with the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// One for X25519.
    X25519,
    /// None: a server of TLS 1.3 then names the group that it wants.
    None,
}

/// Asks one server.
pub(crate) struct Asker<'a> {
    pub(crate) connector: Connector<'a>,
    server_name: Option<String>,
    /// A public key for X25519. Nothing is ever agreed with it, so one is enough for all hellos.
    share: Vec<u8>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(connector: Connector<'a>, server_name: Option<String>) -> Result<Self, Unspecified> {
        let key = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())?;
        let share = key.compute_public_key()?.as_ref().to_vec();
        Ok(Self { connector, server_name, share })
    }

    /// Asks on a new connection. A server that closes it without a word is asked once more a little later: that is how some refuse, and how others say that they are busy.
    pub(crate) async fn ask(&self, offer: Offer<'_>) -> Result<Answer, Stop> {
        let connection = self.connector.open(offer.patience).await?;
        let answer = self.ask_on(connection, offer).await?;
        if !matches!(answer, Answer::Closed) {
            return Ok(answer);
        }
        sleep(AGAIN).await;
        let connection = self.connector.open(offer.patience).await?;
        self.ask_on(connection, offer).await
    }

    /// Asks on this connection, and closes it.
    pub(crate) async fn ask_on(
        &self,
        mut connection: Connection<'_>,
        offer: Offer<'_>,
    ) -> Result<Answer, Stop> {
        if connection.send(&self.hello(offer)).await?.is_err() {
            return Ok(Answer::Closed);
        }
        let mut flight = Flight::new(Until::Done);
        let mut buffer = Vec::new();
        loop {
            connection.read(&mut buffer).await?;
            if buffer.is_empty() {
                return Ok(ended(flight));
            }
            match flight.feed(&buffer) {
                Ok(Progress::More) => (),
                Ok(Progress::Whole) => return Ok(ended(flight)),
                // What came after a hello that could be read does not matter to most questions.
                Err(_) if flight.hello.is_some() => return Ok(ended(flight)),
                Err(error) => return Ok(Answer::Unreadable(error)),
            }
        }
    }

    fn hello(&self, offer: Offer<'_>) -> Vec<u8> {
        let mut random = [0; 32];
        // These bytes keep nothing secret: without a source of randomness zeros do, too.
        let _zeros = rand::fill(&mut random);
        let hello = ClientHello {
            version: offer.version,
            suites: offer.suites,
            groups: offer.groups,
            server_name: self.server_name.as_deref(),
            alpn: offer.alpn,
            key_share: (offer.share == Share::X25519).then_some(self.share.as_slice()),
            random,
        };
        hello.encode()
    }
}

fn ended(flight: Flight) -> Answer {
    match (&flight.hello, flight.alert) {
        (Some(_), _) => Answer::Chose(Box::new(flight)),
        (None, Some(alert)) => Answer::Refused(alert),
        (None, None) => Answer::Closed,
    }
}
