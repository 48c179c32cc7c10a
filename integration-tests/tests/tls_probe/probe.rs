//! Runs `patchbay tls probe --json`, and reads what it says.

use anyhow::{Context, Result};
use patchbay_testkit::binaries::binary;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// What it said.
pub(crate) struct Probed {
    pub(crate) report: Value,
    pub(crate) errors: String,
    pub(crate) code: Option<i32>,
    /// How long the whole program ran.
    pub(crate) took: Duration,
}

pub(crate) async fn run<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Result<Probed> {
    let program = binary("patchbay")?;
    let started = Instant::now();
    let mut command = Command::new(program);
    command.args(["tls", "probe", "--json"]).args(arguments.into_iter().map(Into::into)).kill_on_drop(true);
    let output = command.output().await?;
    let took = started.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report =
        serde_json::from_slice(&output.stdout).with_context(|| format!("it printed no JSON: {errors}"))?;
    Ok(Probed { report, errors, code: output.status.code(), took })
}

impl Probed {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.report.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn list(&self, pointer: &str) -> &[Value] {
        self.report.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Versions that are spoken, with their suites in the order in which they were told.
    pub(crate) fn suites(&self) -> BTreeMap<String, Vec<String>> {
        let spoken = self.list("/protocols").iter().filter(|protocol| protocol["is_supported"] == true);
        spoken
            .map(|protocol| {
                let suites = protocol["suites"].as_array().map_or(&[][..], Vec::as_slice);
                (words(&protocol["version"]), suites.iter().map(|suite| words(&suite["name"])).collect())
            })
            .collect()
    }

    /// Fingerprints, the server's own first.
    pub(crate) fn chain(&self) -> Vec<String> {
        self.list("/chain/certificates").iter().map(|certificate| words(&certificate["sha256"])).collect()
    }

    /// Codes of what is said of the certificates and touches the grade.
    pub(crate) fn problems(&self) -> BTreeSet<String> {
        let problems = self.list("/chain/problems").iter().filter(|problem| !problem["caps_at"].is_null());
        problems.map(|problem| words(&problem["code"])).collect()
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.list("/groups").iter().map(words).collect()
    }
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
