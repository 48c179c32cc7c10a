//! How a hub treats its streams.

use crate::ring::Caps;
use std::time::Duration;

/// How a hub treats its streams.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// How long a source runs on after its last consumer; a transcoder likewise.
    pub linger: Duration,
    /// How long a source may take until it publishes tracks.
    pub start_timeout: Duration,
    /// How long a source may take to stop; then it is dropped.
    pub stop_timeout: Duration,
    /// A stream is stalled when no picture has come for so long.
    pub stall_after: Duration,
    /// Bounds of each track's ring.
    pub caps: Caps,
    /// Time after each failure in a row until the source is tried again; the last one is for all that follow. At least the first lies between any two
    /// attempts.
    pub retry: Vec<Duration>,
    /// While a stream has consumers, no such time is longer than this, so that who waits soon sees a source that is back; a source that has refused a
    /// login is not asked more often for it. Not below the first time of `retry`.
    pub retry_watched: Duration,
    /// Part of the retry time, in percent, by which it is lengthened or shortened at random, so that many sources do not come back at once.
    pub jitter: u8,
    /// Most streams, transcoders apart.
    pub max_streams: usize,
    /// Most transcoders.
    pub max_transcoders: usize,
    /// Most consumers of one stream.
    pub max_consumers: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(10),
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(2),
            stall_after: Duration::from_secs(3),
            caps: Caps::default(),
            retry: [1, 2, 5, 10, 30].map(Duration::from_secs).to_vec(),
            retry_watched: Duration::from_secs(2),
            jitter: 20,
            max_streams: 1000,
            max_transcoders: 64,
            max_consumers: 10_000,
        }
    }
}

/// When a source runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// While somebody wants it, and a little longer.
    #[default]
    OnDemand,
    /// Always.
    AlwaysOn,
}
