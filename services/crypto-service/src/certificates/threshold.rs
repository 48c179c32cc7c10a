//! When a certificate's end is told.

/// Seconds of a day.
const DAY: i64 = 24 * 3600;

/// Whole days until an end, rounded down; negative when it is over.
pub(super) fn days_left(not_after: i64, now: i64) -> i32 {
    let days = not_after.saturating_sub(now).div_euclid(DAY);
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// The smallest threshold that a certificate is under; none while it is above all of them.
pub(super) fn reached(not_after: i64, now: i64, warn_days: &[u32]) -> Option<u32> {
    let left = not_after.saturating_sub(now);
    warn_days.iter().copied().filter(|days| left <= i64::from(*days) * DAY).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;
    const WARN: [u32; 4] = [30, 14, 7, 1];

    #[test]
    fn a_threshold_is_reached_to_the_second() {
        let at = |left: i64| reached(NOW + left, NOW, &WARN);
        for (days, above) in [(30, None), (14, Some(30)), (7, Some(14)), (1, Some(7))] {
            assert_eq!(at(i64::from(days) * DAY + 1), above, "a second before {days}");
            assert_eq!(at(i64::from(days) * DAY), Some(days));
        }
        assert_eq!(at(5 * DAY), Some(7), "only the smallest");
        assert_eq!(at(-365 * DAY), Some(1), "over for long");
        assert_eq!(reached(NOW, NOW, &[]), None);
    }

    #[test]
    fn days_are_rounded_down() {
        for (left, days) in [(0, 0), (DAY - 1, 0), (DAY, 1), (-1, -1), (-DAY, -1), (-DAY - 1, -2)] {
            assert_eq!(days_left(NOW + left, NOW), days, "{left}");
        }
        assert_eq!((days_left(i64::MAX, 0), days_left(i64::MIN, 1)), (i32::MAX, i32::MIN));
    }

    proptest! {
        #[test]
        fn time_never_raises_the_threshold(left in -400_i64..400, hours in 0_i64..5000, warn in prop::collection::vec(1_u32..400, 0..16)) {
            let end = NOW + left * DAY;
            let (before, after) = (reached(end, NOW, &warn), reached(end, NOW + hours * 3600, &warn));
            prop_assert!(before.is_none() || after.is_some_and(|after| Some(after) <= before));
        }
    }
}
