//! How many pictures come a second.

use patchbay_media::MediaTime;
use std::collections::VecDeque;

/// Pictures over which the rate is measured.
const LAST: usize = 32;

/// The times of the last pictures.
#[derive(Debug, Default)]
pub(super) struct Rate {
    times: VecDeque<MediaTime>,
}

impl Rate {
    pub(super) fn add(&mut self, time: MediaTime) {
        if self.times.len() >= LAST {
            self.times.pop_front();
        }
        self.times.push_back(time);
    }

    /// Pictures a second; 0 until two have come.
    pub(super) fn per_second(&self) -> f64 {
        let (Some(first), Some(last)) = (self.times.front(), self.times.back()) else { return 0.0 };
        let span = last.since(*first).as_secs_f64();
        let steps = u32::try_from(self.times.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if span > 0.0 { f64::from(steps) / span } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_last_pictures() {
        let mut rate = Rate::default();
        assert!(rate.per_second().abs() < f64::EPSILON);
        for number in 0..100 {
            rate.add(MediaTime::from_ticks(number, 25));
        }
        assert!((rate.per_second() - 25.0).abs() < 0.01, "{rate:?}");
        for number in 1..=100 {
            rate.add(MediaTime::from_ticks(100 + number * 5, 25));
        }
        assert!((rate.per_second() - 5.0).abs() < 0.01, "{rate:?}");
    }
}
