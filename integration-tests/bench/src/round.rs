//! One server through all phases, in a process of its own.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{Load, Outcome};
use crate::machine;
use crate::room::Room;
use crate::server::{Kind, Programs, Server};

/// Until a server has dealt with what was before.
const SETTLE: Duration = Duration::from_millis(700);

/// What every round does.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// Bursts of connections, since one alone is over in a moment.
    pub(crate) bursts: u32,
    pub(crate) rates: Vec<u32>,
    pub(crate) measured: Duration,
    pub(crate) size: usize,
}

/// What a round found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) server: Kind,
    /// Connections that were made and joined the room, per CPU second of the server.
    pub(crate) joins_per_cpu_second: f64,
    /// Growth of resident memory per idle connection in the room, in bytes.
    pub(crate) idle_bytes: f64,
    pub(crate) loads: Vec<Outcome>,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} joins per CPU second, {:.0} B per idle connection",
            self.joins_per_cpu_second, self.idle_bytes
        )?;
        for load in &self.loads {
            write!(
                f,
                "; at {}/s {:.0} deliveries/s, {:.3} us, p99 {:.1} ms (CPU: server {:.0} %, generator {:.0} %)",
                load.rate,
                load.deliveries_per_second,
                load.cpu_us_per_delivery,
                load.p99_ms,
                load.server_cpu_share * 100.0,
                load.generator_cpu_share * 100.0,
            )?;
            if !load.faults.exactly_once() || load.faults.undelivered > 0 {
                write!(f, " {:?}", load.faults)?;
            }
        }
        Ok(())
    }
}

/// Measures one server.
pub(crate) fn run(kind: Kind, programs: &Programs, plan: &Plan) -> Result<Round> {
    let server = programs.start(kind)?;
    warm_up(&server, plan)?;
    let (mut room, joins_per_cpu_second, idle_bytes) = join(&server, plan)?;
    let mut loads = Vec::new();
    for (run, rate) in (1..).zip(&plan.rates) {
        let load = Load { run, rate: *rate, measured: plan.measured, size: plan.size };
        let outcome = load.run(&server, &mut room)?;
        let faults = &outcome.faults;
        ensure!(faults.exactly_once(), "not every message came exactly once: {faults:?}");
        loads.push(outcome);
    }
    Ok(Round { server: kind, joins_per_cpu_second, idle_bytes, loads })
}

/// Code is compiled and pools are filled before memory is looked at, for all alike.
fn warm_up(server: &Server, plan: &Plan) -> Result<()> {
    let mut room = Room::join(server, 20)?;
    Load { run: 0, rate: 50, measured: Duration::from_millis(500), size: plan.size }
        .run(server, &mut room)?;
    drop(room);
    std::thread::sleep(SETTLE);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes and connections stay far below 2^52")]
fn join(server: &Server, plan: &Plan) -> Result<(Room, f64, f64)> {
    let Plan { connections, bursts, .. } = *plan;
    let before = machine::resident(server.pid())?;
    let mut cpu = 0.0;
    let mut idle_bytes = None;
    for burst in 1..=bursts {
        let cpu_before = machine::cpu_seconds(server.pid())?;
        let mut room = Room::join(server, connections)?;
        cpu += machine::cpu_seconds(server.pid())? - cpu_before;
        room.idle(SETTLE)?;
        let grown = machine::resident(server.pid())?.saturating_sub(before) as f64;
        let per_connection = *idle_bytes.get_or_insert(grown / connections as f64);
        if burst == bursts {
            return Ok((room, f64::from(bursts) * connections as f64 / cpu, per_connection));
        }
        drop(room);
        std::thread::sleep(SETTLE);
    }
    anyhow::bail!("no burst of connections")
}
