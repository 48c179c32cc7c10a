//! Brings the packets of a file into the form in which the hub carries them.

use super::FileError;
use bytes::Bytes;
use patchbay_media::{
    Codec, Kind, TrackId,
    codec::{
        HeaderError, Normalised, aac,
        av1::{self, Sequence},
        h264, h265,
        nal::{self, LengthSize},
        parameter_sets::ParameterSets,
        vp8, vp9,
    },
    track::TrackInfo,
};

/// What the container says about a stream.
pub(crate) struct Facts {
    /// The codec's configuration, in the container's form.
    pub(crate) extra: Bytes,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) rate: u32,
    pub(crate) channels: u8,
    /// Pictures are held back to be put in order.
    pub(crate) delayed: bool,
}

/// Shapes the packets of one stream.
pub(crate) struct Shaper {
    info: TrackInfo,
    form: Form,
}

enum Form {
    /// H.264 and H.265; start codes when there is no length.
    NalUnits {
        length: Option<LengthSize>,
        sets: ParameterSets,
    },
    Av1(Sequence),
    Vp8,
    Vp9,
    /// AAC with a header in front of each block.
    Adts,
    /// As it is.
    Plain,
}

impl Shaper {
    /// Reads the configuration.
    pub(crate) fn new(id: TrackId, codec: Codec, facts: &Facts) -> Result<Self, FileError> {
        let damaged = |_: HeaderError| FileError::Damaged("description of its codec");
        let (form, configuration) = form(codec, &facts.extra).map_err(damaged)?;
        let mut info = TrackInfo {
            id,
            codec,
            clock_rate: 90_000,
            channels: 0,
            width: facts.width,
            height: facts.height,
            configuration,
            reordered: facts.delayed,
        };
        if codec.kind() == Kind::Audio {
            (info.width, info.height, info.reordered) = (0, 0, false);
            info.channels = facts.channels.max(1);
            // Opus counts in 48 kHz whatever was put in (RFC 7587, 4.1).
            info.clock_rate = if codec == Codec::Opus { 48_000 } else { facts.rate.max(1) };
        }
        Ok(Self { info, form })
    }

    /// What is known of the track. AAC with headers has its configuration after the first packet.
    pub(crate) fn info(&self) -> TrackInfo {
        self.info.clone()
    }

    /// Pictures of another size come from here on.
    pub(crate) fn set_size(&mut self, width: u16, height: u16) {
        (self.info.width, self.info.height) = (width, height);
    }

    /// The unit in a packet, and whether decoding can start there.
    pub(crate) fn shape(&mut self, packet: &Bytes) -> Result<(Bytes, bool), HeaderError> {
        let normalised = match &mut self.form {
            Form::NalUnits { length, sets } => {
                let unit = match length {
                    Some(length) => nal::from_lengths(packet, *length)?,
                    None => nal::from_annex_b(packet)?,
                };
                sets.normalise(&unit)?
            }
            Form::Av1(sequence) => sequence.normalise(packet)?,
            Form::Vp8 => {
                let key = matches!(vp8::FrameHeader::parse(packet)?, vp8::FrameHeader::Key { .. });
                return Ok((packet.clone(), key));
            }
            Form::Vp9 => return Ok((packet.clone(), vp9::FrameHeader::parse(packet)?.key.is_some())),
            Form::Adts => {
                let (config, block) = aac::adts_frames(packet).next().ok_or(HeaderError::Truncated)??;
                if self.info.configuration.is_empty() {
                    self.info.configuration = config.build()?;
                }
                return Ok((block, true));
            }
            Form::Plain => return Ok((packet.clone(), true)),
        };
        let Normalised { data, key, configuration } = normalised;
        if let Some(configuration) = configuration {
            self.info.configuration = configuration;
        }
        Ok((data, key))
    }
}

/// How packets come, and the configuration in the hub's form.
fn form(codec: Codec, extra: &Bytes) -> Result<(Form, Bytes), HeaderError> {
    Ok(match codec {
        Codec::H264 | Codec::H265 => {
            let (length, configuration) = nal_configuration(codec, extra)?;
            let mut sets = if codec == Codec::H264 { ParameterSets::h264() } else { ParameterSets::h265() };
            sets.learn(&configuration)?;
            (Form::NalUnits { length, sets }, configuration)
        }
        Codec::Av1 => {
            let configuration = av1_configuration(extra)?;
            let mut sequence = Sequence::default();
            sequence.learn(&configuration)?;
            (Form::Av1(sequence), configuration)
        }
        Codec::Vp8 => (Form::Vp8, Bytes::new()),
        Codec::Vp9 => (Form::Vp9, Bytes::new()),
        Codec::Aac if extra.is_empty() => (Form::Adts, Bytes::new()),
        Codec::Aac => (Form::Plain, extra.clone()),
        Codec::Opus | Codec::Pcma | Codec::Pcmu => (Form::Plain, Bytes::new()),
    })
}

/// MP4 and its kin have a record, whose first byte no OBU has (its forbidden bit is set); of IVF libav gives what it found in front of the first picture.
fn av1_configuration(extra: &Bytes) -> Result<Bytes, HeaderError> {
    if extra.first() == Some(&0x81) { av1::parse_av1c(extra) } else { Ok(extra.clone()) }
}

/// MP4 and its kin have a record, whose first byte is 1; transport streams and AVI have start codes, or nothing.
fn nal_configuration(codec: Codec, extra: &Bytes) -> Result<(Option<LengthSize>, Bytes), HeaderError> {
    match (codec, extra.first()) {
        (_, None) => Ok((None, Bytes::new())),
        (Codec::H264, Some(1)) => {
            let record = h264::Avcc::parse(extra)?;
            Ok((Some(record.length_size), record.configuration))
        }
        (_, Some(1)) => {
            let record = h265::Hvcc::parse(extra)?;
            Ok((Some(record.length_size), record.configuration))
        }
        _ => {
            let units: Vec<&[u8]> = nal::annex_b_units(extra).collect();
            Ok((None, nal::join(&units)?))
        }
    }
}
