//! Why something cannot be written.

use patchbay_media::{Codec, TrackId, codec::HeaderError};

/// Why tracks or units cannot be written as fragmented MP4.
#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    /// A codec that MP4, or what plays it in browsers, has no place for.
    #[error("{} cannot be carried in fragmented MP4: ask the hub for a track in another codec", .0.name())]
    Codec(Codec),
    /// Nothing says how to decode the track: neither its configuration nor a key frame.
    #[error("how to decode the {} is not known yet: describe the track with its first key frame", .0.name())]
    NotDescribed(Codec),
    /// The configuration, or a unit, cannot be read.
    #[error("the {} cannot be read", .codec.name())]
    Header {
        /// Its codec.
        codec: Codec,
        /// What is wrong.
        source: HeaderError,
    },
    /// There is nothing to write.
    #[error("there is nothing to write")]
    Nothing,
    /// Two tracks have one number.
    #[error("there are two tracks of number {}", .0.0)]
    TwoTracks(TrackId),
    /// A unit of a track that the init segment does not name.
    #[error("the init segment names no track {}", .0.0)]
    UnknownTrack(TrackId),
    /// A unit without data.
    #[error("a unit of track {} is empty", .0.0)]
    EmptyUnit(TrackId),
    /// From here on the track is to be decoded in another way than the init segment says: a new muxer is needed, described with this unit.
    #[error("track {} has changed: describe it anew", .0.0)]
    Changed(TrackId),
    /// Times must not be negative, go back, or lie further apart than MP4 can say.
    #[error("the times of track {} do not fit into a fragment", .0.0)]
    Time(TrackId),
    /// More than the documented limits.
    #[error("a fragment of {units} units and {bytes} bytes is more than is written at once")]
    TooLarge {
        /// Units asked for.
        units: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The library that writes boxes has refused them.
    #[error("a box cannot be written")]
    Box(#[from] mp4_atom::Error),
}
