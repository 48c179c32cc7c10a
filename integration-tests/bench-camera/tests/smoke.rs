//! The benchmark itself, on a small scale: every part that needs no peer from elsewhere measures something. How fast it is says nothing here, and so two halves of it run at the same time.
#![expect(clippy::print_stdout, reason = "a test tells what it took")]

use anyhow::{Context as _, Result, ensure};
use patchbay_testkit::binaries;
use serde_json::Value;
use std::process::{Command, Output};

/// Milliseconds that stand for a join which has never shown the newest picture.
const NEVER: f64 = 15_000.0;

/// The figures of one short round.
struct Figures(Vec<Value>);

impl Figures {
    /// Measures parts, up to three times: where viewers lose packets as the machine is too busy, the benchmark measures nothing and says so.
    fn measure(parts: &str) -> Result<Self> {
        let mut last = Self::once(parts);
        for _ in 0..2 {
            let Err(error) = &last else { break };
            println!("once more: {error:#}");
            last = Self::once(parts);
        }
        last
    }

    /// Every figure has a value and a line in the table.
    fn once(parts: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let json = folder.path().join("camera.json").display().to_string();
        let output = run(&["--joins", "1", "--window", "1", "--only", parts, "--json", &json])?;
        let (table, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{table}");
        ensure!(output.status.success(), "{}: {errors}", output.status);
        let report: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
        let figures = Self(report["figures"].as_array().context("there are no figures")?.clone());
        for figure in &figures.0 {
            let name = figure["name"].as_str().context("a figure has no name")?;
            ensure!(figures.value(name)?.is_finite() && table.contains(name), "{figure}");
        }
        Ok(figures)
    }

    /// The value of a figure in the only round.
    fn value(&self, name: &str) -> Result<f64> {
        let figure = self.0.iter().find(|figure| figure["name"] == name);
        let figure = figure.with_context(|| format!("no figure `{name}`"))?;
        figure["rounds"][0].as_f64().with_context(|| format!("`{name}` was not measured: {figure}"))
    }

    fn are_positive(&self, names: &[&str]) -> Result<()> {
        for name in names {
            ensure!(self.value(name)? > 0.0, "{name}");
        }
        Ok(())
    }
}

fn run(options: &[&str]) -> Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-camera"))
        .args(["run", "--quick", "--rounds", "1"])
        .args(options)
        .arg("--relay")
        .arg(binaries::binary("camera-relay")?)
        .output()?;
    Ok(output)
}

#[test]
fn what_browsers_see_and_sound_costs_is_measured() -> Result<()> {
    let figures = Figures::measure("start,delay,sound")?;
    for camera in ["480p-2s", "480p-obeys"] {
        let newest = figures.value(&format!("POST to the newest picture, {camera}, p50"))?;
        ensure!(newest > 0.0 && newest < NEVER, "{camera}: {newest} ms");
    }
    let unreadable =
        figures.value("pictures without a time code, the most in a round's joins to a camera")?;
    ensure!(unreadable < 1.0, "{unreadable} pictures without a time code");
    figures.are_positive(&[
        "drawn to presented, 640x480, p50 of a second",
        "CPU of making Opus of AAC, the transcoder alone",
    ])
}

#[test]
fn what_viewers_and_cameras_cost_is_measured() -> Result<()> {
    let figures = Figures::measure("fanout,added,cold,cameras")?;
    for name in ["captures with 50 viewers", "encoders with 50 viewers"] {
        ensure!((figures.value(name)? - 1.0).abs() < f64::EPSILON, "{name}");
    }
    figures.are_positive(&[
        "packet in to packet out, 50 viewers, p50",
        "first key frame to the first decoded picture, p50",
        "CPU of a passed-through camera with a viewer, 3 of them",
        "camera to decoded picture, p50",
    ])
}

#[test]
fn a_browser_that_is_not_there_is_named() -> Result<()> {
    let output = run(&["--only", "delay", "--browser", "/no/such/browser"])?;
    let table = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success() && table.contains("/no/such/browser"), "{table}");
    Ok(())
}

#[test]
fn a_peer_that_is_not_there_is_named() -> Result<()> {
    let output = run(&["--only", "peers", "--python", "/no/such/python"])?;
    let table = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success() && table.contains("/no/such/python is not there"), "{table}");
    Ok(())
}
