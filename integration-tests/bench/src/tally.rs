//! What the clients got: each message exactly once and in its sender's order, and how late.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use serde::Serialize;

use crate::server::Kind;

/// Clients that send; the others only listen.
pub(crate) const SENDERS: u32 = 10;

const MARK: &[u8] = b"\"m:";
const OFFSET: &[u8] = b"\"pub\":{\"offset\":";

/// What went wrong; a server that is merely behind shows in `undelivered`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Messages that came twice, out of their sender's order, or after one that is missing.
    pub(crate) disordered: u64,
    /// Pushes whose offset is not the one after the last (chat-gateway only).
    pub(crate) offset_gaps: u64,
    /// Commands that were answered with an error, and the first of these answers.
    pub(crate) refused: u64,
    /// The first of the answers counted in `refused`.
    pub(crate) first_refusal: Option<String>,
    /// Messages sent while measuring that had not come to a client when the drain was over.
    pub(crate) undelivered: u64,
}

impl Faults {
    /// Whether a result counts although the server may be behind.
    pub(crate) fn exactly_once(&self) -> bool {
        self.disordered == 0 && self.offset_gaps == 0 && self.refused == 0
    }
}

/// The messages of one load: number `k` is due at `start + k / rate` and sent by client `k % SENDERS`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) run: u32,
    pub(crate) start: Instant,
    pub(crate) rate: u32,
    pub(crate) total: u32,
}

impl Schedule {
    pub(crate) fn due(&self, number: u32) -> Instant {
        self.start + Duration::from_nanos(u64::from(number) * 1_000_000_000 / u64::from(self.rate))
    }

    /// The command that publishes message `number`, padded to `size`.
    pub(crate) fn command(&self, kind: Kind, number: u32, size: usize) -> String {
        let (head, tail) = kind.publish(number);
        let mark = format!("m:{:06}:{number:010}:", self.run);
        let padding = ".".repeat(size.saturating_sub(head.len() + mark.len() + tail.len()));
        [&head, &mark, &padding, tail].concat()
    }
}

/// What one client expects next.
#[derive(Clone, Debug, Default)]
struct Ledger {
    /// By sender.
    next: [u32; SENDERS as usize],
    /// The newest offset of the room; it goes on from load to load.
    offset: Option<u64>,
}

/// The count of one load.
#[derive(Debug)]
pub(crate) struct Tally {
    schedule: Schedule,
    /// Numbers that are sent in the measured window.
    measured: std::ops::Range<u32>,
    ledgers: Vec<Ledger>,
    /// In microseconds from the scheduled time.
    pub(crate) latency: Histogram<u64>,
    pub(crate) delivered: u64,
    pub(crate) bytes: u64,
    pub(crate) faults: Faults,
    mark: Finder<'static>,
    offset: Finder<'static>,
}

impl Tally {
    pub(crate) fn new(schedule: Schedule, measured: std::ops::Range<u32>, clients: usize) -> Result<Self> {
        let first = std::array::from_fn(|sender| u32::try_from(sender).unwrap_or_default());
        Ok(Self {
            schedule,
            measured,
            ledgers: vec![Ledger { next: first, offset: None }; clients],
            latency: Histogram::new_with_bounds(1, 600_000_000, 3)?,
            delivered: 0,
            bytes: 0,
            faults: Faults::default(),
            mark: Finder::new(MARK),
            offset: Finder::new(OFFSET),
        })
    }

    /// Counts a message that `client` got at `now`.
    pub(crate) fn receive(&mut self, client: usize, message: &[u8], now: Instant) {
        let Some(at) = self.mark.find(message) else {
            return self.answer(message);
        };
        let ledger = &mut self.ledgers[client];
        if let Some(at) = self.offset.find(message) {
            let offset = number(&message[at + OFFSET.len()..]);
            if ledger.offset.is_some_and(|last| offset != last + 1) {
                self.faults.offset_gaps += 1;
            }
            ledger.offset = Some(offset);
        }
        let mark = &message[at + MARK.len()..];
        if number(mark) != u64::from(self.schedule.run) {
            return; // a straggler of the load before
        }
        let Ok(number) = u32::try_from(number(&mark[7..])) else {
            return;
        };
        let next = &mut ledger.next[(number % SENDERS) as usize];
        if *next != number {
            self.faults.disordered += 1;
        }
        *next = number + SENDERS;
        self.delivered += 1;
        self.bytes += message.len() as u64;
        if self.measured.contains(&number) {
            let late = now.saturating_duration_since(self.schedule.due(number));
            self.latency.saturating_record(micros(late));
        }
    }

    /// Whether every client has every message.
    pub(crate) fn is_complete(&self) -> bool {
        self.delivered >= u64::from(self.schedule.total) * self.ledgers.len() as u64
    }

    /// Counts what did not come until `now`: left out, it would make a slow server look fast.
    pub(crate) fn finish(&mut self, now: Instant) {
        for ledger in &self.ledgers {
            for next in ledger.next {
                for number in (next..self.measured.end).step_by(SENDERS as usize) {
                    if self.measured.contains(&number) {
                        let late = now.saturating_duration_since(self.schedule.due(number));
                        self.latency.saturating_record(micros(late));
                        self.faults.undelivered += 1;
                    }
                }
            }
        }
    }

    fn answer(&mut self, message: &[u8]) {
        if memchr::memmem::find(message, b"\"error\":").is_some() {
            self.faults.refused += 1;
            self.faults.first_refusal.get_or_insert_with(|| message.escape_ascii().to_string());
        }
    }
}

/// The decimal number that `text` begins with.
fn number(text: &[u8]) -> u64 {
    text.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
