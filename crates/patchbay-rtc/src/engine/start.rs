//! What a newcomer is sent first, so that it sees the newest picture soon whatever the interval between key frames, and is not left behind.
//!
//! Where a key frame can be had for the asking and the cached pictures are many, it is asked for. Else all pictures since the last key frame are sent at once, with
//! their own time stamps and a playout delay of zero, so that the browser decodes them as fast as it can and shows the newest. The pace is bounded, because
//! a burst overflows the receiver's socket buffer; packets that follow meanwhile go through the same queue. Where that would take longer
//! than waiting, the key frame alone is sent as a still.

use super::{Inner, table::Cell};
use crate::{connection::Progress, feed::Feed, path::Batch, sdp::Transport};
use patchbay_media::{Kind, track::KeyFrames};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Bounds of an instant start.
#[derive(Clone, Copy, Debug)]
pub struct InstantStart {
    /// Bits a second of a burst: above 100 Mbit/s receivers lose packets.
    pub max_rate: u64,
    /// Longest burst.
    pub max_time: Duration,
    /// Most pictures: browsers keep 800 that are not decoded yet.
    pub max_frames: usize,
    /// Most bytes.
    pub max_bytes: u64,
    /// Bursts at once; more wait for their turn.
    pub concurrent: usize,
}

impl Default for InstantStart {
    fn default() -> Self {
        Self {
            max_rate: 100_000_000,
            max_time: Duration::from_millis(1500),
            max_frames: 600,
            max_bytes: 16 * 1024 * 1024,
            concurrent: 4,
        }
    }
}

/// Time until a key frame that was asked for is there: a frame's interval and its encoding.
const KEY_FRAME_ON_REQUEST: Duration = Duration::from_millis(60);

/// Time that the slowest browsers need to decode a picture of up to so many pixels, in microseconds.
const DECODING: [(u32, u64); 3] = [(640 * 480, 1200), (1280 * 720, 2000), (u32::MAX, 4000)];

/// Time between two steps of a burst.
const PACE: Duration = Duration::from_millis(1);

/// Most time of which a step may make up for: with what the bounds allow a second, a part of what the smallest usual socket buffer holds. A unit goes out
/// whole, so that a great key frame goes beyond it, as it does for those who are live.
const MOST_SAVED: Duration = Duration::from_millis(5);

/// How long a burst may wait for its turn.
const TURN: Duration = Duration::from_secs(1);

/// What a newcomer is sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// The next unit: sound, of which the past is of no use.
    Live,
    /// The next key frame, which has been asked for where that helps.
    Wait,
    /// The cached key frame, and then the next one.
    Still { key: u64 },
    /// All from the cached key frame on.
    Burst { key: u64 },
}

/// What is cached since the newest key frame.
#[derive(Clone, Copy, Debug)]
struct Cached {
    key: u64,
    frames: usize,
    bytes: u64,
    /// Since the key frame.
    age: Duration,
}

impl Plan {
    fn choose(feed: &Feed, cached: Option<Cached>, bounds: &InstantStart) -> Self {
        if feed.kind() == Kind::Audio {
            return Self::Live;
        }
        let Some(cached) = cached else { return Self::Wait };
        let time = cached.time(feed.pixels(), bounds.max_rate);
        match feed.key_frames() {
            KeyFrames::OnRequest if time > KEY_FRAME_ON_REQUEST => Self::Wait,
            KeyFrames::OnRequest => Self::Burst { key: cached.key },
            KeyFrames::AsTheyCome => {
                let too_much = cached.frames > bounds.max_frames
                    || cached.bytes > bounds.max_bytes
                    || time > bounds.max_time;
                let next_is_sooner =
                    feed.key_interval().is_some_and(|interval| cached.age + time >= interval);
                if too_much || next_is_sooner {
                    Self::Still { key: cached.key }
                } else {
                    Self::Burst { key: cached.key }
                }
            }
        }
    }
}

impl Cached {
    fn of(feed: &Feed) -> Option<Self> {
        let group = feed.ring().newest_group();
        let key = group.front()?;
        let bytes = group.iter().map(|entry| entry.item.payloads.bytes() as u64).sum();
        Some(Self { key: key.position, frames: group.len(), bytes, age: key.item.at.elapsed() })
    }

    /// Until the newest picture is shown: what takes longer, sending or decoding.
    fn time(&self, pixels: u32, rate: u64) -> Duration {
        let sending = Duration::from_micros(self.bytes.saturating_mul(8_000_000) / rate.max(1));
        let each = DECODING.iter().find(|(most, _)| pixels <= *most).map_or(0, |(_, micros)| *micros);
        sending.max(Duration::from_micros(each * self.frames as u64))
    }
}

