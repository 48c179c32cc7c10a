//! What an event tells of.

use std::fmt;

/// Writes the enum, its words and the list of all, so that none can be forgotten.
macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)+) => {
        /// All types of events of the suite. Readers must expect others: a newer replica may write them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($(#[$doc])* $variant,)+
        }

        impl EventType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The `CloudEvents` attribute `type`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads what [`Self::word`] wrote.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.word() == word)
            }
        }
    };
}

types! {
    /// Somebody wrote in a room; subject: the room.
    ChatMessagePosted = "chat.message.posted";
    /// A call began; subject: its room.
    CallStarted = "call.started";
    /// A call ended; subject: its room.
    CallEnded = "call.ended";
    /// A camera gives pictures again; subject: the camera.
    CameraOnline = "camera.online";
    /// A camera gives no pictures; subject: the camera.
    CameraOffline = "camera.offline";
    /// Something moved before a camera; subject: the camera.
    CameraMotion = "camera.motion";
    /// A live stream began; subject: the stream.
    StreamStarted = "stream.started";
    /// A live stream ended; subject: the stream.
    StreamStopped = "stream.stopped";
    /// A recording is complete; subject: the stream.
    RecordingFinished = "recording.finished";
    /// A device came; subject: its client id.
    DeviceConnected = "device.connected";
    /// A device left; subject: its client id.
    DeviceDisconnected = "device.disconnected";
    /// A file is there; subject: its path.
    FileUploaded = "file.uploaded";
    /// A file was read as a whole; subject: its path.
    FileDownloaded = "file.downloaded";
    /// A file was removed; subject: its path.
    FileDeleted = "file.deleted";
    /// A named key has a new version, made by a call or by itself; subject: the key. Data: `key`, `version`.
    KeyRotated = "key.rotated";
    /// A certificate ends soon, or has ended; subject: where it is in use. Data: `name`, `not_after`, `days_left`, `threshold`.
    CertificateExpiring = "certificate.expiring";
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
