//! Encodes samples: Opus in packets of 20 ms, AAC-LC in blocks of 1024.

use crate::{AvError, Samples, error::failed};
use bytes::Bytes;
use ffmpeg_next::{
    self as av, ChannelLayout, Dictionary, Packet, Rational, codec, encoder,
    format::{Sample, sample},
    frame,
};
use patchbay_media::{AccessUnit, Codec, MediaTime, TrackId, track::TrackInfo};
use std::{collections::VecDeque, time::Duration};

/// What to encode and how.
#[derive(Clone, Debug)]
pub struct AudioSettings {
    /// Track that the units belong to.
    pub track: TrackId,
    /// [`Codec::Opus`] or [`Codec::Aac`].
    pub codec: Codec,
    /// Moments a second; 48,000 for Opus.
    pub rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bits a second: 6,000 to 510,000.
    pub bitrate: u32,
}

impl AudioSettings {
    /// Opus in stereo as browsers take it.
    pub fn opus(track: TrackId) -> Self {
        Self { track, codec: Codec::Opus, rate: 48_000, channels: 2, bitrate: 64_000 }
    }

    /// AAC-LC in stereo.
    pub fn aac(track: TrackId) -> Self {
        Self { track, codec: Codec::Aac, rate: 48_000, channels: 2, bitrate: 128_000 }
    }

    fn check(&self) -> Result<(), AvError> {
        if !(1..=2).contains(&self.channels) {
            return Err(AvError::Setting { setting: "the number of channels", wanted: "1 or 2" });
        }
        if !(6_000..=510_000).contains(&self.bitrate) {
            return Err(AvError::Setting { setting: "the bit rate", wanted: "from 6 to 510 kbit/s" });
        }
        Ok(())
    }
}

/// Samples whose time differs from the expected by more than this begin a new line of time; smaller differences are rounding.
const JUMP: Duration = Duration::from_millis(60);

/// An encoder for sound. The delay of the codec (6.5 ms for Opus, 21 ms for AAC) is not taken from the times.
pub struct AudioEncoder {
    encoder: encoder::audio::Encoder,
    settings: AudioSettings,
    format: Sample,
    /// Moments in a unit.
    block: usize,
    /// Less than one block after each call.
    waiting: Vec<i16>,
    /// When the first of `waiting` is heard.
    next: Option<Line>,
    /// Times of the blocks that the encoder has not given back, which are a few.
    times: VecDeque<MediaTime>,
    configuration: Bytes,
    newest: MediaTime,
}

/// A line of time: where it began, and moments since.
#[derive(Clone, Copy)]
struct Line {
    start: MediaTime,
    moments: i64,
}

