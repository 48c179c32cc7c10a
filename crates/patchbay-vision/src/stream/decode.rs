//! The pictures of a track, decoded one after another.

use super::VisionFigures;
use patchbay_av::{AvError, Decoded, VideoDecoder};
use patchbay_media::{
    AccessUnit, Codec,
    codec::{
        h264::{NalType, SliceHeader},
        nal,
    },
    ring::Read,
    track::Track,
};

/// A decoder that goes on after what it cannot decode.
pub(super) struct Pictures {
    decoder: VideoDecoder,
    codec: Codec,
}

impl Pictures {
    pub(super) fn of(track: &Track) -> Result<Self, AvError> {
        Ok(Self { decoder: VideoDecoder::open(track.info())?, codec: track.info().codec })
    }

    /// What comes of a unit; nothing, and a word in the log, where it cannot be decoded.
    pub(super) fn decode(
        &mut self,
        read: &Read<AccessUnit>,
        figures: &VisionFigures,
    ) -> Option<Vec<Decoded>> {
        if read.skipped > 0 {
            // What it still holds belongs before the gap.
            drop(self.decoder.finish());
        }
        match self.decoder.decode(&read.entry.item) {
            Ok(pictures) => {
                figures.add_pictures(pictures.len());
                Some(pictures)
            }
            Err(error) => {
                figures.add_undecodable();
                tracing::debug!(%error, "left out a picture that cannot be decoded");
                None
            }
        }
    }

    /// Units were left out on purpose before the next one, which is a key frame.
    pub(super) fn begin_anew(&mut self) {
        drop(self.decoder.finish());
    }

    /// No other picture needs this one (`nal_ref_idc` 0: H.264, 7.4.1), so that it can be left out.
    pub(super) fn can_do_without(&self, unit: &AccessUnit) -> bool {
        if self.codec != Codec::H264 || unit.key {
            return false;
        }
        let mut slices = nal::units(&unit.data).flatten().filter(|nal| NalType::of(nal) == NalType::Slice);
        slices.next().is_some_and(|slice| SliceHeader::parse(&slice).is_ok_and(|header| header.ref_idc == 0))
    }
}
