//! Writes tracks as an init segment and fragments.

use crate::{Description, Fragment, MuxError, init, payload};
use bytes::Bytes;
use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};
use patchbay_media::{AccessUnit, Kind, TrackId, track::TrackInfo};
use std::time::Duration;

/// Most units in one fragment. The hub's rings keep fewer.
pub const MAX_FRAGMENT_UNITS: usize = 8192;

/// Most bytes of units in one fragment: two rings of the hub's usual size.
pub const MAX_FRAGMENT_BYTES: usize = 64 * 1024 * 1024;

/// Flags of a sample (8.8.3.1): it depends on no other.
const SYNC: u32 = 0x0200_0000;
/// It depends on others, and decoding cannot start there.
const NOT_SYNC: u32 = 0x0101_0000;

/// Size and kind of an `mdat`.
const MDAT_HEADER: usize = 8;

/// A unit and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The unit; its times on the line that the player sees, which begins at zero or later.
    pub unit: AccessUnit,
    /// Until the next one is decoded.
    pub duration: Duration,
}

/// Writes tracks. What it writes depends on nothing but what it was given, in that order.
#[derive(Debug)]
pub struct Muxer {
    tracks: Vec<Description>,
    init: Bytes,
    mime: String,
    /// Of the last fragment (8.8.5); wraps around.
    sequence: u32,
}

impl Muxer {
    /// For tracks whose information says how to decode them.
    pub fn new(tracks: &[TrackInfo]) -> Result<Self, MuxError> {
        let described = tracks.iter().map(|track| Description::of(track, None));
        Self::with(described.collect::<Result<_, _>>()?)
    }

    /// For tracks that were described.
    pub fn with(tracks: Vec<Description>) -> Result<Self, MuxError> {
        if tracks.is_empty() {
            return Err(MuxError::Nothing);
        }
        for (index, track) in tracks.iter().enumerate() {
            if tracks.iter().take(index).any(|other| other.id() == track.id()) {
                return Err(MuxError::TwoTracks(track.id()));
            }
        }
        let codecs: Vec<_> = tracks.iter().map(Description::codecs).collect();
        let kind = if tracks.iter().any(|track| track.kind() == Kind::Video) { "video" } else { "audio" };
        let mime = format!("{kind}/mp4; codecs=\"{}\"", codecs.join(","));
        Ok(Self { init: init::segment(&tracks)?, tracks, mime, sequence: 0 })
    }

    /// The init segment, to be appended before any fragment.
    pub fn init(&self) -> Bytes {
        self.init.clone()
    }

    /// What it is, in full: `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// The tracks, in their order in the init segment.
    pub fn tracks(&self) -> &[Description] {
        &self.tracks
    }

    /// Writes units of one or several tracks; those of one track in the order in which they are decoded.
    ///
    /// Refuses the whole when one of the units is bad; the muxer can go on with others.
    pub fn fragment(&mut self, samples: &[Sample]) -> Result<Fragment, MuxError> {
        check_size(samples)?;
        let stranger = samples.iter().map(|sample| sample.unit.track).find(|id| !self.has(*id));
        if let Some(id) = stranger {
            return Err(MuxError::UnknownTrack(id));
        }
        let runs = self.tracks.iter().map(|track| Run::of(track, samples)).collect::<Result<Vec<_>, _>>()?;
        let runs: Vec<_> = runs.into_iter().flatten().collect();
        let sequence = self.sequence.wrapping_add(1);
        let head = head(sequence, &runs)?;
        self.sequence = sequence;
        let key = runs.iter().all(|run| run.key);
        Ok(Fragment { head, key, data: runs.into_iter().flat_map(|run| run.data).collect() })
    }

    fn has(&self, id: TrackId) -> bool {
        self.tracks.iter().any(|track| track.id() == id)
    }
}

fn check_size(samples: &[Sample]) -> Result<(), MuxError> {
    if samples.is_empty() {
        return Err(MuxError::Nothing);
    }
    let bytes = samples.iter().fold(0_usize, |sum, sample| sum.saturating_add(sample.unit.data.len()));
    if samples.len() > MAX_FRAGMENT_UNITS || bytes > MAX_FRAGMENT_BYTES {
        return Err(MuxError::TooLarge { units: samples.len(), bytes });
    }
    Ok(())
}

