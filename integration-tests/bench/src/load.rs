//! An open-loop load: messages are sent when they are due, whatever the server does.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::machine;
use crate::room::Room;
use crate::server::Server;
use crate::tally::{Faults, SENDERS, Schedule, Tally};

/// How long the load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long messages may be late after the last one was sent.
const DRAIN: Duration = Duration::from_secs(5);

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Distinguishes this load from the others of the run.
    pub(crate) run: u32,
    /// Messages per second.
    pub(crate) rate: u32,
    pub(crate) measured: Duration,
    /// The length of a message as it is sent.
    pub(crate) size: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) rate: u32,
    /// Deliveries per second while measuring.
    pub(crate) deliveries_per_second: f64,
    /// CPU time of the server for one delivery.
    pub(crate) cpu_us_per_delivery: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Bytes of a message as its receivers get it.
    pub(crate) bytes_per_delivery: f64,
    /// Of one core.
    pub(crate) server_cpu_share: f64,
    /// Of one core; near 1, the generator is what limits.
    pub(crate) generator_cpu_share: f64,
    pub(crate) faults: Faults,
}

/// Counters at an edge of the measured window.
#[derive(Clone, Copy, Debug)]
struct Edge {
    at: Instant,
    delivered: u64,
    server_cpu: f64,
    own_cpu: f64,
}

impl Edge {
    fn take(server: &Server, tally: &Tally) -> Result<Self> {
        let own_cpu = machine::cpu_seconds(std::process::id())?;
        let server_cpu = machine::cpu_seconds(server.pid())?;
        Ok(Self { at: Instant::now(), delivered: tally.delivered, server_cpu, own_cpu })
    }
}

impl Load {
    /// Sends it into the room and waits until it has come, or the drain is over.
    pub(crate) fn run(&self, server: &Server, room: &mut Room) -> Result<Outcome> {
        let start = Instant::now() + Duration::from_millis(50);
        let warm = self.messages_in(WARM_UP);
        let total = warm + self.messages_in(self.measured);
        let schedule = Schedule { run: self.run, start, rate: self.rate, total };
        let tally = Tally::new(schedule, warm..total, room.clients.len())?;
        let mut running =
            Running { load: self, server, room, schedule, tally, sent: 0, open: None, close: None };
        while running.turn()?.is_continue() {}
        running.outcome()
    }

    fn messages_in(&self, time: Duration) -> u32 {
        u32::try_from(time.as_millis() * u128::from(self.rate) / 1000).unwrap_or(u32::MAX)
    }
}

struct Running<'r> {
    load: &'r Load,
    server: &'r Server,
    room: &'r mut Room,
    schedule: Schedule,
    tally: Tally,
    sent: u32,
    open: Option<Edge>,
    close: Option<Edge>,
}

impl Running<'_> {
    fn turn(&mut self) -> Result<ControlFlow<()>> {
        self.send_what_is_due()?;
        self.take_edges()?;
        let now = Instant::now();
        let closes = self.closes();
        if now >= closes && (self.tally.is_complete() || now >= closes + DRAIN) {
            return Ok(ControlFlow::Break(()));
        }
        let next = if self.sent < self.schedule.total {
            self.schedule.due(self.sent)
        } else if now < closes {
            closes
        } else {
            closes + DRAIN
        };
        let tally = &mut self.tally;
        let timeout = next.saturating_duration_since(now);
        self.room.turn(Some(timeout), |client, message, now| tally.receive(client, message, now))?;
        Ok(ControlFlow::Continue(()))
    }

    fn send_what_is_due(&mut self) -> Result<()> {
        while self.sent < self.schedule.total && Instant::now() >= self.schedule.due(self.sent) {
            let command = self.schedule.command(self.server.kind, self.sent, self.load.size);
            let sender = (self.sent % SENDERS) as usize;
            self.room.clients[sender].send(command.as_bytes())?;
            self.sent += 1;
        }
        Ok(())
    }

    fn take_edges(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.open.is_none() && now >= self.schedule.start + WARM_UP {
            self.open = Some(Edge::take(self.server, &self.tally)?);
        }
        if self.close.is_none() && now >= self.closes() {
            self.close = Some(Edge::take(self.server, &self.tally)?);
        }
        Ok(())
    }

    fn closes(&self) -> Instant {
        self.schedule.start + WARM_UP + self.load.measured
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn outcome(mut self) -> Result<Outcome> {
        self.tally.finish(Instant::now());
        let (Some(open), Some(close)) = (self.open, self.close) else {
            anyhow::bail!("the load ended before its window");
        };
        let seconds = (close.at - open.at).as_secs_f64();
        let deliveries = (close.delivered - open.delivered) as f64;
        let server_cpu = close.server_cpu - open.server_cpu;
        let quantile = |q| self.tally.latency.value_at_quantile(q) as f64 / 1e3;
        Ok(Outcome {
            rate: self.load.rate,
            deliveries_per_second: deliveries / seconds,
            cpu_us_per_delivery: server_cpu * 1e6 / deliveries.max(1.0),
            p50_ms: quantile(0.50),
            p99_ms: quantile(0.99),
            bytes_per_delivery: self.tally.bytes as f64 / (self.tally.delivered as f64).max(1.0),
            server_cpu_share: server_cpu / seconds,
            generator_cpu_share: (close.own_cpu - open.own_cpu) / seconds,
            faults: self.tally.faults,
        })
    }
}
