//! The all-in-one as `scripts/run` starts it: everything ready on one process, and nothing lost by a restart.

use anyhow::{Context, Result, ensure};
use integration_tests::verdict::TestResult;
use patchbay_testkit::{
    binaries::binary,
    chat::ChatClient,
    http,
    ports::free_address,
    process::{Launch, Process},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

struct Suite {
    folder: TempDir,
    chat: SocketAddr,
    console: SocketAddr,
    ops: SocketAddr,
    grpc: [SocketAddr; 3],
}

impl Suite {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let grpc = [free_address(), free_address(), free_address()];
        Ok(Self { folder, chat: free_address(), console: free_address(), ops: free_address(), grpc })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn start(&self) -> Result<Process> {
        Launch::binary("patchbay", "patchbay", self.folder.path())?
            .arg("run")
            .arg("--services")
            .arg("all")
            .arg("--dev")
            .env("PATCHBAY_DATA__DIR", self.data())
            .env("PATCHBAY_OPS__LISTEN", self.ops.to_string())
            .env("PATCHBAY_CHAT_GATEWAY__LISTEN__HTTP", self.chat.to_string())
            .env("PATCHBAY_CHAT_GATEWAY__GRPC__LISTEN", self.grpc[0].to_string())
            .env("PATCHBAY_CONSOLE__HTTP__LISTEN", self.console.to_string())
            .env("PATCHBAY_CONSOLE__GRPC__LISTEN", self.grpc[1].to_string())
            .env("PATCHBAY_CAMERA_RELAY__LISTEN__HTTP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__GRPC__LISTEN", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__UDP", "127.0.0.1:0")
            .env("PATCHBAY_CAMERA_RELAY__MEDIA__TCP", "127.0.0.1:0")
            .env("PATCHBAY_CRYPTO_SERVICE__LISTEN__HTTP", "127.0.0.1:0")
            .env("PATCHBAY_CRYPTO_SERVICE__GRPC__LISTEN", self.grpc[2].to_string())
            .start_ready(self.ops)
            .await
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.chat)
    }
}

/// Runs `patchbay token create` as the README says, and takes the last line.
fn token(data: &Path, scopes: &[&str]) -> Result<String> {
    let mut command = Command::new(binary("patchbay")?);
    command.args(["token", "create", "--sub", "ada", "--data"]).arg(data);
    for scope in scopes {
        command.args(["--scope", scope]);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().context("no output")?.to_owned())
}

#[tokio::test]
async fn a_restart_keeps_what_was_said_and_who_may_come_in() -> TestResult {
    let suite = Suite::new()?;
    let mut process = suite.start().await?;
    let ready = http::get(suite.ops, "/readyz", &[]).await?;
    assert_eq!(ready.status, 200, "{}", ready.body);
    let page = http::get(suite.console, "/", &[]).await?;
    assert_eq!(page.status, 200, "{}", page.head);

    let token = token(&suite.data(), &["chat:subscribe:*", "chat:publish:*"])?;
    let mut client = ChatClient::with_token(&suite.url(), &token).await?;
    let top = client.call("subscribe", json!({"channel": "den"})).await?;
    for number in 0..3 {
        client.call("publish", json!({"channel": "den", "data": number})).await?;
    }
    client.call("receipt", json!({"channel": "den", "read": 2})).await?;

    process.terminate()?;
    assert_eq!(client.closed(Duration::from_secs(15)).await?.code, 3001);
    assert_eq!(process.wait_exit(Duration::from_secs(30)).await?, Some(0));
    drop(process);

    let _process = suite.start().await?;
    let mut client = ChatClient::with_token(&suite.url(), &token).await?;
    let recover = json!({"epoch": top["epoch"], "offset": 0});
    let answer = client.call("subscribe", json!({"channel": "den", "recover": recover})).await?;
    assert_eq!((&answer["recovered"], &answer["offset"]), (&json!(true), &json!(3)));
    let data: Vec<&Value> = answer["publications"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|publication| &publication["data"])
        .collect();
    assert_eq!(data, [&json!(0), &json!(1), &json!(2)]);
    let marks = client.call("receipts", json!({"channel": "den"})).await?;
    assert_eq!(marks["marks"][0]["read"], 2);
    Ok(())
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_acknowledged() -> TestResult {
    let suite = Suite::new()?;
    let mut process = suite.start().await?;
    let mut client = ChatClient::guest(&suite.url(), "Ada").await?;
    let top = client.call("subscribe", json!({"channel": "lobby"})).await?;
    for number in 0..20 {
        client.call("publish", json!({"channel": "lobby", "data": number})).await?;
    }
    process.kill()?;
    drop(process);

    let _process = suite.start().await?;
    let mut client = ChatClient::guest(&suite.url(), "Ada").await?;
    let recover = json!({"epoch": top["epoch"], "offset": 0});
    let answer = client.call("subscribe", json!({"channel": "lobby", "recover": recover})).await?;
    assert_eq!((&answer["recovered"], &answer["offset"]), (&json!(true), &json!(20)));
    Ok(())
}

/// The reference lists every metric that the process shows, and none that it does not.
#[tokio::test]
async fn the_metrics_reference_is_what_is_shown() -> TestResult {
    let suite = Suite::new()?;
    let _process = suite.start().await?;
    let shown = http::get(suite.ops, "/metrics", &[]).await?.body;
    let types = shown.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types = types.filter_map(|line| line.split_once(' '));
    let help = |name: &str| {
        let prefix = format!("# HELP {name} ");
        shown
            .lines()
            .find_map(|line| line.strip_prefix(prefix.as_str()))
            .unwrap_or_default()
            .trim_end_matches('.')
    };
    let mut rows: Vec<String> = types
        .map(|(name, kind)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            format!("| `{name}{suffix}` | {kind} | {} |", help(name))
        })
        .collect();
    rows.sort();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics.md");
    let page = std::fs::read_to_string(path)?;
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(listed, rows, "docs/reference/metrics.md should have:\n{}", rows.join("\n"));
    Ok(())
}
