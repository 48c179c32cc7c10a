//! How many offers an address may make: an answer costs more than the request that asks for it.

use crate::addresses::household;
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, time::Duration};
use tokio::time::Instant;

/// Addresses that are remembered; when there are more, those that have rested are forgotten, and if none has, the newcomer is not counted: whoever
/// has so many addresses is not held up by this, and everybody else must not be.
const MOST: usize = 100_000;

/// A bucket for each address: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Offers {
    /// Time that one offer takes.
    step: Duration,
    /// How much of it may be taken ahead.
    ahead: Duration,
    /// When each bucket is full again.
    full_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Offers {
    /// So many a second in the long run, and so many at once after a rest.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let step = Duration::from_secs(1) / per_second.max(1);
        Self { step, ahead: step * burst.max(1), full_at: Mutex::default() }
    }

    /// Counts one; an error says after how long to come back.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let who = household(address);
        let mut buckets = self.full_at.lock();
        let full_at = buckets.get(&who).copied().unwrap_or(now).max(now) + self.step;
        if full_at > now + self.ahead {
            return Err(full_at.saturating_duration_since(now + self.ahead));
        }
        if buckets.len() >= MOST && !buckets.contains_key(&who) {
            buckets.retain(|_, full_at| *full_at > now);
        }
        if buckets.len() < MOST || buckets.contains_key(&who) {
            buckets.insert(who, full_at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let offers = Offers::new(10, 3);
        let now = Instant::now();
        for _ in 0..3 {
            offers.take(ip("192.0.2.1"), now).unwrap();
        }
        assert_eq!(offers.take(ip("192.0.2.1"), now), Err(Duration::from_millis(100)));
        assert_eq!(offers.take(ip("::ffff:192.0.2.1"), now), Err(Duration::from_millis(100)));
        offers.take(ip("192.0.2.2"), now).unwrap();
        offers.take(ip("192.0.2.1"), now + Duration::from_millis(100)).unwrap();
        assert!(offers.take(ip("192.0.2.1"), now + Duration::from_millis(100)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_64_bits_is_one() {
        let offers = Offers::new(1, 1);
        let now = Instant::now();
        offers.take(ip("2001:db8::1"), now).unwrap();
        assert!(offers.take(ip("2001:db8::2"), now).is_err());
        offers.take(ip("2001:db8:0:1::1"), now).unwrap();
    }
}
