//! Files from the command line, and by a reader and writer in Python that knows the format from its specification.

use crate::world::{CHUNK, KEY, World, message};
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use integration_tests::{camera::python_with, report::report, verdict::TestResult};
use patchbay_proto::crypto::v1 as pb;
use patchbay_testkit::binaries::{binary, workspace};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

impl World {
    /// Runs `patchbay` as the operator.
    async fn patchbay(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary("patchbay")?);
        command.args(arguments).args(["--url", &format!("http://{}", self.crypto.grpc)]);
        command.arg("--key").arg(self.folder.path().join("issuer.pem"));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
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
