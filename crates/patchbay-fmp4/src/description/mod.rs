//! What an init segment says of one track.

mod entry;

use crate::MuxError;
use bytes::Bytes;
use mp4_atom::Codec as Entry;
use patchbay_media::{
    Codec, Kind, TrackId,
    codec::{
        HeaderError,
        av1::Sequence,
        mime::codec_string,
        nal,
        parameter_sets::ParameterSets,
        vp9::{FrameHeader, KeyHeader},
    },
    track::TrackInfo,
};

/// Ticks a second of pictures.
const VIDEO_SCALE: u32 = 90_000;

/// A track, described so that a player can decode it.
#[derive(Clone, Debug)]
pub struct Description {
    info: TrackInfo,
    /// Of H.264 and H.265.
    sets: Vec<Bytes>,
    vp9: Option<(u8, u8)>,
    entry: Entry,
    codecs: String,
}

impl Description {
    /// Describes a track by what is known of it, and where that is not enough, or no longer true, by a key unit: the first one that will be written.
    ///
    /// Without a key unit VP9 is taken for profile 0 with 8 bits, since its tracks say nothing of that.
    pub fn of(info: &TrackInfo, key: Option<&Bytes>) -> Result<Self, MuxError> {
        let codec = info.codec;
        let wrong = |source| match source {
            HeaderError::NoParameterSets => MuxError::NotDescribed(codec),
            source => MuxError::Header { codec, source },
        };
        let mut info = info.clone();
        match codec {
            Codec::H264 => learn(&mut info, ParameterSets::h264(), key).map_err(wrong)?,
            Codec::H265 => learn(&mut info, ParameterSets::h265(), key).map_err(wrong)?,
            Codec::Av1 => learn_av1(&mut info, key).map_err(wrong)?,
            Codec::Aac if info.configuration.is_empty() => return Err(MuxError::NotDescribed(codec)),
            Codec::Vp9 | Codec::Aac | Codec::Opus => {}
            Codec::Vp8 | Codec::Pcma | Codec::Pcmu => return Err(MuxError::Codec(codec)),
        }
        let vp9 = (codec == Codec::Vp9).then(|| learn_vp9(&mut info, key)).transpose().map_err(wrong)?;
        let sets = match codec {
            Codec::H264 | Codec::H265 => {
                nal::units(&info.configuration).collect::<Result<_, _>>().map_err(wrong)?
            }
            _ => Vec::new(),
        };
        let codecs = match vp9 {
            Some((profile, depth)) => format!("vp09.{profile:02}.{:02}.{depth:02}", entry::vp9_level(&info)),
            None => codec_string(codec, &info.configuration).map_err(wrong)?,
        };
        let entry = entry::of(&info, vp9)?;
        Ok(Self { info, sets, vp9, entry, codecs })
    }

    /// Its number in the hub.
    pub fn id(&self) -> TrackId {
        self.info.id
    }

    /// Its number in MP4, which is never 0.
    pub(crate) fn number(&self) -> u32 {
        u32::from(self.info.id.0) + 1
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        self.info.codec
    }

    /// Pictures or sound.
    pub fn kind(&self) -> Kind {
        self.info.codec.kind()
    }

    /// Its name for `codecs=` (RFC 6381): `avc1.64001f`, `vp09.00.30.08`, `opus`.
    pub fn codecs(&self) -> &str {
        &self.codecs
    }

    /// Ticks a second of its times.
    pub fn timescale(&self) -> u32 {
        match self.kind() {
            Kind::Video => VIDEO_SCALE,
            Kind::Audio => self.info.clock_rate.max(1),
        }
    }

    pub(crate) fn size(&self) -> (u16, u16) {
        (self.info.width, self.info.height)
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(crate) fn configuration(&self) -> &Bytes {
        &self.info.configuration
    }

    /// Profile and bits a sample, of VP9 alone.
    pub(crate) fn vp9(&self) -> Option<(u8, u8)> {
        self.vp9
    }

    /// The init segment has this parameter set.
    pub(crate) fn has_set(&self, set: &Bytes) -> bool {
        self.sets.contains(set)
    }
}

/// Takes parameter sets from the track, and then those of the key unit, which are newer.
fn learn(info: &mut TrackInfo, mut sets: ParameterSets, key: Option<&Bytes>) -> Result<(), HeaderError> {
    sets.learn(&info.configuration)?;
    if let Some(key) = key {
        sets.learn(key)?;
    }
    let format = sets.format()?;
    info.configuration = sets.configuration()?;
    (info.width, info.height) = (format.width, format.height);
    Ok(())
}

fn learn_av1(info: &mut TrackInfo, key: Option<&Bytes>) -> Result<(), HeaderError> {
    let mut sequence = Sequence::default();
    sequence.learn(&info.configuration)?;
    if let Some(key) = key
        && let Some(configuration) = sequence.normalise(key)?.configuration
    {
        info.configuration = configuration;
    }
    let format = sequence.header().ok_or(HeaderError::NoParameterSets)??.format();
    (info.width, info.height) = (format.width, format.height);
    Ok(())
}

/// Profile and bits a sample.
fn learn_vp9(info: &mut TrackInfo, key: Option<&Bytes>) -> Result<(u8, u8), HeaderError> {
    let Some(key) = key else { return Ok((0, 8)) };
    let FrameHeader { profile, key, .. } = FrameHeader::parse(key)?;
    let KeyHeader { width, height, bit_depth } = key.ok_or(HeaderError::NoParameterSets)?;
    (info.width, info.height) = (width, height);
    Ok((profile, bit_depth))
}
