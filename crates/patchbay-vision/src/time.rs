//! The time of day of a picture, by its place on its stream's line.

use patchbay_media::MediaTime;

/// Follows how far the clock on the wall is ahead of the line. Pictures come sooner or later after they were taken, so that the clock must not be read for each:
/// the seconds would stutter. The least delay is the one nearest to the truth, and is followed fast; a greater one slowly, as far as the two clocks part.
#[derive(Debug, Default)]
pub(crate) struct PictureClock {
    /// Microseconds from the line to 1970; nothing before the first picture.
    offset: Option<i64>,
}

/// Further away than this, somebody has set the clock, or the stream has jumped: microseconds.
const SET: i64 = 2_000_000;
/// Part of the way by which a smaller offset is approached with each picture.
const FAST: i64 = 8;
/// Likewise for a greater one.
const SLOW: i64 = 512;

impl PictureClock {
    /// Milliseconds since 1970 for a picture that is at hand at `now`.
    pub(crate) fn at(&mut self, pts: MediaTime, now: u64) -> u64 {
        let place = pts.nanos() / 1_000;
        let seen = i64::try_from(now).unwrap_or(i64::MAX / 2_000).saturating_mul(1_000).saturating_sub(place);
        let offset = match self.offset {
            Some(offset) if (seen - offset).abs() > SET => seen,
            Some(offset) if seen < offset => offset - (offset - seen + FAST - 1) / FAST,
            Some(offset) => offset + (seen - offset + SLOW - 1) / SLOW,
            None => seen,
        };
        self.offset = Some(offset);
        u64::try_from(place.saturating_add(offset) / 1_000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: u64 = 1_795_413_053_042;

    fn ms(ms: u64) -> MediaTime {
        MediaTime::from_nanos(i64::try_from(ms).unwrap() * 1_000_000)
    }

    #[test]
    fn delays_do_not_make_it_stutter() {
        let mut clock = PictureClock::default();
        let mut last = 0;
        for number in 0..10_000_u64 {
            // Up to 300 ms late, as over a radio link; now and then hardly at all.
            let late = number * 7_919 % 301;
            let at = clock.at(ms(number * 40), BEGUN + number * 40 + late);
            if number > 100 {
                assert!((34..=46).contains(&(at - last)), "a picture each 40 ms: {}", at - last);
                assert!(at.abs_diff(BEGUN + number * 40) < 60);
            }
            last = at;
        }
    }

    #[test]
    fn a_clock_that_runs_apart_is_followed_for_a_day_and_one_that_was_set_at_once() {
        let mut clock = PictureClock::default();
        for number in 0..25 * 86_400_u64 {
            // The camera's clock is 50 millionths slow: 4.3 s a day.
            let now = BEGUN + number * 40 + number * 40 / 20_000;
            assert!(clock.at(ms(number * 40), now).abs_diff(now) < 30);
        }
        let set = BEGUN + 200_000_000;
        assert_eq!(clock.at(ms(86_400_000), set), set);
        assert_eq!(clock.at(ms(86_400_040), BEGUN), BEGUN, "also when it goes back");
    }
}