impl AudioEncoder {
    /// Opens it.
    pub fn open(settings: AudioSettings) -> Result<Self, AvError> {
        crate::log::init();
        settings.check()?;
        let (name, format) = match settings.codec {
            Codec::Opus => ("libopus", Sample::I16(sample::Type::Packed)),
            Codec::Aac => ("aac", Sample::F32(sample::Type::Planar)),
            other => {
                let reason = "sound is encoded as opus or AAC only";
                return Err(AvError::Unsuitable { codec: other.name(), reason });
            }
        };
        let missing = AvError::Missing { action: "encode", codec: settings.codec.name() };
        let codec = av::encoder::find_by_name(name).ok_or(missing)?;
        let mut audio =
            codec::Context::new_with_codec(codec).encoder().audio().map_err(failed("making an encoder"))?;
        let rate = i32::try_from(settings.rate).unwrap_or(i32::MAX);
        audio.set_rate(rate);
        audio.set_format(format);
        audio.set_channel_layout(ChannelLayout::default(i32::from(settings.channels)));
        audio.set_bit_rate(usize::try_from(settings.bitrate).unwrap_or(usize::MAX));
        audio.set_time_base(Rational(1, rate));
        if settings.codec == Codec::Aac {
            // The AudioSpecificConfig is only made when it may stand outside the stream.
            audio.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let mut options = Dictionary::new();
        if settings.codec == Codec::Opus {
            options.set("frame_duration", "20");
            options.set("application", "audio");
            // Half of what the encoder would try by itself (its complexity, 0 to 10): sound of cameras is encoded all day for as many as there are.
            options.set("compression_level", "5");
        }
        let encoder = audio.open_as_with(codec, options).map_err(failed("opening an encoder"))?;
        let block = usize::try_from(encoder.frame_size()).unwrap_or(960).max(1);
        let configuration = if settings.codec == Codec::Aac { extra_data(&encoder) } else { Bytes::new() };
        let newest = MediaTime::from_nanos(i64::MIN);
        Ok(Self {
            encoder,
            settings,
            format,
            block,
            waiting: Vec::new(),
            next: None,
            times: VecDeque::new(),
            configuration,
            newest,
        })
    }

    /// What the units are.
    pub fn info(&self) -> TrackInfo {
        TrackInfo {
            id: self.settings.track,
            codec: self.settings.codec,
            clock_rate: self.settings.rate,
            channels: self.settings.channels,
            width: 0,
            height: 0,
            configuration: self.configuration.clone(),
            reordered: false,
        }
    }

    /// Encodes samples of the encoder's rate and channels; what does not fill a unit waits for more.
    pub fn encode(&mut self, samples: &Samples) -> Result<Vec<AccessUnit>, AvError> {
        if samples.rate != self.settings.rate || samples.channels != self.settings.channels {
            return Err(AvError::Setting {
                setting: "the rate and the channels",
                wanted: "those of the encoder",
            });
        }
        self.follow(samples.pts);
        self.waiting.extend_from_slice(&samples.data);
        let length = self.block * usize::from(self.settings.channels);
        let mut units = Vec::new();
        while self.waiting.len() >= length {
            let rest = self.waiting.split_off(length);
            let block = std::mem::replace(&mut self.waiting, rest);
            self.encode_block(&block, &mut units)?;
        }
        Ok(units)
    }

    /// Goes on with the line of time, or begins a new one where the samples come from elsewhere.
    fn follow(&mut self, pts: MediaTime) {
        let waiting = self.waiting.len() / usize::from(self.settings.channels);
        let expected = self.next.map(|line| self.at(line, waiting));
        let near = expected.is_some_and(|expected| pts.since(expected).max(expected.since(pts)) <= JUMP);
        if !near {
            self.waiting.clear();
            self.next = Some(Line { start: pts, moments: 0 });
        }
    }

    fn at(&self, line: Line, more: usize) -> MediaTime {
        let moments = line.moments.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
        MediaTime::from_nanos(
            line.start.nanos().saturating_add(MediaTime::from_ticks(moments, self.settings.rate).nanos()),
        )
    }

    fn encode_block(&mut self, block: &[i16], units: &mut Vec<AccessUnit>) -> Result<(), AvError> {
        let Some(line) = self.next else { return Ok(()) };
        let pts = self.at(line, 0);
        self.next =
            Some(Line { start: line.start, moments: line.moments + i64::try_from(self.block).unwrap_or(0) });
        let mut frame = self.frame(block);
        frame.set_pts(Some(pts.ticks(self.settings.rate)));
        self.times.push_back(pts);
        self.encoder.send_frame(&frame).map_err(failed("encoding sound"))?;
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => units.push(self.unit(&packet)),
                Err(av::Error::Other { errno: av::error::EAGAIN }) => return Ok(()),
                Err(error) => return Err(failed("encoding sound")(error)),
            }
        }
    }

    fn frame(&self, block: &[i16]) -> frame::Audio {
        let channels = usize::from(self.settings.channels);
        let layout = ChannelLayout::default(i32::from(self.settings.channels));
        let mut frame = frame::Audio::new(self.format, self.block, layout);
        frame.set_rate(self.settings.rate);
        if self.format == Sample::I16(sample::Type::Packed) {
            let bytes = frame.data_mut(0);
            for (target, sample) in bytes.chunks_exact_mut(2).zip(block) {
                target.copy_from_slice(&sample.to_ne_bytes());
            }
            return frame;
        }
        for channel in 0..channels {
            let plane = frame.plane_mut::<f32>(channel);
            for (target, sample) in plane.iter_mut().zip(block.iter().skip(channel).step_by(channels)) {
                *target = f32::from(*sample) / 32_768.0;
            }
        }
        frame
    }

    fn unit(&mut self, packet: &Packet) -> AccessUnit {
        let data = Bytes::copy_from_slice(packet.data().unwrap_or_default());
        self.newest = self.newest.max(self.times.pop_front().unwrap_or(self.newest));
        AccessUnit { track: self.settings.track, dts: self.newest, pts: self.newest, key: true, data }
    }
}

/// What the encoder has to say outside the stream.
fn extra_data(encoder: &encoder::audio::Encoder) -> Bytes {
    // SAFETY: the context is open and lives here; libav guarantees `extradata_size` bytes at `extradata` when that is not null.
    #[expect(unsafe_code, reason = "ffmpeg-next has no getter")]
    unsafe {
        let context = &*encoder.as_ptr();
        let length = usize::try_from(context.extradata_size).unwrap_or(0);
        if context.extradata.is_null() || length == 0 {
            return Bytes::new();
        }
        Bytes::copy_from_slice(std::slice::from_raw_parts(context.extradata, length))
    }
}
