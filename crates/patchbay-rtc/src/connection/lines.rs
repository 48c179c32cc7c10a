//! The feeds that a track to a peer has been sent from, one after the other, on one line of numbers and time stamps.

use crate::{
    connection::Keep,
    feed::{Feed, FeedId, Packets},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Earlier feeds whose packets can still be sent again.
const KEPT: usize = 3;

/// The feeds, the newest last. Earlier ones are not kept: what they hold can be sent again only while somebody else holds them.
#[derive(Debug)]
pub(super) struct Lines {
    newest: Line,
    before: VecDeque<(Line, Weak<Feed>)>,
    feed: Arc<Feed>,
    /// What makes the feed flow, if the track is what it flows for.
    keep: Option<Keep>,
}

/// A feed to go over to, and what makes it flow.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) feed: Arc<Feed>,
    pub(super) keep: Keep,
}

/// A feed's place among those of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) number: u32,
    /// What to add to the time stamps of the feed.
    pub(super) offset: u32,
}

impl Lines {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { newest: Line { number: 0, offset: 0 }, before: VecDeque::new(), feed, keep: None }
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Another hold on the same feed.
    pub(super) fn keep(&mut self, keep: Keep) {
        self.keep = Some(keep);
    }

    pub(super) fn newest(&self) -> Line {
        self.newest
    }

    /// Goes on with another feed, from this unit of it on. `last` is the newest time stamp sent, and when its unit came.
    pub(super) fn go_on(&mut self, next: Next, unit: &Packets, last: Option<(u32, Instant)>) {
        let number = self.newest.number.wrapping_add(1);
        let offset = last.map_or(0, |(timestamp, at)| {
            let since = unit.at.saturating_duration_since(at);
            let ticks = ticks(since, next.feed.clock_rate()).max(1);
            timestamp.wrapping_add(ticks).wrapping_sub(unit.timestamp)
        });
        self.replace(next, Line { number, offset });
    }

    /// Begins with another feed, before anything was sent.
    pub(super) fn begin(&mut self, next: Next) {
        let number = self.newest.number.wrapping_add(1);
        self.replace(next, Line { number, offset: 0 });
    }

    fn replace(&mut self, next: Next, line: Line) {
        let before = std::mem::replace(&mut self.feed, next.feed);
        self.keep = Some(next.keep);
        self.before.push_back((self.newest, Arc::downgrade(&before)));
        if self.before.len() > KEPT {
            self.before.pop_front();
        }
        self.newest = line;
    }

    /// The feed that had that number.
    pub(super) fn find(&self, number: u32) -> Option<(Arc<Feed>, Line)> {
        if number == self.newest.number {
            return Some((Arc::clone(&self.feed), self.newest));
        }
        let (line, feed) = self.before.iter().find(|(line, _)| line.number == number)?;
        Some((feed.upgrade()?, *line))
    }

    /// All of them that are still there.
    pub(super) fn feeds(&self) -> impl Iterator<Item = Arc<Feed>> {
        let before = self.before.iter().filter_map(|(_, feed)| feed.upgrade());
        std::iter::once(Arc::clone(&self.feed)).chain(before)
    }

    /// The feeds in whose groups the track may still be.
    pub(super) fn ids(&self) -> impl Iterator<Item = FeedId> {
        self.feeds().map(|feed| feed.id())
    }
}

/// Time on a clock of RTP.
pub(super) fn ticks(time: Duration, rate: u32) -> u32 {
    let ticks = time.as_nanos() * u128::from(rate) / 1_000_000_000;
    u32::try_from(ticks & u128::from(u32::MAX)).unwrap_or(0)
}
