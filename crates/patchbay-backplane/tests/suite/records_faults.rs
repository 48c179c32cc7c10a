//! What tables keep over restarts and `kill -9`, and which servers they refuse.

use super::{
    SOON,
    records::{done, one, put, table},
    redis_client, up,
};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use patchbay_backplane::{
    BackplaneError, Change, Expect, Health, MemoryBackplane, Order, RedisBackplane, Scan, SharedBackplane,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Tells the test below that it is the child; holds the path of the file.
const CHILD: &str = "PATCHBAY_BACKPLANE_TEST_TABLES";

/// Rows that the child changes in one commit.
const ROWS: usize = 4;

/// Opens the file, does something and closes it in order.
async fn session<T>(file: &Path, work: impl AsyncFnOnce(&SharedBackplane) -> Result<T>) -> Result<T> {
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let backplane: SharedBackplane = Arc::new(MemoryBackplane::open(file, 1024, &tasks, &shutdown)?);
    let done = work(&backplane).await;
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    done
}

fn everything() -> Scan {
    Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 100_000 }
}

#[tokio::test]
async fn a_file_keeps_rows_and_revisions() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let (kept, emptied) = (table("kept"), table("emptied"));
    let (page, last) = session(&file, async |backplane| {
        for number in 0..20 {
            done(backplane, vec![put(&kept, format!("{number:02}"), Expect::Absent, vec![0, 255, number])])
                .await?;
        }
        let first = done(backplane, vec![put(&emptied, "newest", Expect::Absent, "v")]).await?;
        let gone = Change { value: None, ..put(&emptied, "newest", Expect::Revision(first), "") };
        Ok((backplane.scan(&kept, everything()).await?, done(backplane, vec![gone]).await?))
    })
    .await?;
    session(&file, async |backplane| {
        ensure!(backplane.scan(&kept, everything()).await? == page);
        ensure!(backplane.revision(&emptied).await? == last, "the newest row is gone, not its number");
        ensure!(done(backplane, vec![put(&emptied, "newest", Expect::Absent, "v")]).await? == last + 1);
        Ok(())
    })
    .await
}

/// As the child of the test below: moves all rows on together until it is killed, and prints each number once it is
/// acknowledged.
#[tokio::test]
async fn child_that_commits_until_it_is_killed() -> Result<()> {
    let Some(file) = std::env::var_os(CHILD) else { return Ok(()) };
    let backplane: SharedBackplane = Arc::new(MemoryBackplane::open(
        Path::new(&file),
        1024,
        &TaskTracker::new(),
        &CancellationToken::new(),
    )?);
    let mut out = std::io::stdout();
    let mut expect = Expect::Absent;
    for number in 1_u64.. {
        let row = |at: usize| put(&table("moving"), format!("row-{at}"), expect, number.to_string());
        expect = Expect::Revision(done(&backplane, (0..ROWS).map(row).collect()).await?);
        writeln!(out, "acknowledged {number}")?;
        out.flush()?;
    }
    Ok(())
}

#[tokio::test]
async fn no_acknowledged_commit_is_lost_or_halved_by_kill_9() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "suite::records_faults::child_that_commits_until_it_is_killed", "--nocapture"])
        .env(CHILD, &file)
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let number =
        |line: std::io::Result<String>| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok();
    let last = lines.filter_map(number).nth(30);
    child.kill()?;
    child.wait()?;
    let acknowledged = last.context("the child acknowledged commits")?;
    session(&file, async |backplane| {
        let rows = backplane.scan(&table("moving"), everything()).await?.records;
        let newest = rows.first().context("there are rows")?.clone();
        ensure!(std::str::from_utf8(&newest.value)?.parse::<u64>()? >= acknowledged);
        ensure!(rows.len() == ROWS && rows.iter().all(|row| row.value == newest.value), "{rows:?}");
        ensure!(backplane.revision(&table("moving")).await? == newest.revision);
        Ok(())
    })
    .await
}

