//! Unix milliseconds that follow tokio's clock, so that tests with paused time move expiries too. Not a source of
//! exact wall time: it never steps when the machine's clock is set.

use tokio::time::Instant;

/// Wall time at start plus what tokio's clock has run since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    origin_millis: u64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is below the chassis, whose clock cannot be seen from here"
    )]
    pub(crate) fn start() -> Self {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), origin_millis: millis(unix) }
    }

    /// Unix time in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.origin_millis + millis(self.origin.elapsed())
    }
}

/// A duration in whole milliseconds; the longest stand for "practically forever".
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    // 2^52 ms is 142,000 years, and still exact in the floating point numbers of Redis scripts.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 52)
}
