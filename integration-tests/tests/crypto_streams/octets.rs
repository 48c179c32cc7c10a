//! As plain octets over HTTP, with curl.

use crate::world::{CHUNK, HEADER, KEY, SEALED_CHUNK, World, message};
use anyhow::{Context, Result, ensure};
use integration_tests::{gateway::Settings, verdict::TestResult};
use patchbay_testkit::wait::wait_until;
use serde_json::Value;
use std::{fs, path::Path, process::Output, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

/// Time for an exchange, on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

impl World {
    /// `curl -T`, which reads while it sends.
    async fn curl(&self, path: &str, upload: &Path, out: &Path) -> Result<Output> {
        self.curl_with("--http1.1", path, upload, out).await
    }

    async fn curl_with(&self, version: &str, path: &str, upload: &Path, out: &Path) -> Result<Output> {
        let mut command = Command::new("curl");
        command.arg(version);
        command.args([
            "--silent",
            "--show-error",
            "--request",
            "POST",
            "--header",
            "Expect:",
            "--dump-header",
            "-",
        ]);
        command.arg("--header").arg(format!("Authorization: Bearer {}", self.installation.admin()?));
        command.arg("--upload-file").arg(upload).arg("--output").arg(out);
        command.arg(format!("http://{}/v1/keys/{path}", self.crypto.http)).kill_on_drop(true);
        timeout(DEADLINE, command.output()).await.context("curl does not end")?.map_err(Into::into)
    }

    /// Uploads and returns status, headers and body.
    async fn post(&self, path: &str, body: &[u8]) -> Result<(u16, String, Vec<u8>)> {
        let (upload, out) = (self.folder.path().join("upload"), self.folder.path().join("answer"));
        fs::write(&upload, body)?;
        fs::write(&out, [])?;
        let output = self.curl(path, &upload, &out).await?;
        let head = String::from_utf8(output.stdout)?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        ensure!(output.status.success(), "{head}{}", String::from_utf8_lossy(&output.stderr));
        Ok((status, head.to_ascii_lowercase(), fs::read(out)?))
    }
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out() -> TestResult {
    let world = World::start().await?;
    let plain = message(20 * 1024 * 1024 + 7);
    let (status, head, sealed) = world.post("files/encrypt-stream?associated_data=YWI", &plain).await?;
    assert_eq!((status, sealed.len()), (200, HEADER + plain.len() + (plain.len() / CHUNK + 1) * 16));
    assert!(head.contains("patchbay-key-version: 1") && head.contains("application/octet-stream"), "{head}");
    let (status, _, again) = world.post("files/decrypt-stream?associated_data=YWI", &sealed).await?;
    assert!(status == 200 && again == plain);
    let (status, _, nothing) = world.post("files/decrypt-stream", &sealed).await?;
    let refusal: Value = serde_json::from_slice(&nothing)?;
    assert_eq!(
        (status, &refusal["error"]["reason"]),
        (400, &Value::from("DECRYPTION_FAILED")),
        "another context"
    );
    let part = [&sealed[..HEADER], &sealed[HEADER + 2 * SEALED_CHUNK..HEADER + 4 * SEALED_CHUNK]].concat();
    let path = format!("files/decrypt-stream?associated_data=YWI&offset={}&length=20000", 2 * CHUNK + 5);
    let (status, _, found) = world.post(&path, &part).await?;
    assert!(status == 200 && found == plain[2 * CHUNK + 5..][..20_000]);
    Ok(())
}

#[tokio::test]
async fn what_is_found_out_late_breaks_the_answer_off() -> TestResult {
    let world = World::start().await?;
    // Not a multiple of a chunk: the last one would be empty, and everything else is genuine.
    let plain = message(4 * 1024 * 1024 + 1000);
    let (_, _, mut sealed) = world.post("files/encrypt-stream", &plain).await?;
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    let (upload, out) = (world.folder.path().join("changed"), world.folder.path().join("out"));
    fs::write(&upload, sealed)?;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let output = world.curl_with(version, "files/decrypt-stream", &upload, &out).await?;
        assert!(!output.status.success(), "{version}: curl must not take it for the whole");
        let found = fs::read(&out)?;
        assert!(
            found.len() < plain.len() && plain.starts_with(&found),
            "{version}: what came is genuine: {} of {} bytes, equal: {}",
            found.len(),
            plain.len(),
            found == plain
        );
    }
    let counted = format!("refusals_total{{reason=\"{}\"}} 2", "DECRYPTION_FAILED");
    wait_until("both are counted", DEADLINE, async || {
        let metrics = patchbay_testkit::http::get(world.crypto.ops, "/metrics", &[]).await;
        metrics.is_ok_and(|answer| answer.body.contains(&counted))
    })
    .await?;
    Ok(())
}

/// Its answers end with the connection, so that one that is broken off looks whole.
#[tokio::test]
async fn http_1_0_is_refused() -> TestResult {
    let world = World::start().await?;
    let (upload, out) = (world.folder.path().join("upload"), world.folder.path().join("out"));
    fs::write(&upload, message(100))?;
    for path in ["files/encrypt-stream", "files/decrypt-stream"] {
        let output = world.curl_with("--http1.0", path, &upload, &out).await?;
        let head = String::from_utf8(output.stdout)?;
        assert!(head.contains(" 505 "), "{path}: {head}");
        let body: Value = serde_json::from_slice(&fs::read(&out)?)?;
        assert_eq!(body["error"]["reason"], "HTTP_VERSION", "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn mistakes_are_told_in_json() -> TestResult {
    let world = World::start().await?;
    for (path, expected, reason) in [
        ("nobody/encrypt-stream", 404, "NOT_FOUND"),
        ("%ff/decrypt-stream", 400, "BAD_REQUEST"),
        ("files/encrypt-stream?offset=1", 400, "BAD_REQUEST"),
        ("files/decrypt-stream?length=-1", 400, "BAD_REQUEST"),
        ("files/encrypt-stream?associated_data=%2B", 400, "BAD_REQUEST"),
        ("files/encrypt-stream?key_version=9", 400, "KEY_VERSION"),
    ] {
        let (status, _, body) = world.post(path, b"abc").await?;
        let body: Value = serde_json::from_slice(&body).with_context(|| path.to_owned())?;
        assert_eq!((status, body["error"]["reason"].as_str()), (expected, Some(reason)), "{path}: {body}");
    }
    Ok(())
}

/// Time that a body may stand still, as configured.
const PATIENCE: &str = "1s";

#[tokio::test]
async fn a_body_that_breaks_off_makes_no_whole_answer_and_holds_nothing() -> TestResult {
    let world = World::start_with(Settings::default().set("limits.request_timeout", PATIENCE)).await?;
    let token = world.installation.admin()?;
    for stops in ["closes", "stands still", "does not read"] {
        let mut stream = TcpStream::connect(world.crypto.http).await?;
        let head = format!(
            "POST /v1/keys/{KEY}/encrypt-stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        if stops == "does not read" {
            // Until the buffers of both directions are full, and then until the server loses its patience.
            let piece = vec![0; 64 * 1024];
            let flood = async { while stream.write_all(&piece).await.is_ok() {} };
            timeout(DEADLINE, flood).await.context("who does not read is fed for ever")?;
            continue;
        }
        stream.write_all(&vec![0; 100_000]).await?;
        if stops == "closes" {
            stream.shutdown().await?;
        }
        let mut answer = Vec::new();
        drop(timeout(DEADLINE, stream.read_to_end(&mut answer)).await.context("it stays open")?);
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{stops}: it looks whole");
    }
    wait_until("no connection is left", DEADLINE, async || {
        let metrics = patchbay_testkit::http::get(world.crypto.ops, "/metrics", &[]).await;
        metrics.is_ok_and(|answer| answer.body.contains("\npatchbay_crypto_service_rest_connections 0"))
    })
    .await?;
    Ok(())
}
