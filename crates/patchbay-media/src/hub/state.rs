//! What can be seen of a stream from outside.

use super::{Reason, StreamName, meter::Figures};
use crate::{Codec, TrackId, track::TrackInfo};
use tokio::time::Instant;

/// What a stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody wants it, so that its source does not run.
    Idle,
    /// The source runs and has not published tracks yet.
    Starting,
    /// The source runs.
    Live,
    /// The source runs, and its pictures (or, where it has none, its sound) have stopped coming.
    Stalled,
    /// The source has failed; it is tried again while somebody wants it.
    Failed,
    /// The source runs, though nobody wants it any more: it is stopped soon if nobody comes back.
    Lingering,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Starting, Self::Live, Self::Stalled, Self::Failed, Self::Lingering];

    /// Name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
            Self::Lingering => "lingering",
        }
    }

    /// The source runs.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Live | Self::Stalled | Self::Lingering)
    }
}

/// A stream, as it is now.
#[derive(Clone, Debug)]
pub struct StreamState {
    /// Its name.
    pub name: StreamName,
    /// What it does.
    pub state: State,
    /// What is wrong, in words; empty when nothing is.
    pub detail: String,
    /// The same for programs; none when nothing is wrong.
    pub reason: Option<Reason>,
    /// When a source that has failed is tried again, if it is; sooner once somebody watches.
    pub again_at: Option<Instant>,
    /// When it came into this state.
    pub since: Instant,
    /// Subscriptions.
    pub consumers: usize,
    /// Transcoders that run for it.
    pub encoders: usize,
    /// What it carries; empty while the source does not run.
    pub tracks: Vec<TrackInfo>,
    /// Times that the source was started.
    pub starts: u64,
    /// Those of them that came after a failure.
    pub retries: u64,
}

/// A track, and what was measured of it. Measured twice a second.
#[derive(Clone, Debug)]
pub struct TrackFigures {
    /// Number within its stream.
    pub id: TrackId,
    /// Coding.
    pub codec: Codec,
    /// Pixels across; 0 for sound.
    pub width: u16,
    /// Pixels down; 0 for sound.
    pub height: u16,
    /// Channels of sound; 0 for pictures.
    pub channels: u8,
    /// Pictures are shown in another order than they are sent in.
    pub reordered: bool,
    /// Why it is made out of another track, in words; none for a track of the source itself.
    pub transcoded: Option<String>,
    /// What was measured.
    pub figures: Figures,
}
