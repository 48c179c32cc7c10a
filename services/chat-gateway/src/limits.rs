//! Rate limits: one bucket a connection, and shares of a limit that holds over all replicas.

use parking_lot::Mutex;
use patchbay_backplane::{Name, SharedBackplane};
use patchbay_chassis::Tasks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Times a second, in the long run.
    pub per_second: u32,
    /// Times at once, after a rest.
    pub burst: u32,
}

/// A bucket of one connection: the generic cell rate algorithm (ITU-T I.371), in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When the bucket would be full again.
    full_at: u64,
}

impl Bucket {
    /// Takes one; an error says how long to wait for the next. `now` is in microseconds and only rises.
    pub fn take(&mut self, rate: Rate, now: u64) -> Result<(), Duration> {
        let step = 1_000_000 / u64::from(rate.per_second.max(1));
        let tolerance = step * u64::from(rate.burst.max(1));
        let full_at = self.full_at.max(now) + step;
        if full_at > now + tolerance {
            return Err(Duration::from_micros(full_at - now - tolerance));
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A user.
    User(Arc<str>),
    /// An address.
    Address(IpAddr),
}

/// Window over which a shared limit is counted.
const WINDOW: Duration = Duration::from_secs(10);
/// A replica draws this part of a window's allowance at a time, so that most commands cost no round trip.
const DRAWS: u32 = 20;

/// Limits that hold over all replicas. A replica draws shares from the counter on the backplane and spends them locally;
/// while a draw is under way, or the backplane is away, one share is given on trust.
pub struct SharedLimits {
    backplane: SharedBackplane,
    tasks: Tasks,
    shares: Mutex<HashMap<Payer, Share>>,
}

struct Share {
    left: u32,
    drawing: Drawing,
    /// The window's allowance is spent until then.
    spent_until: Option<Instant>,
    used: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawing {
    Idle,
    UnderWay,
}

impl SharedLimits {
    /// Makes limits without any shares.
    pub fn new(backplane: SharedBackplane, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self { backplane, tasks, shares: Mutex::default() })
    }

    /// Spends one of the payer's allowance; an error says how long to wait.
    pub fn take(self: &Arc<Self>, payer: Payer, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let (allowance, portion) = allowance(rate);
        let mut shares = self.shares.lock();
        let share = shares.entry(payer.clone()).or_insert_with(|| Share {
            left: portion,
            drawing: Drawing::Idle,
            spent_until: None,
            used: now,
        });
        share.used = now;
        if let Some(until) = share.spent_until {
            if now < until {
                return Err(until - now);
            }
            share.spent_until = None;
            share.left = share.left.max(portion);
        }
        if share.left <= portion / 2 && share.drawing == Drawing::Idle {
            share.drawing = Drawing::UnderWay;
            self.draw(payer, allowance, portion);
        }
        if share.left == 0 {
            return Err(Duration::from_millis(100));
        }
        share.left -= 1;
        Ok(())
    }

    /// Forgets payers that have not paid for a while.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.shares.lock().retain(|_, share| now.duration_since(share.used) < 2 * WINDOW);
    }

    fn draw(self: &Arc<Self>, payer: Payer, allowance: u64, portion: u32) {
        let name = match &payer {
            Payer::User(user) => Name::new("chat", "user-rate", user.clone()),
            Payer::Address(address) => Name::new("chat", "address-rate", address.to_string()),
        };
        let answer = self.backplane.add(&name, u64::from(portion), WINDOW);
        let limits = self.clone();
        self.tasks.spawn_light(async move {
            let sum = answer.await;
            let mut shares = limits.shares.lock();
            let Some(share) = shares.get_mut(&payer) else { return };
            share.drawing = Drawing::Idle;
            match sum {
                Ok(sum) if sum > allowance => share.spent_until = Some(Instant::now() + WINDOW / 2),
                Ok(_) | Err(_) => share.left += portion,
            }
        });
    }
}

/// What a window allows in all, and what is drawn at a time.
fn allowance(rate: Rate) -> (u64, u32) {
    let window = u64::from(rate.per_second) * WINDOW.as_secs() + u64::from(rate.burst);
    let portion = u32::try_from(window / u64::from(DRAWS)).unwrap_or(u32::MAX).max(1);
    (window, portion.max(rate.burst / DRAWS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate { per_second: 10, burst: 5 };
        let mut bucket = Bucket::default();
        let mut given = 0;
        while bucket.take(rate, 1_000_000).is_ok() {
            given += 1;
        }
        assert_eq!(given, 5);
        assert_eq!(bucket.take(rate, 1_000_000), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(rate, 1_100_000), Ok(()));
        assert!(bucket.take(rate, 1_100_000).is_err());
    }
}
