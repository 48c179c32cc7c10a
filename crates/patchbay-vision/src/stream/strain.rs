//! Whether the machine keeps up with looking at a source.

use patchbay_media::MediaTime;
use std::{collections::VecDeque, time::Duration};

/// So many times left behind within the time is too often.
const TIMES: usize = 3;
const WITHIN: Duration = Duration::from_secs(30);
/// Time for which only key frames are looked at then.
const RELIEF: Duration = Duration::from_mins(1);

/// Goes over to key frames alone when reading was left behind too often, and back again after a while.
#[derive(Debug, Default)]
pub(super) struct Strain {
    /// When reading was left behind; at most `TIMES`.
    behind: VecDeque<MediaTime>,
    keys_until: Option<MediaTime>,
}

impl Strain {
    /// Reading was left behind. True when from now on only key frames are looked at.
    pub(super) fn left_behind(&mut self, at: MediaTime) -> bool {
        self.behind.push_back(at);
        if self.behind.len() > TIMES {
            self.behind.pop_front();
        }
        let first = self.behind.front().copied().unwrap_or(at);
        if self.keys_until.is_some() || self.behind.len() < TIMES || at.since(first) > WITHIN {
            return false;
        }
        self.behind.clear();
        self.keys_until = Some(at + RELIEF);
        true
    }

    /// Whether a unit is left out. All are looked at again from a key frame on.
    pub(super) fn leaves_out(&mut self, at: MediaTime, key: bool) -> bool {
        let Some(until) = self.keys_until else { return false };
        if key && at >= until {
            self.keys_until = None;
        }
        !key
    }

    /// Only key frames are looked at.
    pub(super) fn is_relieved(&self) -> bool {
        self.keys_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> MediaTime {
        MediaTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn three_times_in_half_a_minute_is_too_often() {
        let mut strain = Strain::default();
        assert!(!strain.left_behind(s(0)) && !strain.left_behind(s(20)) && !strain.left_behind(s(40)));
        assert!(strain.left_behind(s(41)), "the third since 20 s");
        assert!(strain.leaves_out(s(42), false) && !strain.leaves_out(s(50), true));
        assert!(!strain.leaves_out(s(102), true), "the minute is over");
        assert!(!strain.leaves_out(s(103), false) && !strain.is_relieved());
    }
}
