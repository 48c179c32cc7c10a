//! Where a room's stream stands on this replica: the last offset seen, and the newest entries, from which most
//! recoveries are served without a question to the backplane. No I/O.

use bytes::Bytes;
use patchbay_backplane::{Epoch, Position};
use std::collections::VecDeque;

/// Entries kept at most, where the room itself does not keep fewer.
const RECENT_ENTRIES: usize = 256;
/// Bytes of entries kept at most.
const RECENT_BYTES: usize = 256 * 1024;

/// The state of a stream as this replica has seen it.
#[derive(Debug)]
pub struct Timeline {
    position: Position,
    recent: VecDeque<(u64, Bytes)>,
    recent_bytes: usize,
    /// Entries kept at most: a recovery must not bring what the room no longer keeps, whichever replica serves it.
    recent_entries: usize,
}

/// What an entry that arrived means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one, and has been taken.
    Next,
    /// It was known.
    Known,
    /// Entries before it are missing.
    Gap,
    /// It is of another epoch.
    OtherEpoch,
}

impl Timeline {
    /// Starts after a position, in a room that keeps this many entries.
    pub fn new(position: Position, history: usize) -> Self {
        let recent_entries = history.min(RECENT_ENTRIES);
        Self { position, recent: VecDeque::new(), recent_bytes: 0, recent_entries }
    }

    /// The last entry seen.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The epoch.
    pub fn epoch(&self) -> &Epoch {
        &self.position.epoch
    }

    /// Takes an entry if it is the next one.
    pub fn arrive(&mut self, at: &Position, payload: &Bytes) -> Arrival {
        if at.epoch != self.position.epoch {
            return Arrival::OtherEpoch;
        }
        if at.offset <= self.position.offset {
            return Arrival::Known;
        }
        if at.offset != self.position.offset + 1 {
            return Arrival::Gap;
        }
        self.position.offset = at.offset;
        self.remember(at.offset, payload.clone());
        Arrival::Next
    }

    /// Returns the entries after one offset up to another, or `None` unless all of them are at hand.
    pub fn between(&self, after: u64, up_to: u64) -> Option<Vec<(u64, Bytes)>> {
        if after >= up_to {
            return Some(Vec::new());
        }
        let oldest = self.recent.front().map(|(offset, _)| *offset)?;
        if oldest > after + 1 {
            return None;
        }
        let wanted = self.recent.iter().filter(|(offset, _)| (after + 1..=up_to).contains(offset));
        Some(wanted.cloned().collect())
    }

    fn remember(&mut self, offset: u64, payload: Bytes) {
        self.recent_bytes += payload.len();
        self.recent.push_back((offset, payload));
        while self.recent.len() > self.recent_entries || self.recent_bytes > RECENT_BYTES {
            let Some((_, oldest)) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: Epoch(epoch.into()), offset }
    }

    #[test]
    fn entries_are_taken_in_order_only() {
        let mut timeline = Timeline::new(at("e", 4), 1000);
        let payload = Bytes::from_static(b"{}");
        assert_eq!(timeline.arrive(&at("e", 4), &payload), Arrival::Known);
        assert_eq!(timeline.arrive(&at("e", 6), &payload), Arrival::Gap);
        assert_eq!(timeline.arrive(&at("f", 5), &payload), Arrival::OtherEpoch);
        assert_eq!(timeline.arrive(&at("e", 5), &payload), Arrival::Next);
        assert_eq!(timeline.position(), &at("e", 5));
    }

    #[test]
    fn recovery_is_whole_or_not_at_all() {
        let mut timeline = Timeline::new(at("e", 10), 1000);
        for offset in 11..=400 {
            timeline.arrive(&at("e", offset), &Bytes::from(offset.to_string()));
        }
        let offsets = |after, up_to| -> Option<Vec<u64>> {
            timeline.between(after, up_to).map(|entries| entries.iter().map(|(offset, _)| *offset).collect())
        };
        assert_eq!(offsets(397, 400), Some(vec![398, 399, 400]));
        assert_eq!(offsets(397, 399), Some(vec![398, 399]));
        assert_eq!(offsets(400, 400), Some(vec![]));
        assert_eq!(offsets(144, 400).map(|all| all.len()), Some(256));
        assert_eq!(offsets(143, 400), None);
        assert_eq!(Timeline::new(at("e", 10), 1000).between(9, 10), None);
    }

    #[test]
    fn no_more_is_at_hand_than_the_room_keeps() {
        let mut timeline = Timeline::new(at("e", 0), 4);
        for offset in 1..=10 {
            timeline.arrive(&at("e", offset), &Bytes::new());
        }
        assert_eq!(timeline.between(6, 10).map(|all| all.len()), Some(4));
        assert_eq!(timeline.between(5, 10), None);
        let mut forgetful = Timeline::new(at("e", 0), 0);
        forgetful.arrive(&at("e", 1), &Bytes::new());
        assert_eq!(forgetful.between(0, 1), None);
        assert_eq!(forgetful.between(1, 1), Some(Vec::new()));
    }

    proptest::proptest! {
        #[test]
        fn what_is_returned_has_no_gap(sizes in proptest::collection::vec(0usize..4000, 1..300), after in 0u64..300) {
            let mut timeline = Timeline::new(at("e", 0), 1000);
            for (index, size) in sizes.iter().enumerate() {
                timeline.arrive(&at("e", index as u64 + 1), &Bytes::from(vec![0; *size]));
            }
            let top = timeline.position().offset;
            if let Some(entries) = timeline.between(after, top) {
                let expected: Vec<u64> = (after + 1..=top).collect();
                let got: Vec<u64> = entries.iter().map(|(offset, _)| *offset).collect();
                proptest::prop_assert_eq!(got, expected);
            }
        }
    }
}
