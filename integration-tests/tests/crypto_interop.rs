//! crypto-service against programs that we did not write: Python's cryptography, argon2-cffi, `PyJWT` and urllib, and openssl, both ways.
//! Where they are not installed the tests are skipped, and it is said; `scripts/test` installs them all.

use anyhow::{Context, Result, ensure};
use integration_tests::{crypto::Installation, gateway::Settings, report::report, verdict::TestResult};
use patchbay_testkit::binaries::workspace;
use std::{path::PathBuf, process::Command};

/// What the script imports.
const MODULES: &str = "import argon2, cryptography, cryptography_vectors, jwt";

/// The Python that has the modules.
fn python() -> Option<PathBuf> {
    let ours = workspace().join("target/tools/venv/bin/python");
    [ours, PathBuf::from("python3")].into_iter().find(|python| succeeds(python, &["-c", MODULES]))
}

fn succeeds(program: &PathBuf, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs one area of the script against a service of its own.
async fn run(area: &'static str) -> Result<()> {
    let (Some(python), true) = (python(), succeeds(&PathBuf::from("openssl"), &["version"])) else {
        report(&format!(
            "{area} skipped: openssl or Python's cryptography, argon2-cffi and PyJWT are not installed"
        ));
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto-service").await?;
    let secret = replica.setup_secret().unwrap_or_default();
    let mut command = Command::new(python);
    command.arg(workspace().join("integration-tests/clients/crypto_interop.py"));
    command.args([format!("http://{}", replica.http), installation.admin()?, secret, area.to_owned()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{out}\n{error}");
    let last = out.lines().last().context("no output")?;
    ensure!(last.starts_with(area) && last.ends_with(" checks"), "{out}");
    for line in out.lines() {
        report(&format!("crypto interop: {line}"));
    }
    Ok(())
}

#[tokio::test]
async fn key_files() -> TestResult {
    Ok(run("pem").await?)
}

#[tokio::test]
async fn the_pkcs8_files_of_cryptography_are_taken_or_refused() -> TestResult {
    Ok(run("vectors").await?)
}

#[tokio::test]
async fn rsa() -> TestResult {
    Ok(run("rsa").await?)
}

#[tokio::test]
async fn symmetric_ciphers() -> TestResult {
    Ok(run("symmetric").await?)
}

#[tokio::test]
async fn ed25519_and_ecdsa() -> TestResult {
    Ok(run("signatures").await?)
}

#[tokio::test]
async fn agreement_and_encapsulation() -> TestResult {
    Ok(run("agreement").await?)
}

#[tokio::test]
async fn wrapped_imports() -> TestResult {
    Ok(run("wrapped").await?)
}

#[tokio::test]
async fn certificates() -> TestResult {
    Ok(run("certificates").await?)
}

#[tokio::test]
async fn password_hashes() -> TestResult {
    Ok(run("passwords").await?)
}

#[tokio::test]
async fn tokens_verify_with_the_key_set() -> TestResult {
    Ok(run("tokens").await?)
}

#[tokio::test]
async fn encodings_and_digests() -> TestResult {
    Ok(run("encodings").await?)
}
