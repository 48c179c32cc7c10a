//! Decodes pictures.

use crate::{AvError, Picture, PictureSize, Scaler, error::failed};
use bytes::Bytes;
use ffmpeg_next::{self as av, Dictionary, Packet, Rational, codec, decoder, format::Pixel, frame};
use patchbay_media::{AccessUnit, Codec, MediaTime, codec::nal, track::TrackInfo};

/// Most pixels of a picture: 8192x4352, the largest of level 6 of H.264 and H.265.
const MAX_PIXELS: &str = "35651584";

/// Codecs of old cameras, which are decoded for showing where the hub does not carry them.
const SHOWN: [codec::Id; 6] = [
    codec::Id::MPEG4,
    codec::Id::MPEG2VIDEO,
    codec::Id::MPEG1VIDEO,
    codec::Id::MJPEG,
    codec::Id::H263,
    codec::Id::FLV1,
];

/// A picture and when it is shown.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The picture.
    pub picture: Picture,
    /// When it is shown.
    pub pts: MediaTime,
}

/// A decoder for pictures.
pub struct VideoDecoder {
    decoder: decoder::Video,
    codec: Option<Codec>,
    scaler: Scaler,
}

impl VideoDecoder {
    /// A decoder for a track.
    pub fn open(info: &TrackInfo) -> Result<Self, AvError> {
        let id = match info.codec {
            Codec::H264 => codec::Id::H264,
            Codec::H265 => codec::Id::HEVC,
            Codec::Av1 => codec::Id::AV1,
            Codec::Vp8 => codec::Id::VP8,
            Codec::Vp9 => codec::Id::VP9,
            Codec::Aac | Codec::Opus | Codec::Pcma | Codec::Pcmu => {
                let reason = "it is sound, not pictures";
                return Err(AvError::Unsuitable { codec: info.codec.name(), reason });
            }
        };
        let flags = if info.reordered { codec::Flags::empty() } else { codec::Flags::LOW_DELAY };
        Ok(Self {
            decoder: open(id, info.codec.name(), flags)?,
            codec: Some(info.codec),
            scaler: Scaler::new(),
        })
    }

    /// A decoder for JPEG, as cameras send it.
    pub fn jpeg() -> Result<Self, AvError> {
        let decoder = open(codec::Id::MJPEG, "JPEG", codec::Flags::LOW_DELAY)?;
        Ok(Self { decoder, codec: None, scaler: Scaler::new() })
    }

    /// A decoder for a stream of libav's in a codec that the hub does not carry.
    pub(crate) fn of_stream(parameters: codec::Parameters) -> Result<Self, AvError> {
        crate::log::init();
        let id = parameters.id();
        let reason = "it is not among the codecs that are decoded for showing";
        let refused = AvError::Unsuitable { codec: id.name(), reason };
        let codec = SHOWN.contains(&id).then(|| av::decoder::find(id)).flatten().ok_or(refused)?;
        let mut context = codec::Context::from_parameters(parameters).map_err(failed("making a decoder"))?;
        context.set_threading(codec::threading::Config::count(1));
        let decoder = open_context(context, codec)?;
        Ok(Self { decoder, codec: None, scaler: Scaler::new() })
    }

    /// Decodes a unit: none or more pictures come of it, in the order in which they are shown. After an error the decoder can go on with the next key frame.
    pub fn decode(&mut self, unit: &AccessUnit) -> Result<Vec<Decoded>, AvError> {
        let coded = match self.codec {
            Some(Codec::H264 | Codec::H265) => nal::to_annex_b(&unit.data)?,
            _ => unit.data.clone(),
        };
        self.send(&coded, unit)?;
        self.receive(unit.pts)
    }

    /// The pictures that the decoder still holds; afterwards it can begin anew at a key frame.
    pub fn finish(&mut self) -> Result<Vec<Decoded>, AvError> {
        self.decoder.send_eof().map_err(failed("decoding a picture"))?;
        let pictures = self.receive(MediaTime::ZERO);
        self.decoder.flush();
        pictures
    }

    /// Decodes one picture that stands for itself.
    pub fn decode_still(&mut self, coded: &Bytes) -> Result<Picture, AvError> {
        let (dts, pts) = (MediaTime::ZERO, MediaTime::ZERO);
        let unit = AccessUnit { track: patchbay_media::TrackId(0), dts, pts, key: true, data: coded.clone() };
        let mut pictures = self.decode(&unit)?;
        pictures.extend(self.finish()?);
        let nothing = AvError::Unsuitable { codec: "the coded picture", reason: "no picture comes of it" };
        pictures.pop().map(|decoded| decoded.picture).ok_or(nothing)
    }

    fn send(&mut self, coded: &Bytes, unit: &AccessUnit) -> Result<(), AvError> {
        if coded.is_empty() {
            return Err(AvError::Unsuitable { codec: "the coded picture", reason: "it is empty" });
        }
        let mut packet = Packet::copy(coded);
        packet.set_pts(Some(unit.pts.nanos()));
        packet.set_dts(Some(unit.dts.nanos()));
        if unit.key {
            packet.set_flags(codec::packet::Flags::KEY);
        }
        self.decoder.send_packet(&packet).map_err(failed("decoding a picture"))
    }

    fn receive(&mut self, otherwise: MediaTime) -> Result<Vec<Decoded>, AvError> {
        let mut pictures = Vec::new();
        loop {
            let mut frame = frame::Video::empty();
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => pictures.push(self.picture(frame, otherwise)?),
                Err(av::Error::Other { errno: av::error::EAGAIN } | av::Error::Eof) => return Ok(pictures),
                Err(error) => return Err(failed("decoding a picture")(error)),
            }
        }
    }

    fn picture(&mut self, frame: frame::Video, otherwise: MediaTime) -> Result<Decoded, AvError> {
        let pts = frame.timestamp().map_or(otherwise, MediaTime::from_nanos);
        let as_it_is = PictureSize::new(frame.width(), frame.height()).is_ok();
        let picture = if as_it_is && frame.format() == Pixel::YUV420P {
            Picture::from_frame(frame)?
        } else {
            self.scaler.convert(&frame, PictureSize::nearest(frame.width(), frame.height()))?
        };
        Ok(Decoded { picture, pts })
    }
}

fn open(id: codec::Id, name: &'static str, flags: codec::Flags) -> Result<decoder::Video, AvError> {
    crate::log::init();
    let codec = av::decoder::find(id).ok_or(AvError::Missing { action: "decode", codec: name })?;
    let mut context = codec::Context::new_with_codec(codec);
    context.set_flags(flags);
    context.set_threading(codec::threading::Config::count(1));
    open_context(context, codec)
}

fn open_context(context: codec::Context, codec: av::Codec) -> Result<decoder::Video, AvError> {
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(Rational(1, 1_000_000_000));
    let mut options = Dictionary::new();
    options.set("max_pixels", MAX_PIXELS);
    let opened = decoder.open_as_with(codec, options).map_err(failed("opening a decoder"))?;
    opened.video().map_err(failed("opening a decoder"))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
