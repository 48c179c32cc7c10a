//! Files from the command line, and by a reader and writer in Python that knows the format from its specification.

use crate::world::{CHUNK, KEY, World, message};
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use integration_tests::{camera::python_with, gateway::Settings, report::report, verdict::TestResult};
use patchbay_proto::crypto::v1 as pb;
use patchbay_testkit::{
    binaries::{binary, workspace},
    wait::wait_until,
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Time for a command to begin, on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

impl World {
    /// Runs `patchbay` as the operator.
    async fn patchbay(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments)?;
        command.stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("patchbay")?);
        command.args(arguments).args(["--url", &format!("http://{}", self.crypto.grpc)]);
        command.arg("--key").arg(self.folder.path().join("issuer.pem"));
        command.current_dir(self.folder.path());
        Ok(command)
    }

    /// Waits until a part of a result lies there.
    async fn wait_for_a_part(&self) -> Result<()> {
        wait_until("a part of the result is there", DEADLINE, async || {
            self.parts().is_ok_and(|left| left > 0)
        })
        .await?;
        Ok(())
    }

    /// How many unfinished results lie about.
    fn parts(&self) -> Result<usize> {
        let entries = fs::read_dir(self.folder.path())?.collect::<Result<Vec<_>, _>>()?;
        Ok(entries.iter().filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count())
    }

    async fn done(&self, arguments: &[&str]) -> Result<()> {
        let output = self.patchbay(arguments).await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// What a refused command says.
    async fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.patchbay(arguments).await?;
        ensure!(!output.status.success(), "{arguments:?} was done");
        Ok(String::from_utf8(output.stderr)?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[tokio::test]
async fn a_file_is_encrypted_and_decrypted_from_the_command_line() -> TestResult {
    let world = World::start().await?;
    let plain = message(3_000_000);
    fs::write(world.file("film.mp4"), &plain)?;
    world.done(&["encrypt", "film.mp4", "--with", KEY, "--associated-data", "x"]).await?;
    fs::remove_file(world.file("film.mp4"))?;
    let said = world.refused(&["decrypt", "film.mp4.pbs", "--with", KEY]).await?;
    assert!(said.contains("DECRYPTION_FAILED"), "{said}");
    assert!(!world.file("film.mp4").exists(), "nothing stands under the name that is not whole");
    world.done(&["decrypt", "film.mp4.pbs", "--with", KEY, "--associated-data", "x"]).await?;
    assert!(fs::read(world.file("film.mp4"))? == plain);
    let said = world.refused(&["decrypt", "film.mp4.pbs", "--with", KEY]).await?;
    assert!(said.contains("--force"), "{said}");
    let part = ["decrypt", "film.mp4.pbs", "--with", KEY, "--associated-data", "x", "--out", "part"];
    world.done(&[&part[..], &["--offset", "1000000", "--length", "50000"]].concat()).await?;
    assert!(fs::read(world.file("part"))? == plain[1_000_000..1_050_000]);
    let said = world.refused(&[&part[..], &["--force", "--offset", "3000001"]].concat()).await?;
    assert!(said.contains("3000000 bytes"), "{said}");
    let mut cut = fs::read(world.file("film.mp4.pbs"))?;
    cut.truncate(61 + 2 * (CHUNK + 16));
    fs::write(world.file("cut.pbs"), cut)?;
    world.refused(&["decrypt", "cut.pbs", "--with", KEY, "--associated-data", "x"]).await?;
    let left: Vec<_> = fs::read_dir(world.folder.path())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(!left.iter().any(|name| name == "cut" || name.contains(".part")), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_becomes_shorter_while_it_is_read_is_not_taken_for_the_whole() -> TestResult {
    let world = World::start().await?;
    let file = fs::File::create(world.file("disk"))?;
    // With a hole in it, which takes no place on the disk.
    file.set_len(1 << 32)?;
    let mut command = world.command(&["encrypt", "disk", "--with", KEY])?;
    let running = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    world.wait_for_a_part().await?;
    file.set_len(1000)?;
    let output = tokio::task::spawn_blocking(move || running.wait_with_output()).await??;
    let said = String::from_utf8(output.stderr)?;
    assert!(!output.status.success() && said.contains("shorter"), "{said}");
    assert!(!world.file("disk.pbs").exists() && world.parts()? == 0, "nothing is left");
    Ok(())
}

#[tokio::test]
async fn who_interrupts_finds_nothing_left() -> TestResult {
    let world = World::start().await?;
    for signal in ["-INT", "-TERM"] {
        let mut command = world.command(&["encrypt", "-", "--with", KEY, "--out", "sealed"])?;
        let mut running =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut input = running.stdin.take().context("no input")?;
        // More than the first piece, and the pipe stays open.
        input.write_all(&message(300_000))?;
        world.wait_for_a_part().await?;
        assert!(Command::new("kill").args([signal, &running.id().to_string()]).status()?.success());
        let output = tokio::task::spawn_blocking(move || running.wait_with_output()).await??;
        drop(input);
        let said = String::from_utf8(output.stderr)?;
        assert!(!output.status.success() && said.contains("interrupted"), "{signal}: {said}");
        assert!(!world.file("sealed").exists() && world.parts()? == 0, "{signal}: nothing is left");
    }
    Ok(())
}

/// Time that the service waits for a piece.
const PATIENCE: &str = "5s";

/// How long a pipe is silent: longer than that.
const SILENCE: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_pipe_may_be_silent_for_longer_than_the_service_waits() -> TestResult {
    let world = World::start_with(Settings::default().set("limits.request_timeout", PATIENCE)).await?;
    let plain = message(300_000);
    let slow = |arguments: &[&str], first: &[u8]| {
        let mut command = world.command(arguments)?;
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = running.stdin.take().context("no input")?;
        input.write_all(first)?;
        Ok::<_, anyhow::Error>((running, input))
    };
    fs::write(world.file("plain"), &plain)?;
    world.done(&["encrypt", "plain", "--with", KEY]).await?;
    let sealed = fs::read(world.file("plain.pbs"))?;
    // One begins and then says nothing, the other does not even begin.
    let (encrypting, mut rest) =
        slow(&["encrypt", "-", "--with", KEY, "--out", "slow.pbs"], &plain[..100_000])?;
    let (decrypting, mut all) = slow(&["decrypt", "-", "--with", KEY], &[])?;
    // This is what is tested: there is no condition to wait for.
    tokio::time::sleep(SILENCE).await;
    rest.write_all(&plain[100_000..])?;
    drop(rest);
    let feeding = tokio::task::spawn_blocking(move || all.write_all(&sealed));
    let (encrypted, decrypted) =
        tokio::task::spawn_blocking(move || (encrypting.wait_with_output(), decrypting.wait_with_output()))
            .await?;
    feeding.await??;
    assert!(encrypted?.status.success(), "it was silent in the middle");
    assert!(decrypted?.stdout == plain, "it was silent at the beginning");
    world.done(&["decrypt", "slow.pbs", "--with", KEY, "--out", "slow"]).await?;
    assert!(fs::read(world.file("slow"))? == plain);
    Ok(())
}

#[tokio::test]
async fn python_reads_what_was_written_and_the_other_way_round() -> TestResult {
    let Some(python) = python_with("cryptography") else {
        report("crypto streams: Python skipped: its cryptography is not installed");
        return Ok(());
    };
    let world = World::start().await?;
    let material = export(&world).await?;
    for length in [0, 5, CHUNK, 100_000] {
        let plain = message(length);
        fs::write(world.file("plain"), &plain)?;
        world.done(&["encrypt", "plain", "--with", KEY, "--associated-data", "both", "--force"]).await?;
        by_python(&python, &["decrypt", &material, "both"], &world.file("plain.pbs"), &world.file("read"))?;
        assert!(fs::read(world.file("read"))? == plain, "{length} bytes, read by Python");
        by_python(&python, &["encrypt", &material, "both"], &world.file("plain"), &world.file("py.pbs"))?;
        world.done(&["decrypt", "py.pbs", "--with", KEY, "--associated-data", "both", "--force"]).await?;
        assert!(fs::read(world.file("py"))? == plain, "{length} bytes, written by Python");
    }
    report("crypto streams: Python read four files of ours, and we four of its");
    Ok(())
}

async fn export(world: &World) -> Result<String> {
    let request = pb::ExportKeyRequest { name: KEY.into(), version: 1, ..Default::default() };
    let exported = world.keys()?.export_key(request).await?.into_inner();
    let version = exported.versions.first().context("no version")?;
    Ok(STANDARD.encode(&version.material))
}

fn by_python(python: &Path, arguments: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(workspace().join("integration-tests/clients/crypto_streams.py")).args(arguments);
    let output = command.arg(from).arg(to).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
