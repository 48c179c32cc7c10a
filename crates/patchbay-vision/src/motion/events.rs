//! From single sights to events: several in a row begin one, a time of stillness ends it.

use super::detector::{Moving, Sight};
use patchbay_media::MediaTime;
use std::time::Duration;

/// Looks that must show something, those that show nothing taken off, before it is told.
const LOOKS: u32 = 3;

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// Something began to move at that time.
    Began { at: MediaTime, moving: Moving },
    /// Something last moved at that time, so long after it had begun.
    Ended { at: MediaTime, lasted: Duration },
}

/// Follows what is seen.
#[derive(Debug)]
pub(crate) struct Events {
    hold: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Still,
    /// So many looks, since that time.
    Perhaps {
        since: MediaTime,
        looks: u32,
    },
    Moving {
        since: MediaTime,
        last: MediaTime,
    },
}

impl Events {
    pub(crate) fn new(hold: Duration) -> Self {
        Self { hold, state: State::Still }
    }

    /// Takes in what was seen at a time.
    pub(crate) fn see(&mut self, sight: Sight, at: MediaTime) -> Option<Change> {
        match (self.state, sight) {
            (State::Moving { since, .. }, Sight::Moving(_)) => {
                self.state = State::Moving { since, last: at };
                None
            }
            (State::Moving { last, .. }, _) if at.since(last) >= self.hold => self.end(),
            (State::Moving { .. }, _) => None,
            (state, Sight::Moving(moving)) => self.begin(state, moving, at),
            (State::Perhaps { since, looks: looks @ 2.. }, Sight::Still) => {
                self.state = State::Perhaps { since, looks: looks - 1 };
                None
            }
            (_, Sight::Still | Sight::Learning) => {
                self.state = State::Still;
                None
            }
        }
    }

    fn begin(&mut self, state: State, moving: Moving, at: MediaTime) -> Option<Change> {
        let (since, looks) = match state {
            State::Perhaps { since, looks } => (since, looks + 1),
            State::Still | State::Moving { .. } => (moving.since.min(at), 1),
        };
        if looks < LOOKS {
            self.state = State::Perhaps { since, looks };
            return None;
        }
        self.state = State::Moving { since, last: at };
        Some(Change::Began { at: since, moving })
    }

    /// Nothing more will be seen: ends what is on.
    pub(crate) fn end(&mut self) -> Option<Change> {
        let state = std::mem::replace(&mut self.state, State::Still);
        let State::Moving { since, last } = state else { return None };
        Some(Change::Ended { at: last, lasted: last.since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_nanos(ms * 1_000_000)
    }

    /// It had moved since a fifth of a second before.
    fn moving(at: i64) -> Moving {
        Moving { since: ms(at - 200), ..Moving::default() }
    }

    fn see(events: &mut Events, moves: bool, at: i64) -> Option<Change> {
        events.see(if moves { Sight::Moving(moving(at)) } else { Sight::Still }, ms(at))
    }

    #[test]
    fn a_few_looks_are_not_enough_and_a_pause_within_the_hold_is_none() {
        let mut events = Events::new(Duration::from_secs(2));
        for (moves, at) in [(true, 0), (true, 200), (false, 400), (false, 600), (true, 800), (false, 1_000)] {
            assert_eq!(see(&mut events, moves, at), None);
        }
        for (moves, at) in [(true, 1_200), (true, 1_400), (false, 1_600), (true, 1_800)] {
            assert_eq!(see(&mut events, moves, at), None);
        }
        let began = Change::Began { at: ms(1_000), moving: moving(2_000) };
        assert_eq!(
            see(&mut events, true, 2_000),
            Some(began),
            "since a moment before the first of these looks"
        );
        assert_eq!(see(&mut events, true, 3_900), None);
        assert_eq!(events.see(Sight::Learning, ms(5_800)), None);
        let ended = Change::Ended { at: ms(3_900), lasted: Duration::from_millis(2_900) };
        assert_eq!(see(&mut events, false, 5_900), Some(ended));
        assert_eq!(events.end(), None);
    }

    #[test]
    fn what_is_on_at_the_end_is_ended() {
        let mut events = Events::new(Duration::from_secs(2));
        (0..3).for_each(|look| drop(see(&mut events, true, look * 200)));
        let ended = Change::Ended { at: ms(400), lasted: Duration::from_millis(600) };
        assert_eq!((events.end(), events.end()), (Some(ended), None));
    }
}
