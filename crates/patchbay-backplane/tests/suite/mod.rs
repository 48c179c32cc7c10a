//! What every implementation must do. `one` and `two` are two replicas: in one process the same backplane twice.

mod file;
pub(crate) mod leases;
pub(crate) mod nodes;
pub(crate) mod presence;
pub(crate) mod pubsub;
pub(crate) mod records;
mod records_faults;
mod redis_faults;
pub(crate) mod streams;
pub(crate) mod values;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use patchbay_backplane::{
    Append, Backplane, BackplaneConfig, Event, Health, MemoryBackplane, Message, Name, RedisBackplane,
    Retention, SharedBackplane, Subscriber,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longest wait for anything that should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What a test runs on.
pub(crate) struct Subject {
    pub(crate) one: SharedBackplane,
    pub(crate) two: SharedBackplane,
    shutdown: CancellationToken,
    _folder: Option<TempDir>,
    _server: Option<RedisServer>,
}

impl Subject {
    pub(crate) fn memory() -> Self {
        let shutdown = CancellationToken::new();
        let backplane = Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &shutdown));
        Self { one: backplane.clone(), two: backplane, shutdown, _folder: None, _server: None }
    }

    pub(crate) fn file() -> Result<Self> {
        let shutdown = CancellationToken::new();
        let folder = TempDir::new()?;
        let file = folder.path().join("backplane.redb");
        let backplane = MemoryBackplane::open(&file, 16_384, &TaskTracker::new(), &shutdown)?;
        let backplane = Arc::new(backplane);
        Ok(Self { one: backplane.clone(), two: backplane, shutdown, _folder: Some(folder), _server: None })
    }

    pub(crate) async fn redis() -> Result<Self> {
        let server = RedisServer::start(Persistence::Always).await?;
        let shutdown = CancellationToken::new();
        let one = redis_client(&server.url(), &shutdown)?;
        let two = redis_client(&server.url(), &shutdown)?;
        up(&one).await?;
        up(&two).await?;
        Ok(Self { one: Arc::new(one), two: Arc::new(two), shutdown, _folder: None, _server: Some(server) })
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A client that notices a stall sooner than the default, so that tests are short.
pub(crate) fn redis_client(url: &str, shutdown: &CancellationToken) -> Result<RedisBackplane> {
    let config = BackplaneConfig { ping_interval: Duration::from_millis(500), ..BackplaneConfig::default() };
    Ok(RedisBackplane::start(url, &config, &TaskTracker::new(), shutdown)?)
}

/// Waits until a backplane is up.
pub(crate) async fn up(backplane: &dyn Backplane) -> Result<Duration> {
    let health = backplane.health();
    wait_until("the backplane is up", 3 * SOON, async || *health.borrow() == Health::Up).await
}

pub(crate) fn name(id: &str) -> Name {
    Name::new("test", "room", id)
}

pub(crate) fn keep(max_len: usize, max_age: Duration) -> Retention {
    Retention { max_len, max_age }
}

pub(crate) fn plenty() -> Retention {
    keep(10_000, Duration::from_hours(1))
}

pub(crate) fn append(stream: &Name, payload: impl Into<Bytes>) -> Append {
    Append { stream: stream.clone(), payload: payload.into(), key: None, retention: plenty() }
}

pub(crate) async fn next(subscriber: &mut Subscriber) -> Result<Event> {
    tokio::time::timeout(SOON, subscriber.recv())
        .await
        .context("no event came")?
        .context("the backplane was closed")
}

pub(crate) async fn next_message(subscriber: &mut Subscriber) -> Result<Message> {
    match next(subscriber).await? {
        Event::Message(message) => Ok(message),
        Event::Gap => bail!("a gap came instead of a message"),
    }
}
