//! Encodes pictures with the least delay: one picture in, its unit out.

use crate::{AvError, Picture, PictureSize, error::failed, nal_units};
use bytes::Bytes;
use ffmpeg_next::{self as av, Dictionary, Packet, Rational, codec, encoder, format::Pixel, picture};
use patchbay_media::{AccessUnit, Codec, MediaTime, TrackId, track::TrackInfo};
use std::time::Duration;

/// Ticks a second of the clock that encoders count in, which is that of RTP.
pub(crate) const CLOCK: u32 = 90_000;

/// Bits that a key frame needs even when it is as coarse as can be.
const LEAST_BUFFER: u64 = 48_000;

/// How hard x264 tries: the slower, the better the picture at the same bit rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Least work.
    #[default]
    UltraFast,
    /// About twice the work.
    SuperFast,
    /// About three times the work.
    VeryFast,
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::UltraFast => "ultrafast",
            Self::SuperFast => "superfast",
            Self::VeryFast => "veryfast",
        }
    }
}

/// What to encode and how.
#[derive(Clone, Debug)]
pub struct VideoSettings {
    /// Track that the units belong to.
    pub track: TrackId,
    /// [`Codec::H264`] (Constrained Baseline) or [`Codec::Vp8`].
    pub codec: Codec,
    /// Size of every picture.
    pub size: PictureSize,
    /// Pictures a second, as a guide for the bit rate: 1 to 240.
    pub fps: u32,
    /// Bits a second, mean and most: 10,000 to 100,000,000.
    pub bitrate: u32,
    /// A key frame at least this often.
    pub key_frame_interval: Duration,
    /// Most time that one picture may take on a line of `bitrate`; key frames are made no larger.
    pub burst: Duration,
    /// For H.264.
    pub preset: Preset,
}

impl VideoSettings {
    /// H.264 as browsers take it: 2 Mbit/s at 720p30 and in proportion, a key frame each 10 s and when asked for.
    pub fn h264(track: TrackId, size: PictureSize, fps: u32) -> Self {
        let pixels = u64::from(size.width()) * u64::from(size.height());
        let bitrate = (pixels * u64::from(fps) * 2_000_000 / (1280 * 720 * 30)).clamp(100_000, 20_000_000);
        Self {
            track,
            codec: Codec::H264,
            size,
            fps,
            bitrate: u32::try_from(bitrate).unwrap_or(2_000_000),
            key_frame_interval: Duration::from_secs(10),
            burst: Duration::from_millis(200),
            preset: Preset::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), AvError> {
        if !(1..=240).contains(&self.fps) {
            return Err(AvError::Setting {
                setting: "the number of pictures a second",
                wanted: "from 1 to 240",
            });
        }
        if !(10_000..=100_000_000).contains(&self.bitrate) {
            return Err(AvError::Setting { setting: "the bit rate", wanted: "from 10 kbit/s to 100 Mbit/s" });
        }
        if self.key_frame_interval.is_zero() || self.key_frame_interval > Duration::from_hours(1) {
            return Err(AvError::Setting { setting: "the time between key frames", wanted: "up to an hour" });
        }
        if self.burst < Duration::from_millis(20) || self.burst > Duration::from_secs(10) {
            return Err(AvError::Setting { setting: "the time of a burst", wanted: "from 20 ms to 10 s" });
        }
        Ok(())
    }

    /// Pictures from one key frame to the next.
    fn group(&self) -> u32 {
        let millis = u32::try_from(self.key_frame_interval.as_millis()).unwrap_or(u32::MAX);
        u32::try_from(u64::from(self.fps) * u64::from(millis) / 1_000).unwrap_or(u32::MAX).clamp(1, 100_000)
    }

    /// Bits of the buffer of which the rate control thinks at the other end of the line.
    fn buffer(&self) -> u64 {
        let bits = u128::from(self.bitrate) * self.burst.as_millis() / 1_000;
        u64::try_from(bits).unwrap_or(u64::MAX).max(LEAST_BUFFER)
    }

    fn options(&self) -> Dictionary<'static> {
        let mut options = Dictionary::new();
        options.set("maxrate", &self.bitrate.to_string());
        options.set("bufsize", &self.buffer().to_string());
        if self.codec == Codec::Vp8 {
            for (key, value) in [
                ("deadline", "realtime"),
                ("cpu-used", "8"),
                ("lag-in-frames", "0"),
                ("error-resilient", "1"),
                ("auto-alt-ref", "0"),
            ] {
                options.set(key, value);
            }
            options.set("minrate", &self.bitrate.to_string());
            return options;
        }
        options.set("preset", self.preset.name());
        for (key, value) in [
            ("tune", "zerolatency"),
            ("profile", "baseline"),
            // Without this a key frame that was asked for is an I picture at which nobody can begin.
            ("forced-idr", "1"),
            // Above 51 x264 leaves out what changed altogether, and the clock in the picture would stand still.
            ("x264-params", "scenecut=0:sliced-threads=0:threads=1:sync-lookahead=0:qpmax=51"),
        ] {
            options.set(key, value);
        }
        options
    }
}

