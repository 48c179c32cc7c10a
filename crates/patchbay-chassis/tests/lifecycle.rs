//! A real process: it becomes ready, answers its operators, drains on SIGTERM, and refuses a bad configuration.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::Result;
use patchbay_testkit::{http, keys::Keys, ports::free_address, process::Launch, wait::wait_until};
use std::{env, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

/// Three times the longest drain that is configured here.
const DEADLINE: Duration = Duration::from_secs(10);

/// The example, which cargo builds for a whole test run, and here for one of this file alone.
fn smallest() -> PathBuf {
    let test = env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples/smallest");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if !path.exists() {
        let build = ["build", "--quiet", "--package", "patchbay-chassis", "--example", "smallest"];
        assert!(Command::new(cargo).args(build).status().unwrap().success());
    }
    path
}

fn launch(folder: &tempfile::TempDir, ops: SocketAddr) -> Launch {
    Launch::program(smallest(), "smallest", folder.path())
        .env("PATCHBAY_OPS__LISTEN", ops.to_string())
        .env("PATCHBAY_GRPC__LISTEN", "127.0.0.1:0")
        .env("PATCHBAY_DRAIN__DELAY", "500ms")
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_zero() -> Result<()> {
    let (folder, ops) = (tempfile::tempdir()?, free_address());
    let mut process = launch(&folder, ops).arg("--dev").start_ready(ops).await?;
    let ready = http::get(ops, "/readyz", &[]).await?;
    assert!(
        ready.body.contains("\"status\":\"ready\"") && ready.body.contains("\"component\":\"backplane\"")
    );
    process.terminate()?;
    // The delay keeps it up, and unready, while load balancers notice.
    wait_until("it says that it is draining", DEADLINE, async || {
        http::get(ops, "/readyz", &[]).await.is_ok_and(|a| a.status == 503 && a.body.contains("draining"))
    })
    .await?;
    assert_eq!(process.wait_exit(DEADLINE).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_stops_at_once() -> Result<()> {
    let (folder, ops) = (tempfile::tempdir()?, free_address());
    let launch = launch(&folder, ops).env("PATCHBAY_DRAIN__DELAY", "1h").arg("--dev");
    let mut process = launch.start_ready(ops).await?;
    process.terminate()?;
    wait_until("it is draining", DEADLINE, async || {
        http::get(ops, "/readyz", &[]).await.is_ok_and(|answer| answer.status == 503)
    })
    .await?;
    process.terminate()?;
    assert_eq!(process.wait_exit(DEADLINE).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_bad_configuration_exits_with_64() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let launch =
        launch(&folder, free_address()).env("PATCHBAY_GREETING__EVERY", "0s").env("PATCHBAY_LOG__LEVL", "x");
    let mut process = launch.arg("--dev").start()?;
    assert_eq!(process.wait_exit(DEADLINE).await?, Some(64));
    let log = process.log();
    assert!(
        log.contains("greeting.every: must not be zero") && log.contains("log.levl: unknown key"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_exits_with_1_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut process = launch(&folder, taken.local_addr()?).arg("--dev").start()?;
    assert_eq!(process.wait_exit(DEADLINE).await?, Some(1));
    assert!(process.log().contains("could not listen on"), "{}", process.log());
    Ok(())
}

#[tokio::test]
async fn health_tells_by_its_exit_code() -> Result<()> {
    let (folder, ops) = (tempfile::tempdir()?, free_address());
    let health = |name: &str| {
        let launch = Launch::program(smallest(), name, folder.path());
        launch.env("PATCHBAY_OPS__LISTEN", ops.to_string()).arg("--dev").arg("health").start()
    };
    assert_eq!(health("before")?.wait_exit(DEADLINE).await?, Some(1));
    let _process = launch(&folder, ops).arg("--dev").start_ready(ops).await?;
    assert_eq!(health("after")?.wait_exit(DEADLINE).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn the_log_level_is_for_operators() -> Result<()> {
    let (folder, ops) = (tempfile::tempdir()?, free_address());
    let keys = Keys::create(folder.path())?;
    let jwks = keys.jwks().as_os_str().to_owned();
    let mut process = launch(&folder, ops).env("PATCHBAY_AUTH__JWKS_FILE", jwks).start_ready(ops).await?;
    let put = async |scopes: &[&str], filter: &str| -> Result<u16> {
        let token = keys.token("op", scopes)?;
        put_log_level(ops, &token, filter).await
    };
    assert_eq!(put(&["chat:publish:room/*"], "debug").await?, 403);
    assert_eq!(put(&["smallest:operate:*"], "what,=").await?, 400);
    assert_eq!(put(&["smallest:operate:*"], "debug").await?, 204);
    assert_eq!(put(&["admin"], "info").await?, 204);
    process.kill()?;
    assert!(process.log().contains("log filter changed"));
    Ok(())
}

async fn put_log_level(ops: SocketAddr, token: &str, filter: &str) -> Result<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(ops).await?;
    let head = format!(
        "PUT /log-level HTTP/1.0\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        filter.len()
    );
    stream.write_all(format!("{head}{filter}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().parse()?)
}

#[tokio::test]
async fn a_backplane_that_is_away_is_degraded_and_not_unready() -> Result<()> {
    let (folder, ops) = (tempfile::tempdir()?, free_address());
    let nobody = format!("redis://{}", free_address());
    let process =
        launch(&folder, ops).env("PATCHBAY_BACKPLANE__URL", nobody).arg("--dev").start_ready(ops).await?;
    wait_until("it says that the backplane is away", DEADLINE, async || {
        let answer = http::get(ops, "/readyz", &[]).await;
        answer.is_ok_and(|answer| answer.status == 200 && answer.body.contains("\"status\":\"degraded\""))
    })
    .await?;
    let metrics = http::get(ops, "/metrics", &[]).await?.body;
    assert!(metrics.contains("patchbay_backplane_up 0"), "{metrics}");
    drop(process);
    Ok(())
}
