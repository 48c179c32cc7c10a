//! How viewers leave a replica that stops: one after the other, so that they do not all come back elsewhere at once.

use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// Tells all viewers to go.
pub(super) struct Stopping(watch::Sender<Option<Duration>>);

impl Stopping {
    /// Not yet.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Within this time.
    pub(super) fn begin(&self, spread: Duration) {
        self.0.send_replace(Some(spread));
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// For one viewer; its place among all is random.
    pub(super) fn farewell(&self, random: u64) -> Farewell {
        let part = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        Farewell { stopping: self.0.subscribe(), part, at: None }
    }
}

/// When a viewer has to go because the replica stops.
pub(crate) struct Farewell {
    stopping: watch::Receiver<Option<Duration>>,
    /// Its place in the time over which all go, 0 to 1.
    part: f64,
    at: Option<Instant>,
}

impl Farewell {
    /// Waits until it is time to go. Cancel-safe.
    pub(crate) async fn time_to_go(&mut self) {
        let at = if let Some(at) = self.at {
            at
        } else {
            let spread = self.stopping.wait_for(Option::is_some).await.ok().and_then(|spread| *spread);
            *self.at.insert(Instant::now() + spread.unwrap_or_default().mul_f64(self.part))
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_goes_in_its_time() {
        let stopping = Stopping::new();
        let (mut first, mut last) = (stopping.farewell(0), stopping.farewell(u64::MAX));
        assert!(
            tokio::time::timeout(Duration::from_hours(1), first.time_to_go()).await.is_err(),
            "nothing was said yet"
        );
        let begun = Instant::now();
        stopping.begin(Duration::from_secs(10));
        assert!(stopping.has_begun());
        first.time_to_go().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // Asked for anew, it waits for the same moment.
        assert!(tokio::time::timeout(Duration::from_secs(4), last.time_to_go()).await.is_err());
        last.time_to_go().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }
}
