//! What a history publish costs Redis: CPU of a real redis-server for each append by the backplane, against the
//! same script with arguments of the same size under `redis-benchmark -P 32`, and round trips for each append.
//! One subscriber of all rooms is there in both. redis-benchmark gives each of its random numbers another value, so
//! that it cannot name the keys of one room twice: it has one room, which is kind to it. `scripts/bench redis` runs it in the release profile:
//!
//! `bench_redis [--appends N] [--rounds N] [--json FILE]`
#![expect(clippy::print_stdout, reason = "the table is the program's output")]

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use patchbay_backplane::{
    Append, Backplane, BackplaneConfig, Figures, Health, Name, RedisBackplane, Retention, Streams,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{fs, path::PathBuf, process::Stdio, time::Duration, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const ROOMS: usize = 8;
const PAYLOAD: usize = 200;
/// As many calls wait at a time as redis-benchmark has on its way: 50 connections of 32.
const CALLERS: usize = 50 * 32;
const RETENTION: Retention = Retention { max_len: 1000, max_age: Duration::from_hours(24) };
/// Ticks a second in `/proc/<pid>/stat`; fixed on Linux for what user space sees.
const TICKS: f64 = 100.0;

struct Options {
    appends: usize,
    rounds: usize,
    json: Option<PathBuf>,
}

/// One run of one of the two.
#[derive(Clone, Copy)]
struct Run {
    cpu_micros: f64,
    per_second: f64,
    round_trips: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let server = RedisServer::start(Persistence::None).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        ours.push(backplane_run(&server, options.appends).await?);
        theirs.push(benchmark_run(&server, options.appends).await?);
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let ratio = ours.cpu_micros / theirs.cpu_micros;
    println!(
        "| {} appends of {PAYLOAD} B, {ROOMS} rooms, median of {} | backplane | redis-benchmark -P 32 | goal |",
        options.appends, options.rounds
    );
    println!("|---|---|---|---|");
    println!("| redis-server CPU, us per append | {:.2} | {:.2} | |", ours.cpu_micros, theirs.cpu_micros);
    println!("| ratio | {ratio:.2} | 1 | at most 1.3 |");
    println!(
        "| round trips per append | {:.4} | {:.4} | at most 0.1 |",
        ours.round_trips, theirs.round_trips
    );
    println!("| appends per second | {:.0} | {:.0} | |", ours.per_second, theirs.per_second);
    if let Some(file) = options.json {
        let row = |run: Run| {
            serde_json::json!({
                "cpu_us_per_append": run.cpu_micros,
                "round_trips_per_append": run.round_trips,
                "appends_per_second": run.per_second,
            })
        };
        let report = serde_json::json!({
            "appends": options.appends, "rounds": options.rounds, "payload_bytes": PAYLOAD, "rooms": ROOMS,
            "backplane": row(ours), "redis_benchmark": row(theirs), "cpu_ratio": ratio,
        });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

async fn backplane_run(server: &RedisServer, appends: usize) -> Result<Run> {
    server.command(&["FLUSHALL"]).await?;
    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    let backplane = RedisBackplane::start(&server.url(), &BackplaneConfig::default(), &tasks, &shutdown)?;
    let health = backplane.health();
    wait_until("the backplane is up", Duration::from_secs(10), async || *health.borrow() == Health::Up)
        .await?;
    let rooms: Vec<Name> = (0..ROOMS).map(|room| Name::new("bench", "room", room_id(room))).collect();
    // The first append of each room tells where it is published.
    try_join_all(rooms.iter().map(|room| backplane.append(append(room)))).await?;
    let listener = listen(server, &channels(server).await?).await?;

    let (before, cpu, started) = (backplane.figures(), cpu_seconds(server)?, Instant::now());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (backplane, room) = (backplane.clone(), rooms[caller % ROOMS].clone());
        let count = appends / CALLERS + usize::from(caller < appends % CALLERS);
        callers.spawn(async move {
            for _ in 0..count {
                backplane.append(append(&room)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    let run =
        run(server, appends, cpu, started, round_trips(&before, &backplane.figures()) / to_f64(appends))?;
    listener.abort();
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(run)
}

async fn benchmark_run(server: &RedisServer, appends: usize) -> Result<Run> {
    server.command(&["FLUSHALL"]).await?;
    let script = concat!(
        include_str!("../src/redis/scripts/stream.lua"),
        include_str!("../src/redis/scripts/append.lua")
    );
    let hash = redis::Script::new(script).get_hash().to_owned();
    let known = server.command(&["SCRIPT", "EXISTS", &hash]).await?;
    ensure!(known.contains(":1"), "the backplane has loaded another script than this");
    let run_id = server.command(&["INFO", "server"]).await?;
    let run_id =
        run_id.lines().find_map(|line| line.strip_prefix("run_id:")).context("no run id")?.to_owned();

    // redis-benchmark cannot compute shards; a fixed one is as long as most.
    let key = |ending: &str| format!("pb:{{64}}:bench:room{ending}:__rand_int__");
    let channels: Vec<String> =
        (0..ROOMS).map(|room| format!("pb:{{64}}:bench:room:{}", room_id(room))).collect();
    let listener = listen(server, &channels).await?;
    let (port, requests) = (server.address().port().to_string(), appends.to_string());
    let max_age = RETENTION.max_age.as_millis().to_string();
    let mut benchmark = Command::new("redis-benchmark");
    benchmark
        .args(["-h", "127.0.0.1", "-p", &port, "-P", "32", "-c", "50", "-n", &requests, "-q"])
        .args([
            "EVALSHA",
            &hash,
            "2",
            &key(".meta"),
            &key(".entries"),
            &run_id,
            "0123456789abcdef",
            "PUBLISH",
        ])
        .args([&key(""), &"x".repeat(PAYLOAD), &RETENTION.max_len.to_string(), &max_age, "0"])
        .stdout(Stdio::null());
    let (cpu, started) = (cpu_seconds(server)?, Instant::now());
    let status = benchmark.status().await.context("is redis-benchmark (package redis-tools) installed?")?;
    let run = run(server, appends, cpu, started, 1.0 / 32.0)?;
    ensure!(status.success(), "redis-benchmark failed: {status}");
    let errors = server.command(&["INFO", "errorstats"]).await?;
    ensure!(!errors.contains("errorstat_ERR"), "scripts failed: {errors}");
    listener.abort();
    Ok(run)
}

fn append(room: &Name) -> Append {
    Append { stream: room.clone(), payload: vec![b'x'; PAYLOAD].into(), key: None, retention: RETENTION }
}

/// All of one length, so that all keys are.
fn room_id(room: usize) -> String {
    format!("{room:012}")
}

/// The channels of the rooms that the server knows.
async fn channels(server: &RedisServer) -> Result<Vec<String>> {
    let keys = server.command(&["KEYS", "pb:*:bench:room.meta:*"]).await?;
    Ok(keys.lines().filter(|line| line.starts_with("pb:")).map(|key| key.replace(".meta", "")).collect())
}

/// A subscriber that reads and drops.
async fn listen(server: &RedisServer, channels: &[String]) -> Result<tokio::task::AbortHandle> {
    ensure!(!channels.is_empty(), "no room has a channel");
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(format!("SUBSCRIBE {}\r\n", channels.join(" ")).as_bytes()).await?;
    let mut buffer = vec![0; 64 * 1024];
    ensure!(stream.read(&mut buffer).await? > 0);
    let mut listeners = JoinSet::new();
    let handle = listeners
        .spawn(async move { while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {} });
    listeners.detach_all();
    Ok(handle)
}

fn run(server: &RedisServer, appends: usize, cpu: f64, started: Instant, round_trips: f64) -> Result<Run> {
    let appends = to_f64(appends);
    let cpu_micros = (cpu_seconds(server)? - cpu) * 1e6 / appends;
    Ok(Run { cpu_micros, per_second: appends / started.elapsed().as_secs_f64(), round_trips })
}

/// User and system time of the server, in seconds.
fn cpu_seconds(server: &RedisServer) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid()))?;
    let (_, fields) = stat.rsplit_once(')').context("not a stat line")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

fn round_trips(before: &Figures, after: &Figures) -> f64 {
    let figure = "redis_round_trips_total";
    to_f64(usize::try_from(after[figure] - before[figure]).unwrap_or_default())
}

/// By each figure on its own.
fn median(runs: &[Run]) -> Run {
    let of = |figure: fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Run {
        cpu_micros: of(|run| run.cpu_micros),
        per_second: of(|run| run.per_second),
        round_trips: of(|run| run.round_trips),
    }
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn options() -> Result<Options> {
    let mut options = Options { appends: 200_000, rounds: 5, json: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--appends" => options.appends = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--json" => options.json = Some(value.into()),
            _ => bail!("unknown argument {argument}"),
        }
    }
    ensure!(options.appends > 0 && options.rounds > 0, "nothing to do");
    Ok(options)
}