struct Client {
    backplane: SharedBackplane,
    shutdown: CancellationToken,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn client(server: &RedisServer) -> Result<Client> {
    let shutdown = CancellationToken::new();
    let backplane: RedisBackplane = redis_client(&server.url(), &shutdown)?;
    up(&backplane).await?;
    Ok(Client { backplane: Arc::new(backplane), shutdown })
}

/// Every call is refused, with a word on what to set.
async fn all_refused(backplane: &SharedBackplane, hint: &str) -> Result<()> {
    let table = table("refused");
    let refusals = [
        backplane.commit(vec![put(&table, "k", Expect::Absent, "v")]).await.map(drop),
        backplane.records(&table, vec!["k".into()]).await.map(drop),
        backplane.scan(&table, everything()).await.map(drop),
        backplane
            .scan(
                &table,
                Scan { after: Some("a".into()), prefix: "b".into(), order: Order::Descending, limit: 1 },
            )
            .await
            .map(drop),
        backplane.revision(&table).await.map(drop),
    ];
    for refusal in refusals {
        let Err(BackplaneError::Refused(reason)) = &refusal else {
            anyhow::bail!("not refused: {refusal:?}")
        };
        ensure!(reason.contains(hint), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused() -> Result<()> {
    for persistence in [Persistence::None, Persistence::EverySecond] {
        let server = RedisServer::start(persistence).await?;
        all_refused(&client(&server).await?.backplane, "appendfsync always").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_settings_is_refused() -> Result<()> {
    let server = RedisServer::start(Persistence::Always).await?;
    let shutdown = CancellationToken::new();
    let acl = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config"];
    server.command(&acl).await?;
    let url = format!("redis://app:secret@{}", server.address());
    let backplane = redis_client(&url, &shutdown)?;
    up(&backplane).await?;
    let client = Client { backplane: Arc::new(backplane), shutdown };
    all_refused(&client.backplane, "CONFIG GET").await
}

#[tokio::test]
async fn new_settings_count_from_the_next_connection() -> Result<()> {
    let server = RedisServer::start(Persistence::Always).await?;
    let client = client(&server).await?;
    done(&client.backplane, vec![put(&table("refused"), "old", Expect::Absent, "v")]).await?;
    server.command(&["CONFIG", "SET", "no-appendfsync-on-rewrite", "yes"]).await?;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
    let is_refused = async || {
        matches!(client.backplane.revision(&table("refused")).await, Err(BackplaneError::Refused(_)))
    };
    wait_until("the new connection has noticed", SOON, is_refused).await?;
    all_refused(&client.backplane, "no-appendfsync-on-rewrite no").await
}

#[tokio::test]
async fn redis_keeps_rows_and_revisions_over_kill_9() -> Result<()> {
    let mut server = RedisServer::start(Persistence::Always).await?;
    let client = client(&server).await?;
    let Client { backplane, .. } = &client;
    let (kept, emptied) = (table("kept"), table("emptied"));
    let commits = (0..200).map(|number: u32| {
        done(backplane, vec![put(&kept, format!("{number:03}"), Expect::Absent, vec![0, 255])])
    });
    try_join_all(commits).await?;
    let first = done(backplane, vec![put(&emptied, "k", Expect::Absent, "v")]).await?;
    let gone = Change { value: None, ..put(&emptied, "k", Expect::Revision(first), "") };
    let last = done(backplane, vec![gone]).await?;
    let page = backplane.scan(&kept, everything()).await?;
    server.kill()?;
    let health = backplane.health();
    wait_until("it is down", SOON, async || matches!(&*health.borrow(), Health::Down(_))).await?;
    server.restart().await?;
    up(&**backplane).await?;
    ensure!(page.records.len() == 200 && backplane.scan(&kept, everything()).await? == page);
    ensure!(backplane.revision(&emptied).await? == last && one(backplane, &emptied, "k").await?.is_none());
    ensure!(done(backplane, vec![put(&emptied, "k", Expect::Absent, "v")]).await? > last);
    Ok(())
}

/// Who read a row before Redis lost everything must not take its successor for it.
#[tokio::test]
async fn revisions_rise_even_when_the_data_is_lost() -> Result<()> {
    let mut server = RedisServer::start(Persistence::Always).await?;
    let client = client(&server).await?;
    let Client { backplane, .. } = &client;
    let table = table("lost");
    let before = done(backplane, vec![put(&table, "k", Expect::Absent, "v")]).await?;
    server.kill()?;
    let health = backplane.health();
    wait_until("it is down", SOON, async || matches!(&*health.borrow(), Health::Down(_))).await?;
    server.restart_empty().await?;
    up(&**backplane).await?;
    ensure!(one(backplane, &table, "k").await?.is_none() && backplane.revision(&table).await? == 0);
    ensure!(done(backplane, vec![put(&table, "k", Expect::Absent, "w")]).await? > before);
    Ok(())
}

/// A commit whose answer was lost may have taken effect, but never twice: what it was to find would be gone.
#[tokio::test]
async fn a_commit_in_flight_is_not_sent_twice() -> Result<()> {
    let server = RedisServer::start(Persistence::Always).await?;
    let client = client(&server).await?;
    let Client { backplane, .. } = &client;
    let table = table("once");
    let (mut acknowledged, mut unknown) = (0_u64, 0_u64);
    let started = std::time::Instant::now();
    for round in 0_u64.. {
        if round >= 20 && unknown > 0 {
            break;
        }
        ensure!(started.elapsed() < 3 * SOON, "no commit was cut off in {round} rounds");
        let commits: Vec<_> = (0..20_u64)
            .map(|at| backplane.commit(vec![put(&table, format!("{round}-{at}"), Expect::Absent, "v")]))
            .collect();
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
        for commit in commits {
            match commit.await {
                Ok(patchbay_backplane::Committed::Done { .. }) => acknowledged += 1,
                Err(BackplaneError::Unavailable(_)) => unknown += 1,
                other => anyhow::bail!("{other:?}: a commit that was sent again finds its own row"),
            }
        }
        up(&**backplane).await?;
    }
    // The last cut may be noticed only now.
    let page = loop {
        match backplane.scan(&table, everything()).await {
            Err(BackplaneError::Unavailable(_)) if started.elapsed() < 6 * SOON => {
                up(&**backplane).await?;
            }
            page => break page?,
        }
    };
    let rows = page.records.len() as u64;
    ensure!(rows >= acknowledged && rows <= acknowledged + unknown, "{acknowledged}, {unknown}, {rows}");
    Ok(())
}
