//! How much and how long a source may take.

use std::time::Duration;

/// Limits of one source. The defaults are far above what cameras send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Until the source is connected to, and for each answer of it while the session begins.
    pub connect_timeout: Duration,
    /// Nothing has come for so long: the source has failed, and is connected to again.
    pub stall_timeout: Duration,
    /// Packets come, and nothing with which a picture can begin.
    pub key_frame_timeout: Duration,
    /// The same where nothing says beforehand what the pictures are, so that nothing can be shown to wait for; below the hub's `start_timeout`.
    pub start_timeout: Duration,
    /// A description of a session (SDP), or any other body of a message.
    pub description_bytes: usize,
    /// Everything that comes, averaged over two seconds.
    pub bytes_per_second: u64,
    /// Packets, averaged over two seconds.
    pub packets_per_second: u64,
    /// Pictures and packets of sound, averaged over two seconds.
    pub units_per_second: u64,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(10),
            key_frame_timeout: Duration::from_secs(20),
            start_timeout: Duration::from_secs(9),
            description_bytes: 256 * 1024,
            bytes_per_second: 32 * 1024 * 1024,
            packets_per_second: 50_000,
            units_per_second: 1000,
        }
    }
}
