//! What travels through the hub.

use crate::{MediaTime, ring::Item};
use bytes::Bytes;

/// Number of a track within its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

/// One picture, or one packet of sound, in the form that [`Codec`](crate::Codec) names for it. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Track that it belongs to.
    pub track: TrackId,
    /// When it is decoded; never goes back within a track.
    pub dts: MediaTime,
    /// When it is shown or heard.
    pub pts: MediaTime,
    /// Decoding can start here.
    pub key: bool,
    /// The coded data.
    pub data: Bytes,
}

impl Item for AccessUnit {
    fn size(&self) -> usize {
        self.data.len()
    }

    fn time(&self) -> MediaTime {
        self.dts
    }

    fn is_key(&self) -> bool {
        self.key
    }
}
