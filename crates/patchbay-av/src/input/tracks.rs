//! The tracks of an input: packets in, units out.

use super::error::InputError;
use crate::{
    LiveEncoder, LiveSettings, VideoDecoder,
    file::{Facts, Shaper, codec_of, facts_of},
};
use bytes::Bytes;
use ffmpeg_next::{Packet, Stream, codec, format, media};
use patchbay_media::{
    AccessUnit, Codec, Kind, MediaTime, TrackId,
    codec::{nal::MAX_UNIT_BYTES, parameter_sets::ParameterSets},
    hub::SourceError,
    timeline::{Clock, LineId, Origin, TimeLine, Wrap},
    track::{KeyFrames, TrackInfo},
};
use std::time::Duration;

/// Ticks a second of the clock in which times are handed to the time line.
const CLOCK: u32 = 1_000_000;

/// A track.
pub(super) struct Track {
    /// Number of libav's stream.
    pub(super) stream: usize,
    pub(super) kind: Kind,
    codec_id: codec::Id,
    id: TrackId,
    /// Seconds a tick, as a fraction.
    base: (i64, i64),
    line: LineId,
    /// Where the next unit is, if its packet does not say; in ticks of the stream.
    next: i64,
    work: Work,
}

enum Work {
    Pass(Shaper),
    Encode { decoder: Box<VideoDecoder>, encoder: Box<LiveEncoder>, info: Option<TrackInfo> },
}

/// The units of a packet, and whether the track is another one from here on.
#[derive(Default)]
pub(super) struct Made {
    pub(super) units: Vec<AccessUnit>,
    pub(super) is_anew: bool,
    /// What was wrong with the packet.
    pub(super) is_discarded: bool,
    pub(super) has_jumped: bool,
}

impl Track {
    /// What the track is; nothing until that is known.
    pub(super) fn info(&self) -> Option<TrackInfo> {
        match &self.work {
            Work::Pass(shaper) => {
                let info = shaper.info();
                let needs = matches!(info.codec, Codec::H264 | Codec::H265 | Codec::Aac);
                (!needs || !info.configuration.is_empty()).then_some(info)
            }
            Work::Encode { info, .. } => info.clone(),
        }
    }

    pub(super) fn key_frames(&self) -> KeyFrames {
        match self.work {
            Work::Pass(_) => KeyFrames::AsTheyCome,
            Work::Encode { .. } => KeyFrames::OnRequest,
        }
    }

    /// Somebody asked for a key frame.
    pub(super) fn ask_key_frame(&mut self) {
        if let Work::Encode { encoder, .. } = &mut self.work {
            encoder.ask_key_frame();
        }
    }

    /// Makes units of a packet. Damaged ones are left out.
    pub(super) fn take(
        &mut self,
        packet: &Packet,
        times: &mut TimeLine,
        front: &mut MediaTime,
    ) -> Result<Made, SourceError> {
        let Some(data) = packet.data().filter(|data| (1..=MAX_UNIT_BYTES).contains(&data.len())) else {
            return Ok(Made { is_discarded: true, ..Made::default() });
        };
        let dts = packet.dts().or(packet.pts()).unwrap_or(self.next);
        let pts = packet.pts().unwrap_or(dts);
        self.next = dts.saturating_add(packet.duration().max(0));
        // Playlists and files come in bursts: their own times are the clock, and the pace is set when units are written.
        let arrival = front.since(MediaTime::ZERO);
        let placed = times.place(self.line, self.ticks(dts), self.ticks(pts), arrival);
        *front = (*front).max(placed.dts);
        let unit = AccessUnit {
            track: self.id,
            dts: placed.dts,
            pts: placed.pts,
            key: packet.is_key(),
            data: Bytes::copy_from_slice(data),
        };
        let made = match &mut self.work {
            Work::Pass(shaper) => pass(shaper, &unit),
            Work::Encode { decoder, encoder, info } => encode(decoder, encoder, info, &unit)?,
        };
        Ok(Made { has_jumped: placed.jumped, ..made })
    }

    /// Whether libav still means the same by the stream.
    pub(super) fn is_same(&self, input: &format::context::Input) -> bool {
        input.stream(self.stream).is_none_or(|stream| stream.parameters().id() == self.codec_id)
    }

    fn ticks(&self, ticks: i64) -> i64 {
        let (numerator, denominator) = (i128::from(self.base.0), i128::from(self.base.1));
        let ticks = i128::from(ticks) * i128::from(CLOCK) * numerator / denominator;
        i64::try_from(ticks).unwrap_or_default()
    }
}

fn pass(shaper: &mut Shaper, unit: &AccessUnit) -> Made {
    let before = shaper.info().configuration;
    match shaper.shape(&unit.data) {
        Ok((data, key)) => {
            let is_anew = shaper.info().configuration != before;
            if is_anew {
                resize(shaper);
            }
            Made { units: vec![AccessUnit { data, key, ..unit.clone() }], is_anew, ..Made::default() }
        }
        Err(error) => {
            tracing::debug!(%error, "left out a packet of an input");
            Made { is_discarded: true, ..Made::default() }
        }
    }
}

