//! All that a server answers to one hello in the clear, put together as it comes.

use super::{
    alert::Alert,
    record::{Message, Records, WireError},
    server::{self, KeyExchangeFacts, ServerHello},
};
use crate::report::Version;

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const SERVER_HELLO_DONE: u8 = 14;
const CERTIFICATE_STATUS: u8 = 22;

/// Warnings that are passed over; a server that warns more often is not listened to any longer.
const WARNINGS: usize = 4;

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The hello alone.
    Hello,
    /// All that comes in the clear.
    Done,
}

/// Whether an answer is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to read.
    More,
    /// All that was wanted is there.
    Whole,
}

/// What a server answered.
#[derive(Debug)]
pub struct Flight {
    until: Until,
    records: Records,
    warnings: usize,
    /// What it chose.
    pub hello: Option<ServerHello>,
    /// Why it will not go on, or what it warned of when it closed the connection after it.
    pub alert: Option<Alert>,
    /// Its certificates, its own first.
    pub certificates: Vec<Vec<u8>>,
    /// The OCSP answer that it stapled.
    pub staple: Option<Vec<u8>>,
    /// Its half of the key exchange.
    pub key_exchange: Option<KeyExchangeFacts>,
}

impl Flight {
    /// Waits for an answer.
    pub fn new(until: Until) -> Self {
        Self {
            until,
            records: Records::default(),
            warnings: 0,
            hello: None,
            alert: None,
            certificates: Vec::new(),
            staple: None,
            key_exchange: None,
        }
    }

    /// Takes what came, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, WireError> {
        self.records.push(bytes)?;
        while let Some(message) = self.records.next()? {
            if self.take(message)? == Progress::Whole {
                return Ok(Progress::Whole);
            }
        }
        Ok(Progress::More)
    }

    /// Whether anything came at all.
    pub fn has_any(&self) -> bool {
        self.records.has_any()
    }

    fn take(&mut self, message: Message) -> Result<Progress, WireError> {
        match message {
            Message::Handshake { kind, body } => self.handshake(kind, &body),
            Message::Alert(alert) => Ok(self.alert(alert)),
            // What is encrypted tells nothing more, and nothing of it comes before a hello.
            Message::Other if self.hello.is_some() => Ok(Progress::Whole),
            Message::Other => Err(WireError::Malformed("record before its hello")),
        }
    }

    fn alert(&mut self, alert: Alert) -> Progress {
        self.alert = Some(alert);
        self.warnings += 1;
        if alert.is_warning() && self.warnings <= WARNINGS { Progress::More } else { Progress::Whole }
    }

    fn handshake(&mut self, kind: u8, body: &[u8]) -> Result<Progress, WireError> {
        let Some(hello) = &self.hello else { return self.server_hello(kind, body) };
        match kind {
            CERTIFICATE => {
                self.certificates =
                    server::certificates(body).ok_or(WireError::Malformed("chain of certificates"))?;
            }
            CERTIFICATE_STATUS => self.staple = server::certificate_status(body),
            SERVER_KEY_EXCHANGE => self.key_exchange = KeyExchangeFacts::read(hello.suite, body),
            SERVER_HELLO_DONE => return Ok(Progress::Whole),
            _ => (),
        }
        Ok(Progress::More)
    }

    fn server_hello(&mut self, kind: u8, body: &[u8]) -> Result<Progress, WireError> {
        if kind != SERVER_HELLO {
            return Err(WireError::Malformed("message before its hello"));
        }
        let hello = ServerHello::read(body).ok_or(WireError::Malformed("hello"))?;
        // From TLS 1.3 on the hello is all that comes in the clear; one that asks for another hello is followed by nothing at all until it gets one.
        let is_last = hello.is_retry || hello.version() == Some(Version::Tls13);
        self.alert = None;
        self.hello = Some(hello);
        Ok(if self.until == Until::Hello || is_last { Progress::Whole } else { Progress::More })
    }
}
