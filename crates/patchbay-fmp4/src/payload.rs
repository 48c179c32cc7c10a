//! What of a unit goes into a sample, and whether the sample is still what the init segment says.
//!
//! In MP4 of the kinds `avc1` and `hvc1` the parameter sets stand in the init segment alone (ISO/IEC 14496-15, 5.3.3 and 8.3.3), so that those which the
//! hub puts in front of key frames are left out. What differs from the init segment is told instead of written.

use crate::{Description, MuxError};
use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec,
    codec::{HeaderError, av1, h264, h265, nal, vp9},
};

/// Bytes in front of a NAL unit.
const LENGTH: usize = 4;

/// The chunks of a sample; they share the unit's bytes.
pub(crate) fn of(track: &Description, unit: &AccessUnit) -> Result<Vec<Bytes>, MuxError> {
    let codec = track.codec();
    let header = |source| MuxError::Header { codec, source };
    match codec {
        Codec::H264 => without_sets(track, unit, is_h264_set),
        Codec::H265 => without_sets(track, unit, is_h265_set),
        Codec::Av1 => {
            if unit.key && has_changed_av1(track.configuration(), &unit.data).map_err(header)? {
                return Err(MuxError::Changed(unit.track));
            }
            Ok(vec![unit.data.clone()])
        }
        Codec::Vp9 => {
            let frame = vp9::FrameHeader::parse(&unit.data).map_err(header)?;
            let other = frame.key.is_some_and(|key| track.vp9() != Some((frame.profile, key.bit_depth)));
            if other { Err(MuxError::Changed(unit.track)) } else { Ok(vec![unit.data.clone()]) }
        }
        Codec::Aac | Codec::Opus | Codec::Vp8 | Codec::Pcma | Codec::Pcmu => Ok(vec![unit.data.clone()]),
    }
}

fn is_h264_set(nal: &[u8]) -> bool {
    matches!(h264::NalType::of(nal), h264::NalType::Sps | h264::NalType::Pps)
}

fn is_h265_set(nal: &[u8]) -> bool {
    matches!(h265::NalType::of(nal), h265::NalType::Vps | h265::NalType::Sps | h265::NalType::Pps)
}

/// The NAL units that are no parameter sets. Those that stand beside each other stay one chunk.
fn without_sets(
    track: &Description,
    unit: &AccessUnit,
    is_set: fn(&[u8]) -> bool,
) -> Result<Vec<Bytes>, MuxError> {
    let mut chunks = Vec::new();
    let (mut begin, mut at) = (0, 0);
    for nal in nal::units(&unit.data) {
        let nal = nal.map_err(|source| MuxError::Header { codec: track.codec(), source })?;
        let end = at + LENGTH + nal.len();
        if is_set(&nal) {
            if !track.has_set(&nal) {
                return Err(MuxError::Changed(unit.track));
            }
            chunks.push(unit.data.slice(begin..at));
            begin = end;
        }
        at = end;
    }
    chunks.push(unit.data.slice(begin..at));
    chunks.retain(|chunk| !chunk.is_empty());
    Ok(chunks)
}

fn has_changed_av1(configuration: &Bytes, unit: &Bytes) -> Result<bool, HeaderError> {
    let header = |bytes: &Bytes| {
        let mut sequence = av1::Sequence::default();
        sequence.learn(bytes)?;
        sequence.header().transpose()
    };
    let told = header(unit)?;
    Ok(told.is_some() && told != header(configuration)?)
}