/// Takes the size of the pictures from their parameter sets.
fn resize(shaper: &mut Shaper) {
    let info = shaper.info();
    let mut sets = match info.codec {
        Codec::H264 => ParameterSets::h264(),
        Codec::H265 => ParameterSets::h265(),
        _ => return,
    };
    if let (Ok(()), Ok(format)) = (sets.learn(&info.configuration), sets.format()) {
        shaper.set_size(format.width, format.height);
    }
}

fn encode(
    decoder: &mut VideoDecoder,
    encoder: &mut LiveEncoder,
    info: &mut Option<TrackInfo>,
    unit: &AccessUnit,
) -> Result<Made, SourceError> {
    let mut made = Made::default();
    let Ok(pictures) = decoder.decode(unit) else {
        return Ok(Made { is_discarded: true, ..made });
    };
    for decoded in pictures {
        let Some(coded) = encoder.encode(&decoded.picture, decoded.pts)? else { continue };
        if let Some(anew) = coded.anew {
            made.is_anew = true;
            *info = Some(anew);
        }
        made.units.push(coded.unit);
    }
    Ok(made)
}

/// Chooses the best pictures and the best sound; libav leaves out the others from here on.
pub(super) fn choose(
    input: &mut format::context::Input,
    times: &mut TimeLine,
    live: &LiveSettings,
) -> Result<Vec<Track>, SourceError> {
    let mut tracks = Vec::new();
    let mut unusable = Vec::new();
    for (medium, kind) in [(media::Type::Video, Kind::Video), (media::Type::Audio, Kind::Audio)] {
        let cover = format::stream::Disposition::ATTACHED_PIC;
        let best = input.streams().best(medium);
        let Some(stream) = best.filter(|stream| !stream.disposition().contains(cover)) else { continue };
        let id = TrackId(u8::try_from(tracks.len()).unwrap_or(u8::MAX));
        match track(&stream, id, kind, times, live) {
            Some(track) => tracks.push(track),
            None => unusable.push(stream.parameters().id().name()),
        }
    }
    if tracks.is_empty() {
        let names = if unusable.is_empty() {
            String::new()
        } else {
            format!(": it sends {}", unusable.join(" and "))
        };
        return Err(InputError::NoTracks(names).into());
    }
    if !unusable.is_empty() {
        tracing::info!(codecs = unusable.join(","), "a source has tracks that cannot be used");
    }
    leave_out(input, &tracks);
    Ok(tracks)
}

fn track(
    stream: &Stream<'_>,
    id: TrackId,
    kind: Kind,
    times: &mut TimeLine,
    live: &LiveSettings,
) -> Option<Track> {
    let codec_id = stream.parameters().id();
    let base = stream.time_base();
    let base = (i64::from(base.numerator()).max(1), i64::from(base.denominator()).max(1));
    let work = match codec_of(codec_id) {
        Some(codec) => {
            let facts: Facts = facts_of(stream);
            // Where the container's description cannot be read, the stream's own will do.
            let shaper = Shaper::new(id, codec, &facts);
            Work::Pass(
                shaper.or_else(|_| Shaper::new(id, codec, &Facts { extra: Bytes::new(), ..facts })).ok()?,
            )
        }
        None if kind == Kind::Video => {
            let decoder = VideoDecoder::of_stream(stream.parameters()).ok()?;
            let encoder = LiveEncoder::new(LiveSettings { track: id, fps: rate(stream), ..live.clone() });
            Work::Encode { decoder: Box::new(decoder), encoder: Box::new(encoder), info: None }
        }
        None => return None,
    };
    let nominal = Duration::from_millis(if kind == Kind::Video { 40 } else { 20 });
    let clock_line =
        times.track(Clock { rate: CLOCK, wrap: Wrap::Never, origin: Origin::Shared, nominal })?;
    Some(Track { stream: stream.index(), kind, codec_id, id, base, line: clock_line, next: 0, work })
}

/// Pictures a second as the container tells.
fn rate(stream: &Stream<'_>) -> Option<u32> {
    let rate = stream.avg_frame_rate();
    let (pictures, seconds) = (rate.numerator(), rate.denominator());
    u32::try_from(pictures.checked_div(seconds)?).ok().filter(|rate| *rate > 0)
}

/// libav neither fetches nor gives what nobody reads: the other qualities of a playlist.
fn leave_out(input: &mut format::context::Input, tracks: &[Track]) {
    for mut stream in input.streams_mut() {
        if tracks.iter().all(|track| track.stream != stream.index()) {
            // SAFETY: the stream belongs to the input, which is borrowed; this is a plain field that demuxers look at before each packet.
            #[expect(unsafe_code, reason = "ffmpeg-next has no setter")]
            unsafe {
                (*stream.as_mut_ptr()).discard = ffmpeg_next::ffi::AVDiscard::AVDISCARD_ALL;
            }
        }
    }
}
