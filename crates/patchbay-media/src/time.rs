//! Time on a stream's own line.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// A point on the line of time of one stream, in nanoseconds since its start. Nanoseconds, so that the clocks of all codecs come out exact to a
/// tick however long the stream runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

const NANOS: i64 = 1_000_000_000;

impl MediaTime {
    /// The start of the stream.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From ticks of a clock of `rate` ticks a second, to the nearest nanosecond.
    pub fn from_ticks(ticks: i64, rate: u32) -> Self {
        let nanos = scale(i128::from(ticks), i128::from(NANOS), i128::from(rate.max(1)));
        Self(saturate(nanos))
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Ticks of a clock of `rate` ticks a second, to the nearest one.
    pub fn ticks(self, rate: u32) -> i64 {
        saturate(scale(i128::from(self.0), i128::from(rate), i128::from(NANOS)))
    }

    /// Time since `earlier`; zero where that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `value * numerator / denominator`, rounded to the nearest.
fn scale(value: i128, numerator: i128, denominator: i128) -> i128 {
    let product = value * numerator;
    (product + product.signum() * (denominator / 2)) / denominator
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl Add<Duration> for MediaTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for MediaTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ticks_come_back(ticks in -(1_i64 << 40)..(1_i64 << 40), rate in prop::sample::select(vec![8_000_u32, 44_100, 48_000, 90_000])) {
            prop_assert_eq!(MediaTime::from_ticks(ticks, rate).ticks(rate), ticks);
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(MediaTime::from_ticks(i64::MAX, 1).nanos(), i64::MAX);
        assert_eq!(MediaTime::from_nanos(i64::MIN) - Duration::from_secs(1), MediaTime::from_nanos(i64::MIN));
        assert_eq!(MediaTime::ZERO.since(MediaTime::from_nanos(5)), Duration::ZERO);
    }
}
