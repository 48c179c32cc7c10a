//! Waiting for a condition instead of sleeping.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Waits until a condition holds and returns how long that took. `what` names it in the error.
pub async fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<Duration> {
    wait_for(what, deadline, async || condition().await.then_some(())).await.map(|((), took)| took)
}

/// Waits until there is a value, and returns it with the time it took.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> Result<(T, Duration)> {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return Ok((value, started.elapsed()));
        }
        if started.elapsed() > deadline {
            bail!("{what}: not within {deadline:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}
