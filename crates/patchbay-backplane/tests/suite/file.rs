//! What the file keeps over an orderly end and over `kill -9`.

use super::{SOON, append, keep, name};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use patchbay_backplane::{Append, BackplaneError, Cursor, KeyValue, Leases, Marks, MemoryBackplane, Streams};
use patchbay_testkit::wait::wait_until;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Tells the test below that it is the child; holds the path of the file.
const CHILD: &str = "PATCHBAY_BACKPLANE_TEST_FILE";

/// Opens the file, does something and closes it in order.
async fn session<T>(file: &Path, work: impl AsyncFnOnce(&MemoryBackplane) -> Result<T>) -> Result<T> {
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let backplane = MemoryBackplane::open(file, 1024, &tasks, &shutdown)?;
    let done = work(&backplane).await;
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    done
}

#[tokio::test]
async fn everything_goes_on_after_a_restart() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let (stream, key, map, lease) = (name("s"), name("k"), name("m"), name("l"));
    let keyed = Append { key: Some(("once".into(), SOON)), ..append(&stream, "keyed") };
    let small =
        |n: u64| Append { retention: keep(5, Duration::from_hours(1)), ..append(&stream, n.to_string()) };

    let (position, version, token) = session(&file, async |backplane| {
        let position = backplane.append(keyed.clone()).await?.position;
        try_join_all((2..=12).map(|n| backplane.append(small(n)))).await?;
        let version = backplane.set(&key, "v".into(), None).await?;
        backplane.set(&name("deleted"), "v".into(), None).await?;
        backplane.delete(&name("deleted")).await?;
        backplane.raise(&map, "ann", 7, SOON).await?;
        Ok((position, version, backplane.acquire(&lease, "a", SOON).await?))
    })
    .await?;

    session(&file, async |backplane| {
        let page = backplane.read(&stream, Cursor::After(0), 100).await?;
        let offsets: Vec<u64> = page.entries.iter().map(|entry| entry.offset).collect();
        ensure!(offsets == [8, 9, 10, 11, 12] && page.top.epoch == position.epoch, "{page:?}");
        let again = backplane.append(keyed.clone()).await?;
        ensure!(again.duplicate && again.position == position, "{again:?}");
        ensure!(backplane.append(small(13)).await?.position.offset == 13);
        ensure!(backplane.compare_and_set(&key, Some(version), "w".into(), None).await?.is_some());
        ensure!(backplane.get(&name("deleted")).await?.is_none());
        ensure!(backplane.marks(&map, 9).await? == [("ann".to_owned(), 7)]);
        ensure!(backplane.acquire(&lease, "b", SOON).await? > token);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_was_removed_stays_removed() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let stream = name("s");
    let removed = session(&file, async |backplane| {
        try_join_all((0..3).map(|_| backplane.append(append(&stream, "x")))).await?;
        backplane.remove(&stream).await?;
        Ok(backplane.read(&stream, Cursor::After(0), 9).await?)
    })
    .await?;
    session(&file, async |backplane| {
        ensure!(backplane.read(&stream, Cursor::After(0), 9).await? == removed);
        ensure!(backplane.append(append(&stream, "y")).await?.position.offset == 4);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn expired_marks_do_not_come_back() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let map = name("m");
    session(&file, async |backplane| {
        backplane.raise(&map, "old", 1, Duration::from_millis(50)).await?;
        let expired = async || backplane.marks(&map, 9).await.is_ok_and(|marks| marks.is_empty());
        wait_until("the map expires", SOON, expired).await?;
        backplane.raise(&map, "new", 2, SOON).await?;
        Ok(())
    })
    .await?;
    session(&file, async |backplane| {
        ensure!(backplane.marks(&map, 9).await? == [("new".to_owned(), 2)]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_file_serves_one_process() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    session(&file, async |_| {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let second = MemoryBackplane::open(&file, 16, &tasks, &shutdown);
        ensure!(matches!(second, Err(BackplaneError::Store(_))));
        Ok(())
    })
    .await
}

/// As the child of the test below: appends until it is killed and prints each offset once it is acknowledged.
#[tokio::test]
async fn child_that_appends_until_it_is_killed() -> Result<()> {
    let Some(file) = std::env::var_os(CHILD) else { return Ok(()) };
    let backplane =
        MemoryBackplane::open(Path::new(&file), 1024, &TaskTracker::new(), &CancellationToken::new())?;
    let mut out = std::io::stdout();
    loop {
        let appended = try_join_all((0..8).map(|_| backplane.append(append(&name("s"), "x")))).await?;
        let last = &appended.last().context("eight were appended")?.position;
        writeln!(out, "acknowledged {} {}", last.epoch, last.offset)?;
        out.flush()?;
    }
}

#[tokio::test]
async fn no_acknowledged_append_is_lost_by_kill_9() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("backplane.redb");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "suite::file::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD, &file)
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let acknowledged = |line: std::io::Result<String>| {
        let line = line.ok()?;
        let (epoch, offset) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
        Some((epoch.to_owned(), offset.parse::<u64>().ok()?))
    };
    let last = lines.filter_map(acknowledged).nth(20);
    child.kill()?;
    child.wait()?;
    let (epoch, offset) = last.context("the child acknowledged appends")?;
    session(&file, async |backplane| {
        let page = backplane.read(&name("s"), Cursor::After(0), 100_000).await?;
        ensure!(*page.top.epoch.0 == epoch && page.top.offset >= offset && page.is_whole_since(0));
        ensure!(backplane.append(append(&name("s"), "y")).await?.position.offset == page.top.offset + 1);
        Ok(())
    })
    .await
}
