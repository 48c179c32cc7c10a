//! Time and randomness as services see them, so that tests can set the one and seed the other.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The wall clock. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`] moves it; for tests.
    pub fn manual(millis: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(millis))))
    }

    /// Moves a manual clock; the machine's clock does not listen.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.0 {
            millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Milliseconds since 1970.
    pub fn now_millis(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes from")]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(millis) => UNIX_EPOCH + Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

/// Source of random ids. Cheap to clone; clones of a seeded source share its sequence.
#[derive(Clone, Debug, Default)]
pub struct Ids(Option<Arc<Mutex<StdRng>>>);

impl Ids {
    /// The process's cryptographic generator.
    pub fn random() -> Self {
        Self(None)
    }

    /// A repeatable sequence; for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        match &self.0 {
            None => rand::random(),
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).random(),
        }
    }

    /// `digits` random hexadecimal digits; 32 are as good as a UUID.
    pub fn random_hex(&self, digits: usize) -> String {
        let mut hex = String::with_capacity(digits + 16);
        while hex.len() < digits {
            write!(hex, "{:016x}", self.random_u64()).expect("writing to a string cannot fail");
        }
        hex.truncate(digits);
        hex
    }
}
