//! Opens a file with libav and reads packets of it, with limits on what and for how long.

use super::{
    FILE_TIMEOUT, FileError,
    shape::{Facts, Shaper},
};
use crate::worker::Stop;
use bytes::Bytes;
use ffmpeg_next::{self as av, Dictionary, Packet, Stream, ffi, format, media};
use parking_lot::Mutex;
use patchbay_media::{Codec, Kind, MediaTime, TrackId, codec::nal::MAX_UNIT_BYTES, track::TrackInfo};
use std::{fs, io, path::Path, sync::Arc, time::Instant};

/// Containers that hold their media themselves; playlists, which name other files, are not among them.
const FORMATS: &str = "mov,mp4,matroska,webm,mpegts,flv,avi,ogg,ivf,aac,wav";
/// Decoders that libav may use to find out about a stream.
const DECODERS: &str =
    "h264,hevc,libdav1d,libaom-av1,av1,vp8,vp9,libvpx,libvpx-vp9,aac,opus,libopus,pcm_alaw,pcm_mulaw";

/// A unit before it has found its place on the line of time.
#[derive(Debug)]
pub(super) struct Raw {
    /// Index in [`Demuxer::tracks`].
    pub(super) track: usize,
    pub(super) dts: MediaTime,
    pub(super) pts: MediaTime,
    /// As the file tells it; zero when it does not.
    pub(super) duration: MediaTime,
    pub(super) key: bool,
    pub(super) data: Bytes,
}

/// An open file.
pub(super) struct Demuxer {
    input: format::context::Input,
    deadline: Arc<Mutex<Instant>>,
    stop: Arc<Stop>,
    tracks: Vec<Demuxed>,
}

struct Demuxed {
    stream: usize,
    /// Seconds a tick, as a fraction.
    base: (i64, i64),
    shaper: Shaper,
    /// Where the next unit is, if its packet does not say.
    next: MediaTime,
}

impl Demuxer {
    /// Opens a file.
    pub(super) fn open(path: &Path, stop: &Arc<Stop>) -> Result<Self, FileError> {
        crate::log::init();
        check(path)?;
        let name = path.to_str().filter(|name| !name.contains('\0')).ok_or(FileError::Name)?;
        let mut options = Dictionary::new();
        for (key, value) in
            [("format_whitelist", FORMATS), ("codec_whitelist", DECODERS), ("protocol_whitelist", "file")]
        {
            options.set(key, value);
        }
        let deadline = Arc::new(Mutex::new(Instant::now() + FILE_TIMEOUT));
        let interrupted = {
            let (deadline, stop) = (Arc::clone(&deadline), Arc::clone(stop));
            move || stop.is_told() || Instant::now() > *deadline.lock()
        };
        let input =
            format::input_with_interrupt_and_dictionary(&format!("file:{name}"), interrupted, options);
        let input = input.map_err(|error| match error {
            av::Error::Exit => FileError::TimedOut,
            _ => FileError::Unknown,
        })?;
        let tracks = choose(&input)?;
        Ok(Self { input, deadline, stop: Arc::clone(stop), tracks })
    }

    /// What the tracks are.
    pub(super) fn infos(&self) -> Vec<TrackInfo> {
        self.tracks.iter().map(|track| track.shaper.info()).collect()
    }

    /// The next unit; nothing at the end of the file. What cannot be made sense of is left out.
    pub(super) fn next(&mut self) -> Result<Option<Raw>, FileError> {
        loop {
            *self.deadline.lock() = Instant::now() + FILE_TIMEOUT;
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => {}
                Err(av::Error::Exit) if !self.stop.is_told() => return Err(FileError::TimedOut),
                // The end of the file, or where it breaks off: what came before can be played.
                Err(_) => return Ok(None),
            }
            let found = self.tracks.iter().position(|track| track.stream == packet.stream());
            let Some(index) = found else { continue };
            if let Some(raw) = self.tracks.get_mut(index).and_then(|track| track.take(index, &packet)) {
                return Ok(Some(raw));
            }
        }
    }
}

impl Demuxed {
    fn new(stream: &Stream<'_>, id: TrackId, codec: Codec) -> Result<Self, FileError> {
        let base = stream.time_base();
        let base = (i64::from(base.numerator()).max(1), i64::from(base.denominator()).max(1));
        let shaper = Shaper::new(id, codec, &facts_of(stream))?;
        Ok(Self { stream: stream.index(), base, shaper, next: MediaTime::ZERO })
    }

