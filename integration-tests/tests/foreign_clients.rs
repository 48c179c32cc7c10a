//! The classic door with clients that we did not write. One that is not installed is skipped, and it is said;
//! `scripts/test` installs them all.

use anyhow::Result;
use integration_tests::{
    gateway::{Gateway, Settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::{binaries::workspace, keys::Keys};
use std::process::{Command, Output};

/// Whether a program runs a one-line check.
fn has(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

async fn replay(program: &str, flags: &[&str], script: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let gateway = Gateway::start(folder.path(), "gateway", &keys, Settings::open()).await?;
    let tests = workspace().join("integration-tests");
    let mut command = Command::new(program);
    command.args(flags).arg(tests.join("clients").join(script)).arg(gateway.classic_url());
    command.arg(tests.join("transcripts/classic.txt"));
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

fn assert_success(output: &Output) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
}

#[tokio::test]
async fn python_websockets() -> TestResult {
    let python = ["python3", "target/tools/venv/bin/python"].map(|path| match path {
        "python3" => path.to_owned(),
        _ => workspace().join(path).display().to_string(),
    });
    match python.iter().find(|python| has(python, &["-c", "import websockets.asyncio.client"])) {
        Some(python) => assert_success(&replay(python, &[], "classic.py").await?),
        None => report("skipped: Python's websockets is not installed"),
    }
    Ok(())
}

#[tokio::test]
async fn node_websocket() -> TestResult {
    // Node 22 needs no flag, and takes it.
    let flag = "--experimental-websocket";
    if has("node", &[flag, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]) {
        assert_success(&replay("node", &[flag], "classic.mjs").await?);
    } else {
        report("skipped: this Node has no WebSocket of its own");
    }
    Ok(())
}
