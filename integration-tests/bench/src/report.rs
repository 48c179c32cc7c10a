//! Medians over the rounds, as a table that says where a goal was missed.

use std::fmt;

use serde::Serialize;

use crate::load::Outcome;
use crate::machine;
use crate::round::{Plan, Round};
use crate::server::Kind;
use crate::slow::Slow;

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    plan: Plan,
    medians: Vec<Summary>,
    goals: Vec<Goal>,
    rounds: Vec<Round>,
    slow_consumers: Option<Slow>,
}

/// The medians of one server.
#[derive(Clone, Debug, Serialize)]
struct Summary {
    server: Kind,
    joins_per_cpu_second: f64,
    idle_bytes: f64,
    loads: Vec<LoadSummary>,
}

#[derive(Clone, Debug, Serialize)]
struct LoadSummary {
    rate: u32,
    cpu_us_per_delivery: f64,
    deliveries_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    bytes_per_delivery: f64,
    generator_cpu_share: f64,
    undelivered: f64,
}

/// A bar and what was reached.
#[derive(Clone, Debug, Serialize)]
struct Goal {
    what: String,
    reached: f64,
    at_most: Option<f64>,
    at_least: Option<f64>,
    is_met: bool,
}

impl Goal {
    fn at_most(what: impl Into<String>, reached: f64, bar: f64) -> Self {
        Self { what: what.into(), reached, at_most: Some(bar), at_least: None, is_met: reached <= bar }
    }

    fn at_least(what: impl Into<String>, reached: f64, bar: f64) -> Self {
        Self { what: what.into(), reached, at_most: None, at_least: Some(bar), is_met: reached >= bar }
    }
}

impl Report {
    pub(crate) fn new(plan: Plan, rounds: Vec<Round>, slow_consumers: Option<Slow>) -> Self {
        let mut servers: Vec<Kind> = rounds.iter().map(|round| round.server).collect();
        servers.sort();
        servers.dedup();
        let medians: Vec<Summary> =
            servers.into_iter().map(|server| Summary::new(server, &plan, &rounds)).collect();
        let mut goals = goals(&medians);
        goals.extend(slow_consumers.iter().flat_map(slow_goals));
        Self { machine: machine::description(), plan, medians, goals, rounds, slow_consumers }
    }
}

impl Summary {
    fn new(server: Kind, plan: &Plan, rounds: &[Round]) -> Self {
        let mine: Vec<&Round> = rounds.iter().filter(|round| round.server == server).collect();
        let loads = (0..plan.rates.len()).map(|at| {
            let of = |value: fn(&Outcome) -> f64| median(mine.iter().map(|round| value(&round.loads[at])));
            LoadSummary {
                rate: plan.rates[at],
                cpu_us_per_delivery: of(|load| load.cpu_us_per_delivery),
                deliveries_per_second: of(|load| load.deliveries_per_second),
                p50_ms: of(|load| load.p50_ms),
                p99_ms: of(|load| load.p99_ms),
                bytes_per_delivery: of(|load| load.bytes_per_delivery),
                generator_cpu_share: of(|load| load.generator_cpu_share),
                #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
                undelivered: of(|load| load.faults.undelivered as f64),
            }
        });
        Self {
            server,
            joins_per_cpu_second: median(mine.iter().map(|round| round.joins_per_cpu_second)),
            idle_bytes: median(mine.iter().map(|round| round.idle_bytes)),
            loads: loads.collect(),
        }
    }
}