    fn take(&mut self, track: usize, packet: &Packet) -> Option<Raw> {
        let data = packet.data().filter(|data| (1..=MAX_UNIT_BYTES).contains(&data.len()))?;
        let dts = packet.dts().or(packet.pts()).map_or(self.next, |ticks| self.time(ticks));
        let pts = packet.pts().map_or(dts, |ticks| self.time(ticks));
        let duration = self.time(packet.duration().max(0));
        self.next = dts + duration.since(MediaTime::ZERO);
        match self.shaper.shape(&Bytes::copy_from_slice(data)) {
            Ok((data, key)) => Some(Raw { track, dts, pts, duration, key, data }),
            Err(error) => {
                tracing::debug!(%error, "left out a packet of a file");
                None
            }
        }
    }

    fn time(&self, ticks: i64) -> MediaTime {
        let (numerator, denominator) = (i128::from(self.base.0), i128::from(self.base.1));
        let nanos = i128::from(ticks) * 1_000_000_000 * numerator / denominator;
        MediaTime::from_nanos(i64::try_from(nanos).unwrap_or_default())
    }
}

/// What can be told before libav looks at it; a pipe, for one, would never open.
fn check(path: &Path) -> Result<(), FileError> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(FileError::NotAFile);
    }
    if found.len() == 0 {
        return Err(FileError::Empty);
    }
    fs::File::open(path).map(drop).map_err(|error: io::Error| error.into())
}

fn choose(input: &format::context::Input) -> Result<Vec<Demuxed>, FileError> {
    let picked = [(media::Type::Video, Kind::Video), (media::Type::Audio, Kind::Audio)];
    let mut tracks = Vec::new();
    for (medium, kind) in picked {
        let best = input.streams().best(medium);
        let cover = format::stream::Disposition::ATTACHED_PIC;
        let Some(stream) = best.filter(|stream| !stream.disposition().contains(cover)) else { continue };
        let id = TrackId(u8::try_from(tracks.len()).unwrap_or(u8::MAX));
        tracks.push(Demuxed::new(&stream, id, codec(stream.parameters().id(), kind)?)?);
    }
    if tracks.is_empty() { Err(FileError::NoStreams) } else { Ok(tracks) }
}

fn codec(id: av::codec::Id, kind: Kind) -> Result<Codec, FileError> {
    codec_of(id).ok_or_else(|| {
        let (kind, advice) = match kind {
            Kind::Video => ("pictures", "-c:v libx264 -bf 0 -c:a copy"),
            Kind::Audio => ("sound", "-c:v copy -c:a aac"),
        };
        FileError::Codec { kind, codec: id.name().to_owned(), advice }
    })
}

/// The hub's name of a codec that it carries.
pub(crate) fn codec_of(id: av::codec::Id) -> Option<Codec> {
    use av::codec::Id;
    Some(match id {
        Id::H264 => Codec::H264,
        Id::HEVC => Codec::H265,
        Id::AV1 => Codec::Av1,
        Id::VP8 => Codec::Vp8,
        Id::VP9 => Codec::Vp9,
        Id::AAC => Codec::Aac,
        Id::OPUS => Codec::Opus,
        Id::PCM_ALAW => Codec::Pcma,
        Id::PCM_MULAW => Codec::Pcmu,
        _ => return None,
    })
}

/// What the container says about a stream.
pub(crate) fn facts_of(stream: &Stream<'_>) -> Facts {
    let parameters = stream.parameters();
    // SAFETY: the parameters belong to the stream, which is borrowed; libav guarantees `extradata_size` bytes at `extradata` when that is not null.
    #[expect(unsafe_code, reason = "ffmpeg-next has no getters")]
    unsafe {
        let parameters: &ffi::AVCodecParameters = &*parameters.as_ptr();
        let length = usize::try_from(parameters.extradata_size).unwrap_or(0);
        let extra = if parameters.extradata.is_null() || length == 0 {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(std::slice::from_raw_parts(parameters.extradata, length))
        };
        Facts {
            extra,
            width: u16::try_from(parameters.width).unwrap_or(0),
            height: u16::try_from(parameters.height).unwrap_or(0),
            rate: u32::try_from(parameters.sample_rate).unwrap_or(0),
            channels: u8::try_from(parameters.channels).unwrap_or(0),
            delayed: parameters.video_delay > 0,
        }
    }
}