/// Starts all tracks of a peer that has connected.
pub(super) fn begin(inner: &Arc<Inner>, cell: &Arc<Cell>) {
    let feeds =
        cell.connection.lock().senders.iter().map(|sender| Arc::clone(sender.feed())).collect::<Vec<_>>();
    for (track, feed) in feeds.into_iter().enumerate() {
        let plan = Plan::choose(&feed, Cached::of(&feed), &inner.config.start);
        let progress = match plan {
            Plan::Live => Progress::Live { next: feed.ring().written() },
            Plan::Wait => Progress::WaitingForKey,
            Plan::Still { key } | Plan::Burst { key } => Progress::CatchingUp { next: key },
        };
        if let Some(sender) = cell.connection.lock().senders.get_mut(track) {
            sender.progress = progress;
        }
        inner.fanouts.join(inner, &feed, cell, track);
        let counter = match plan {
            Plan::Live => continue,
            Plan::Wait => {
                feed.request_key_frame();
                &inner.counters.waits
            }
            Plan::Still { key } => {
                Catching { inner, cell, track, feed: &feed }.still(key);
                &inner.counters.stills
            }
            Plan::Burst { .. } => {
                inner.spawn("rtc-start", burst(Arc::clone(inner), Arc::clone(cell), track, feed));
                &inner.counters.bursts
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    // Had it ended before it joined, nobody would take it out again.
    let connection = cell.connection.lock();
    if connection.is_closed() {
        let feeds = connection.feeds();
        drop(connection);
        inner.fanouts.leave(&feeds, cell);
    }
}

async fn burst(inner: Arc<Inner>, cell: Arc<Cell>, track: usize, feed: Arc<Feed>) {
    let catching = Catching { inner: &inner, cell: &cell, track, feed: &feed };
    let Ok(Ok(_turn)) = tokio::time::timeout(TURN, inner.starts.acquire()).await else {
        return catching.give_up();
    };
    catching.run().await;
}

struct Catching<'a> {
    inner: &'a Arc<Inner>,
    cell: &'a Arc<Cell>,
    track: usize,
    feed: &'a Arc<Feed>,
}

/// What a step of a burst led to.
enum Step {
    More,
    Done,
}

impl Catching<'_> {
    async fn run(&self) {
        let rate = self.inner.config.start.max_rate / 8;
        let mut batch = Batch::default();
        let (mut allowed, mut at) = (0_i64, Instant::now());
        loop {
            batch.clear();
            let (path, step) = self.step(&mut allowed, &mut batch);
            let is_lost =
                path.is_some_and(|path| !self.inner.send(path, &batch) && path.transport == Transport::Tcp);
            match step {
                // It may have ended right here; whoever holds the peer shall hear of it now.
                Step::Done => return self.inner.settle(self.cell, &mut batch),
                Step::More if is_lost => return self.give_up(),
                Step::More => tokio::time::sleep(PACE).await,
            }
            let earned = at.elapsed().min(MOST_SAVED).as_nanos() * u128::from(rate) / 1_000_000_000;
            let earned = i64::try_from(earned).unwrap_or(i64::MAX);
            // What a step has left over is not saved for the next one.
            allowed = allowed.saturating_add(earned).min(earned);
            at = Instant::now();
        }
    }

    /// Sends units until the allowance is used up, or until the newest is sent: then the viewer is live.
    fn step(&self, allowed: &mut i64, batch: &mut Batch) -> (Option<crate::path::Path>, Step) {
        let mut connection = self.cell.connection.lock();
        let mut step = Step::More;
        let path = connection.send_with(self.track, batch, |sender, outlet, batch| {
            while let Progress::CatchingUp { next } = sender.progress
                && sender.feed().id() == self.feed.id()
            {
                if next >= self.feed.ring().written() {
                    sender.progress = Progress::Live { next };
                    break;
                }
                if *allowed < 0 {
                    return Ok(());
                }
                let Some(entry) = self.feed.at(next) else {
                    sender.wait_for_key();
                    break;
                };
                if sender.counters.packets == 0 {
                    sender.send_padding(entry.item.timestamp, outlet, batch)?;
                }
                sender.send(&entry, outlet, batch)?;
                *allowed =
                    allowed.saturating_sub(i64::try_from(entry.item.payloads.bytes()).unwrap_or(i64::MAX));
                sender.progress = Progress::CatchingUp { next: next + 1 };
            }
            step = Step::Done;
            Ok(())
        });
        if !connection.is_connected() {
            step = Step::Done;
        }
        (path, step)
    }

    /// Sends the cached key frame alone.
    fn still(&self, key: u64) {
        let mut batch = Batch::default();
        let path = self.cell.connection.lock().send_with(self.track, &mut batch, |sender, outlet, batch| {
            sender.progress = Progress::WaitingForKey;
            let Some(entry) = self.feed.at(key) else { return Ok(()) };
            sender.send_padding(entry.item.timestamp, outlet, batch)?;
            sender.send(&entry, outlet, batch)
        });
        if let Some(path) = path {
            self.inner.send(path, &batch);
        }
    }

    fn give_up(&self) {
        if let Some(sender) = self.cell.connection.lock().senders.get_mut(self.track) {
            sender.wait_for_key();
        }
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
