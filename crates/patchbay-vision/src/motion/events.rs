//! From single sights to events: several in a row begin one, a time of stillness ends it.

use super::detector::{Moving, Sight};
use patchbay_media::MediaTime;
use std::time::Duration;

/// Looks in a row that must show something before it is told.
const LOOKS: u32 = 2;

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
    /// So many looks in a row, since that time.
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
            (_, Sight::Still | Sight::Learning) => {
                self.state = State::Still;
                None
            }
        }
    }

    fn begin(&mut self, state: State, moving: Moving, at: MediaTime) -> Option<Change> {
        let (since, looks) = match state {
            State::Perhaps { since, looks } => (since, looks + 1),
            State::Still | State::Moving { .. } => (at, 1),
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

    fn moving() -> Sight {
        Sight::Moving(Moving::default())
    }

    #[test]
    fn one_look_is_not_enough_and_a_pause_within_the_hold_is_none() {
        let mut events = Events::new(Duration::from_secs(2));
        assert_eq!(events.see(moving(), ms(0)), None);
        assert_eq!(events.see(Sight::Still, ms(200)), None);
        assert_eq!(events.see(moving(), ms(400)), None);
        let began = events.see(moving(), ms(600));
        assert_eq!(began, Some(Change::Began { at: ms(400), moving: Moving::default() }));
        assert_eq!(events.see(Sight::Still, ms(800)), None);
        assert_eq!(events.see(moving(), ms(2_500)), None);
        assert_eq!(events.see(Sight::Learning, ms(4_400)), None);
        let ended = events.see(Sight::Still, ms(4_500));
        assert_eq!(ended, Some(Change::Ended { at: ms(2_500), lasted: Duration::from_millis(2_100) }));
        assert_eq!(events.end(), None);
    }

    #[test]
    fn what_is_on_at_the_end_is_ended() {
        let mut events = Events::new(Duration::from_secs(2));
        events.see(moving(), ms(0));
        events.see(moving(), ms(200));
        events.see(moving(), ms(300));
        let ended = Change::Ended { at: ms(300), lasted: Duration::from_millis(300) };
        assert_eq!((events.end(), events.end()), (Some(ended), None));
    }
}
