//! Decodes sound.

use super::set_extra_data;
use crate::{AvError, Resampler, Samples, error::failed};
use ffmpeg_next::{self as av, ChannelLayout, Packet, Rational, codec, decoder, frame};
use patchbay_media::{AccessUnit, Codec, MediaTime, track::TrackInfo};

/// A decoder for sound, whose samples come in the rate and channels that were asked for.
pub struct AudioDecoder {
    decoder: decoder::Audio,
    resampler: Resampler,
}

impl AudioDecoder {
    /// A decoder for a track, which gives samples of `rate` in `channels` (1 or 2).
    pub fn open(info: &TrackInfo, rate: u32, channels: u8) -> Result<Self, AvError> {
        crate::log::init();
        let id = match info.codec {
            Codec::Aac => codec::Id::AAC,
            Codec::Opus => codec::Id::OPUS,
            Codec::Pcma => codec::Id::PCM_ALAW,
            Codec::Pcmu => codec::Id::PCM_MULAW,
            Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp8 | Codec::Vp9 => {
                let reason = "it is pictures, not sound";
                return Err(AvError::Unsuitable { codec: info.codec.name(), reason });
            }
        };
        let missing = AvError::Missing { action: "decode", codec: info.codec.name() };
        let found = av::decoder::find(id).ok_or(missing)?;
        let mut context = codec::Context::new_with_codec(found);
        if info.codec == Codec::Aac {
            set_extra_data(&mut context, &info.configuration);
        }
        set_form(&mut context, info);
        context.set_threading(codec::threading::Config::count(1));
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(Rational(1, 1_000_000_000));
        let opened = decoder.open_as(found).map_err(failed("opening a decoder"))?;
        let decoder = opened.audio().map_err(failed("opening a decoder"))?;
        Ok(Self { decoder, resampler: Resampler::new(rate, channels)? })
    }

    /// Decodes a unit. After an error the decoder can go on with the next one.
    pub fn decode(&mut self, unit: &AccessUnit) -> Result<Vec<Samples>, AvError> {
        if unit.data.is_empty() {
            return Err(AvError::Unsuitable { codec: "the coded sound", reason: "it is empty" });
        }
        let mut packet = Packet::copy(&unit.data);
        packet.set_pts(Some(unit.pts.nanos()));
        packet.set_dts(Some(unit.dts.nanos()));
        self.decoder.send_packet(&packet).map_err(failed("decoding sound"))?;
        let mut samples = Vec::new();
        loop {
            let mut frame = frame::Audio::empty();
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => {
                    let pts = frame.timestamp().map_or(unit.pts, MediaTime::from_nanos);
                    samples.push(self.resampler.convert(&mut frame, pts)?);
                }
                Err(av::Error::Other { errno: av::error::EAGAIN } | av::Error::Eof) => return Ok(samples),
                Err(error) => return Err(failed("decoding sound")(error)),
            }
        }
    }
}

/// What the decoder cannot see in the stream: G.711 has no header at all.
fn set_form(context: &mut codec::Context, info: &TrackInfo) {
    let channels = i32::from(info.channels.clamp(1, 8));
    // SAFETY: plain fields of a context that lives here and has not been opened.
    #[expect(unsafe_code, reason = "ffmpeg-next has setters for encoders only")]
    unsafe {
        let context = &mut *context.as_mut_ptr();
        context.sample_rate = i32::try_from(info.clock_rate).unwrap_or(0);
        context.channels = channels;
        context.channel_layout = ChannelLayout::default(channels).bits();
    }
}