/// The units of one track in a fragment.
struct Run {
    number: u32,
    /// Time of the first, in ticks of the track.
    begin: u64,
    entries: Vec<TrunEntry>,
    data: Vec<Bytes>,
    size: usize,
    key: bool,
}

impl Run {
    fn of(track: &Description, samples: &[Sample]) -> Result<Option<Self>, MuxError> {
        let wrong = || MuxError::Time(track.id());
        let mut of_track = samples.iter().filter(|sample| sample.unit.track == track.id()).peekable();
        let Some(first) = of_track.peek() else { return Ok(None) };
        let ticks = |time: patchbay_media::MediaTime| time.ticks(track.timescale());
        let begin = u64::try_from(ticks(first.unit.dts)).map_err(|_| wrong())?;
        let mut run = Self {
            number: track.number(),
            begin,
            entries: Vec::new(),
            data: Vec::new(),
            size: 0,
            key: first.unit.key,
        };
        while let Some(sample) = of_track.next() {
            let unit = &sample.unit;
            // From one time to the next, rounded alike, so that nothing adds up however long it runs.
            let end = of_track.peek().map_or(unit.dts + sample.duration, |next| next.unit.dts);
            let duration = ticks(end).checked_sub(ticks(unit.dts)).ok_or_else(wrong)?;
            let offset = ticks(unit.pts).checked_sub(ticks(unit.dts)).ok_or_else(wrong)?;
            let offset = i32::try_from(offset).map_err(|_| wrong())?;
            let written = run.take(track, unit)?;
            run.entries.push(TrunEntry {
                duration: Some(u32::try_from(duration).map_err(|_| wrong())?),
                size: Some(written),
                flags: (track.kind() == Kind::Video).then_some(if unit.key { SYNC } else { NOT_SYNC }),
                cts: (offset != 0).then_some(offset.into()),
            });
        }
        Ok(Some(run))
    }

    /// Takes what a unit holds; gives its size.
    fn take(&mut self, track: &Description, unit: &AccessUnit) -> Result<u32, MuxError> {
        if unit.data.is_empty() {
            return Err(MuxError::EmptyUnit(unit.track));
        }
        let before = self.size;
        for chunk in payload::of(track, unit)? {
            self.size += chunk.len();
            self.data.push(chunk);
        }
        let size = u32::try_from(self.size - before).ok().filter(|size| *size > 0);
        size.ok_or(MuxError::EmptyUnit(unit.track))
    }

    fn boxes(&self, offset: Option<i32>) -> Traf {
        Traf {
            tfhd: Tfhd {
                track_id: self.number,
                default_sample_flags: Some(SYNC),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: self.begin }),
            trun: vec![Trun { data_offset: offset, samples: self.entries.clone().into() }],
            ..Traf::default()
        }
    }
}

/// `moof`, and the header of the `mdat` behind it. Offsets count from its own beginning, so that its size must be known first.
fn head(sequence: u32, runs: &[Run]) -> Result<Bytes, MuxError> {
    let moof = |offsets: &[i32]| Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: runs.iter().zip(offsets).map(|(run, offset)| run.boxes(Some(*offset))).collect(),
    };
    let mut measured = Vec::new();
    moof(&vec![0; runs.len()]).encode(&mut measured)?;
    let too_large = || MuxError::TooLarge {
        units: runs.iter().map(|run| run.entries.len()).sum(),
        bytes: runs.iter().map(|run| run.size).sum(),
    };
    let mut next = measured.len() + MDAT_HEADER;
    let mut offsets = Vec::with_capacity(runs.len());
    for run in runs {
        offsets.push(i32::try_from(next).map_err(|_| too_large())?);
        next += run.size;
    }
    let mut head = Vec::with_capacity(measured.len() + MDAT_HEADER);
    moof(&offsets).encode(&mut head)?;
    let size = u32::try_from(next - measured.len()).map_err(|_| too_large())?;
    head.extend_from_slice(&size.to_be_bytes());
    head.extend_from_slice(b"mdat");
    Ok(head.into())
}

#[cfg(test)]
#[path = "muxer_tests.rs"]
mod tests;