fn goals(medians: &[Summary]) -> Vec<Goal> {
    let find = |server| medians.iter().find(|summary| summary.server == server);
    let Some(ours) = find(Kind::Patchbay) else {
        return Vec::new();
    };
    let mut goals = vec![Goal::at_most("resident bytes per idle connection", ours.idle_bytes, 4096.0)];
    if let Some(bun) = find(Kind::Bun) {
        for (load, theirs) in ours.loads.iter().zip(&bun.loads) {
            let ratio = load.cpu_us_per_delivery / theirs.cpu_us_per_delivery;
            goals.push(Goal::at_most(format!("CPU per delivery at {}/s against bun", load.rate), ratio, 1.1));
        }
        let ratio = ours.joins_per_cpu_second / bun.joins_per_cpu_second;
        goals.push(Goal::at_least("connect and subscribe per CPU second against bun", ratio, 1.0));
    }
    let last = |summary: &Summary| summary.loads.last().map(|load| load.cpu_us_per_delivery);
    if let (Some(mine), Some(theirs)) = (last(ours), find(Kind::Ws).and_then(last)) {
        goals.push(Goal::at_most("CPU per delivery at the highest rate against npm ws", mine / theirs, 0.1));
    }
    goals
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn slow_goals(slow: &Slow) -> Vec<Goal> {
    let stalled = (slow.closed_with_3008 + slow.cut + slow.still_open) as f64;
    vec![
        Goal::at_most(
            "MiB of memory for 20 clients that never read",
            slow.grown_bytes as f64 / f64::from(1 << 20),
            20.0,
        ),
        Goal::at_least("of them closed with 3008", slow.closed_with_3008 as f64, stalled),
        Goal::at_most("p99 of the readers, during against before", slow.during() / slow.before(), 1.2),
    ]
}

/// The middle value; 0 of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { connections, size, .. } = &self.plan;
        writeln!(
            f,
            "{connections} connections in one room, {size} B a message as sent; medians of {} rounds. {}.\n\
             Server on core 0, load on core 1. chat-gateway keeps history, offsets and presence and checks \
             permissions and rates;\nthe peers only repeat what they get.\n",
            self.rounds.len() / self.medians.len().max(1),
            self.machine,
        )?;
        self.write_servers(f)?;
        self.write_slow(f)?;
        self.write_goals(f)
    }
}

impl Report {
    fn write_servers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| server | msg/s in | CPU us per delivery | deliveries/s | p50 ms | p99 ms | bytes per delivery | generator CPU |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for summary in &self.medians {
            for load in &summary.loads {
                let behind = if load.undelivered > 0.0 { " (behind)" } else { "" };
                writeln!(
                    f,
                    "| {} | {} | {:.3} | {:.0}{behind} | {:.1} | {:.1} | {:.0} | {:.0} % |",
                    summary.server,
                    load.rate,
                    load.cpu_us_per_delivery,
                    load.deliveries_per_second,
                    load.p50_ms,
                    load.p99_ms,
                    load.bytes_per_delivery,
                    load.generator_cpu_share * 100.0,
                )?;
            }
        }
        writeln!(
            f,
            "\n| server | resident bytes per idle connection | connect and subscribe per CPU second |"
        )?;
        writeln!(f, "|---|---|---|")?;
        for Summary { server, idle_bytes, joins_per_cpu_second, .. } in &self.medians {
            writeln!(f, "| {server} | {idle_bytes:.0} | {joins_per_cpu_second:.0} |")?;
        }
        Ok(())
    }

    fn write_slow(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(slow) = &self.slow_consumers else {
            return Ok(());
        };
        writeln!(
            f,
            "\n20 clients that never read beside 20 that do, 200 messages/s of 16 KiB: memory grew by {} KiB at \
             its peak;\n{} were closed with 3008, {} cut without a code, {} still open; the readers' p99 was {:.2} ms \
             before and {:.2} ms during\n(medians of {} windows of 2 s each).",
            slow.grown_bytes / 1024,
            slow.closed_with_3008,
            slow.cut,
            slow.still_open,
            slow.before(),
            slow.during(),
            slow.p99_before_ms.len(),
        )
    }

    fn write_goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.goals.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| goal | bar | reached | |\n|---|---|---|---|")?;
        for Goal { what, reached, at_most, at_least, is_met } in &self.goals {
            let bar = match (at_most, at_least) {
                (Some(bar), _) => format!("at most {bar}"),
                (None, Some(bar)) => format!("at least {bar}"),
                (None, None) => String::new(),
            };
            writeln!(f, "| {what} | {bar} | {reached:.3} | {} |", if *is_met { "met" } else { "MISSED" })?;
        }
        Ok(())
    }
}