/// Whether a picture becomes a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrame {
    /// When one is due.
    AsDue,
    /// Whatever is due.
    Now,
}

/// An encoder for pictures.
pub struct VideoEncoder {
    encoder: encoder::video::Encoder,
    settings: VideoSettings,
    sets: Bytes,
    newest: MediaTime,
}

impl VideoEncoder {
    /// Opens it.
    pub fn open(settings: VideoSettings) -> Result<Self, AvError> {
        crate::log::init();
        settings.check()?;
        let name = match settings.codec {
            Codec::H264 => "libx264",
            Codec::Vp8 => "libvpx",
            other => {
                let reason = "pictures are encoded as H264 or VP8 only";
                return Err(AvError::Unsuitable { codec: other.name(), reason });
            }
        };
        let missing = AvError::Missing { action: "encode", codec: settings.codec.name() };
        let codec = av::encoder::find_by_name(name).ok_or(missing)?;
        let mut video =
            codec::Context::new_with_codec(codec).encoder().video().map_err(failed("making an encoder"))?;
        video.set_width(u32::from(settings.size.width()));
        video.set_height(u32::from(settings.size.height()));
        video.set_format(Pixel::YUV420P);
        let clock = i32::try_from(CLOCK).unwrap_or(i32::MAX);
        video.set_time_base(Rational(1, clock));
        video.set_frame_rate(Some(Rational(i32::try_from(settings.fps).unwrap_or(30), 1)));
        video.set_gop(settings.group());
        video.set_max_b_frames(0);
        video.set_bit_rate(usize::try_from(settings.bitrate).unwrap_or(usize::MAX));
        video.set_threading(codec::threading::Config::count(1));
        let encoder = video.open_as_with(codec, settings.options()).map_err(failed("opening an encoder"))?;
        let newest = MediaTime::from_nanos(i64::MIN);
        Ok(Self { encoder, settings, sets: Bytes::new(), newest })
    }

    /// Encodes a picture. Nothing comes when the encoder leaves it out, which VP8 may do to keep the bit rate. Times must go forward.
    pub fn encode(
        &mut self,
        picture: &Picture,
        pts: MediaTime,
        key: KeyFrame,
    ) -> Result<Option<AccessUnit>, AvError> {
        if picture.size() != self.settings.size {
            return Err(AvError::OtherSize);
        }
        if pts <= self.newest {
            return Err(AvError::Setting {
                setting: "the time of a picture",
                wanted: "after that of the last one",
            });
        }
        self.newest = pts;
        let mut frame = picture.share()?;
        frame.set_pts(Some(pts.ticks(CLOCK)));
        let kind = if key == KeyFrame::Now { picture::Type::I } else { picture::Type::None };
        frame.set_kind(kind);
        self.encoder.send_frame(&frame).map_err(failed("encoding a picture"))?;
        let mut packet = Packet::empty();
        match self.encoder.receive_packet(&mut packet) {
            Ok(()) => self.unit(&packet, pts).map(Some),
            Err(av::Error::Other { errno: av::error::EAGAIN }) => Ok(None),
            Err(error) => Err(failed("encoding a picture")(error)),
        }
    }

    /// What the units are. The parameter sets of H.264 are known once a picture was encoded.
    pub fn info(&self) -> TrackInfo {
        TrackInfo {
            id: self.settings.track,
            codec: self.settings.codec,
            clock_rate: CLOCK,
            channels: 0,
            width: self.settings.size.width(),
            height: self.settings.size.height(),
            configuration: self.sets.clone(),
            reordered: false,
        }
    }

    /// How it was opened.
    pub fn settings(&self) -> &VideoSettings {
        &self.settings
    }

    fn unit(&mut self, packet: &Packet, pts: MediaTime) -> Result<AccessUnit, AvError> {
        let coded = packet.data().unwrap_or_default();
        let (track, key) = (self.settings.track, packet.is_key());
        if self.settings.codec == Codec::Vp8 {
            return Ok(AccessUnit { track, dts: pts, pts, key, data: Bytes::copy_from_slice(coded) });
        }
        let data = nal_units::from_x264(coded)?;
        if key {
            self.sets = nal_units::parameter_sets(Codec::H264, &data)?;
        }
        Ok(AccessUnit { track, dts: pts, pts, key, data })
    }
}
