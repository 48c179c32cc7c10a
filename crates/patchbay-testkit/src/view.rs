//! What one client has seen of a room, and the oracle over it: no gap, no repeat, nothing out of its epoch.

use std::{fmt, time::Instant};

/// A position as the protocol gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Identity of the stream.
    pub epoch: String,
    /// Newest offset.
    pub offset: u64,
}

/// One publication seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Offset.
    pub offset: u64,
    /// Idempotency key.
    pub key: String,
}

/// A run of publications without a gap, after a position.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Position at which it starts.
    pub start: Position,
    /// What followed.
    pub seen: Vec<Seen>,
}

impl Segment {
    fn new(start: Position) -> Self {
        Self { start, seen: Vec::new() }
    }

    /// Newest offset.
    pub fn offset(&self) -> u64 {
        self.seen.last().map_or(self.start.offset, |seen| seen.offset)
    }
}

/// A recovery that the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where the client was.
    pub from: Position,
    /// Where it was sent.
    pub to: Position,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Close code; 1006 without a close frame.
    pub code: u16,
    /// When.
    pub at: Instant,
}

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Offsets were left out.
    Gap {
        /// Offset that was due.
        due: u64,
        /// Offset that came.
        came: u64,
    },
    /// An offset came again.
    Repeat {
        /// Offset that was due.
        due: u64,
        /// Offset that came.
        came: u64,
    },
    /// A recovery said that it was whole and was not.
    Partial(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Everything one client has seen.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Runs, the newest last.
    pub segments: Vec<Segment>,
    /// Recoveries that were whole.
    pub recovered: usize,
    /// Recoveries that were refused.
    pub lost: Vec<Lost>,
    /// Ends of its connections that it did not ask for, in order.
    pub closes: Vec<Close>,
    /// What must not have happened.
    pub violations: Vec<Violation>,
}

impl View {
    /// Where the client is; `None` before its first subscription.
    pub fn position(&self) -> Option<Position> {
        let segment = self.segments.last()?;
        Some(Position { epoch: segment.start.epoch.clone(), offset: segment.offset() })
    }

    /// Takes the answer to a subscription.
    pub fn subscribed(&mut self, top: Position, recovered: bool, publications: Vec<Seen>) {
        let from = self.position();
        match from {
            Some(from) if recovered => self.resume(&from, &top, publications),
            _ if !publications.is_empty() => {
                self.violations.push(Violation::Partial("publications without a recovery".to_owned()));
            }
            from => {
                self.lost.extend(from.map(|from| Lost { from, to: top.clone() }));
                self.segments.push(Segment::new(top));
            }
        }
    }

    fn resume(&mut self, from: &Position, top: &Position, publications: Vec<Seen>) {
        if from.epoch != top.epoch {
            self.violations.push(Violation::Partial(format!("recovered from {from:?} to {top:?}")));
            return;
        }
        self.recovered += 1;
        for seen in publications {
            self.published(seen);
        }
        let reached = self.position().map_or(0, |position| position.offset);
        if reached != top.offset {
            self.violations
                .push(Violation::Partial(format!("recovered up to {reached}, the top is {}", top.offset)));
        }
    }

    /// Takes a publication.
    pub fn published(&mut self, seen: Seen) {
        let Some(segment) = self.segments.last_mut() else {
            self.violations.push(Violation::Other("a publication before the subscription".to_owned()));
            return;
        };
        let due = segment.offset() + 1;
        match seen.offset.cmp(&due) {
            std::cmp::Ordering::Less => self.violations.push(Violation::Repeat { due, came: seen.offset }),
            std::cmp::Ordering::Greater => self.violations.push(Violation::Gap { due, came: seen.offset }),
            std::cmp::Ordering::Equal => {}
        }
        segment.seen.push(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Seen, View, Violation};

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.to_owned(), offset }
    }

    fn seen(offset: u64) -> Seen {
        Seen { offset, key: format!("k{offset}") }
    }

    #[test]
    fn a_whole_view_has_no_violations() {
        let mut view = View::default();
        view.subscribed(at("a", 4), false, vec![]);
        view.published(seen(5));
        view.subscribed(at("a", 7), true, vec![seen(6), seen(7)]);
        view.subscribed(at("b", 2), false, vec![]);
        view.published(seen(3));
        assert_eq!(view.violations, []);
        assert_eq!((view.recovered, view.lost.len()), (1, 1));
        assert_eq!(view.position(), Some(at("b", 3)));
    }

    #[test]
    fn gaps_repeats_and_partial_recoveries_are_told() {
        let mut view = View::default();
        view.subscribed(at("a", 0), false, vec![]);
        view.published(seen(2));
        view.published(seen(2));
        view.subscribed(at("a", 5), true, vec![seen(3)]);
        view.subscribed(at("b", 5), true, vec![]);
        assert_eq!(view.violations[0], Violation::Gap { due: 1, came: 2 });
        assert_eq!(view.violations[1], Violation::Repeat { due: 3, came: 2 });
        assert!(matches!(view.violations[2], Violation::Partial(_)));
        assert!(matches!(view.violations[3], Violation::Partial(_)));
    }
}
