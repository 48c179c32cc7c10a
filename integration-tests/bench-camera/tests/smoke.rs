//! The benchmark itself, on a small scale: every part that needs no peer from elsewhere measures something. How fast it is says nothing here.

use anyhow::{Context as _, Result, ensure};
use patchbay_testkit::binaries;
use serde_json::Value;
use std::process::Command;

/// Milliseconds that stand for a join which has never shown the newest picture.
const NEVER: f64 = 15_000.0;

/// Those that need no peer from elsewhere.
const PARTS: &str = "start,delay,fanout,added,sound,cold,cameras";

/// The value of a figure in the only round.
fn value(figures: &[Value], name: &str) -> Result<f64> {
    let figure = figures
        .iter()
        .find(|figure| figure["name"] == name)
        .with_context(|| format!("no figure `{name}`"))?;
    figure["rounds"][0].as_f64().with_context(|| format!("`{name}` was not measured: {figure}"))
}

#[test]
fn every_part_measures_something() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("camera.json");
    let output = Command::new(env!("CARGO_BIN_EXE_bench-camera"))
        .args(["run", "--quick", "--rounds", "1", "--joins", "1", "--window", "1", "--only", PARTS])
        .arg("--relay")
        .arg(binaries::binary("camera-relay")?)
        .arg("--json")
        .arg(&json)
        .output()?;
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{table}");
    ensure!(output.status.success(), "{}: {errors}", output.status);
    let report: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let figures = report["figures"].as_array().context("there are no figures")?;
    for figure in figures {
        let name = figure["name"].as_str().context("a figure has no name")?;
        ensure!(value(figures, name)?.is_finite() && table.contains(name), "{figure}");
    }
    for camera in ["480p-2s", "480p-obeys"] {
        let newest = value(figures, &format!("POST to the newest picture, {camera}, p50"))?;
        ensure!(newest > 0.0 && newest < NEVER, "{camera}: {newest} ms");
    }
    let unreadable = value(figures, "pictures without a time code, the most in a round's joins to a camera")?;
    ensure!(unreadable < 1.0, "{unreadable} pictures without a time code");
    for name in ["captures with 50 viewers", "encoders with 50 viewers"] {
        ensure!((value(figures, name)? - 1.0).abs() < f64::EPSILON, "{name}");
    }
    for name in [
        "drawn to presented, 640x480, p50 of a second",
        "packet in to packet out, 50 viewers, p50",
        "CPU of making Opus of AAC, the transcoder alone",
        "first key frame to the first decoded picture, p50",
        "CPU of a passed-through camera with a viewer, 3 of them",
        "camera to decoded picture, p50",
    ] {
        ensure!(value(figures, name)? > 0.0, "{name}");
    }
    Ok(())
}

#[test]
fn a_browser_that_is_not_there_is_named() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-camera"))
        .args(["run", "--quick", "--rounds", "1", "--only", "delay", "--browser", "/no/such/browser"])
        .arg("--relay")
        .arg(binaries::binary("camera-relay")?)
        .output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success() && table.contains("/no/such/browser"), "{table}");
    Ok(())
}
