//! `patchbay seal` against an all-in-one whose key people have in shares.

use anyhow::{Context, Result, ensure};
use patchbay_testkit::{
    ports::free_address,
    process::{Launch, Process},
};
use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

async fn crypto_service(folder: &Path) -> Result<(Process, SocketAddr)> {
    let (ops, crypto) = (free_address(), free_address());
    let launch = Launch::program(env!("CARGO_BIN_EXE_patchbay"), "patchbay", folder)
        .env("PATCHBAY_DATA__DIR", folder.join("data"))
        .env("PATCHBAY_OPS__LISTEN", ops.to_string())
        .env("PATCHBAY_CRYPTO_SERVICE__GRPC__LISTEN", crypto.to_string())
        .env("PATCHBAY_CRYPTO_SERVICE__LISTEN__HTTP", "127.0.0.1:0")
        .env("PATCHBAY_CRYPTO_SERVICE__ROOT_KEY__SHARES", "true");
    let launch = launch.arg("run").arg("--services").arg("crypto-service").arg("--dev");
    Ok((launch.start_ready(ops).await?, crypto))
}

/// Runs a command and returns what it printed; fails where it does.
fn seal(folder: &Path, crypto: SocketAddr, arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    let command =
        command.current_dir(folder).arg("seal").args(arguments).args(["--url", &format!("http://{crypto}")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let (said, problem) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{arguments:?}: {problem}");
    Ok(said)
}

fn shares(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("pbs1-")).collect()
}

#[tokio::test]
async fn a_seal_is_managed_from_the_command_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut process, crypto) = crypto_service(folder.path()).await?;
    let run = |arguments: &[&str], input: &str| seal(folder.path(), crypto, arguments, input);
    assert!(!folder.path().join("data/keys/root.key").exists(), "no file is made where people have the key");
    assert!(run(&["status"], "")?.contains("patchbay seal init"));
    let made = run(&["init"], "")?;
    let given = shares(&made);
    assert_eq!(given.len(), 5);
    let one = run(&["unseal"], given[0])?;
    assert!(one.contains("3 of 5 are needed") && one.contains("brought     1"), "{one}");
    assert!(run(&["unseal", "--reset"], "")?.contains("forgotten"));
    let wrong = run(&["unseal"], "pbs1-12").unwrap_err().to_string();
    assert!(wrong.contains("SHARE_INVALID"), "{wrong}");
    let nothing = run(&["unseal"], "\n").unwrap_err().to_string();
    assert!(nothing.contains("one a line"), "{nothing}");
    let open = run(&["unseal"], &given[2..].join("\n"))?;
    assert!(open.contains("open") && open.contains("generation 1"), "{open}");
    assert!(run(&["rotate-root"], "")?.contains("generation 2"));

    let made = run(&["rekey", "--shares", "2", "--threshold", "2"], "")?;
    let new = shares(&made);
    assert!(run(&["rekey", "--confirm"], new[0])?.contains("1 of 2"));
    assert!(run(&["rekey", "--confirm"], new[1])?.contains("in place"));
    assert!(run(&["close"], "")?.contains("sealed"));
    assert!(run(&["status"], "")?.contains("sealed"));
    let refused = run(&["rotate-root"], "").unwrap_err().to_string();
    assert!(refused.contains("SEALED"), "{refused}");
    assert!(run(&["unseal"], &new.join("\n"))?.contains("generation 2"));
    process.kill()?;
    Ok(())
}

#[test]
fn a_share_is_no_argument() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    let output = command.current_dir(folder.path()).args(["seal", "unseal", "pbs1-00"]).output()?;
    assert_eq!(output.status.code(), Some(64));
    Ok(())
}
