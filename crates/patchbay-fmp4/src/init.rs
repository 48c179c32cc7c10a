//! The init segment: `ftyp` and `moov` (ISO/IEC 14496-12, sections 4.3, 8.2 and 8.8).

use crate::{Description, MuxError};
use bytes::Bytes;
use mp4_atom::{
    Dinf, Dref, DrefEntry, Encode, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Smhd, Stbl, Stco,
    Stsd, Tkhd, Trak, Trex, Url, Vmhd,
};
use patchbay_media::Kind;

/// Ticks a second of the movie's own clock, in which nothing is measured here.
const MOVIE_SCALE: u32 = 1000;

/// Writes it.
pub(crate) fn segment(tracks: &[Description]) -> Result<Bytes, MuxError> {
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"iso5", b"mp41"].map(FourCC::new).to_vec(),
    };
    let last = tracks.iter().map(Description::number).max().unwrap_or_default();
    let moov = Moov {
        mvhd: Mvhd {
            timescale: MOVIE_SCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: last + 1,
            ..Mvhd::default()
        },
        trak: tracks.iter().map(track).collect(),
        mvex: Some(Mvex { mehd: None, trex: tracks.iter().map(extends).collect() }),
        ..Moov::default()
    };
    let mut segment = Vec::with_capacity(1024);
    ftyp.encode(&mut segment)?;
    moov.encode(&mut segment)?;
    Ok(segment.into())
}

fn extends(track: &Description) -> Trex {
    Trex { track_id: track.number(), default_sample_description_index: 1, ..Trex::default() }
}

fn track(track: &Description) -> Trak {
    let is_video = track.kind() == Kind::Video;
    let volume = u8::from(!is_video);
    let (width, height) = track.size();
    Trak {
        tkhd: Tkhd {
            track_id: track.number(),
            enabled: true,
            in_movie: true,
            // Sound and pictures are no alternatives to each other.
            alternate_group: 0,
            volume: volume.into(),
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd { timescale: track.timescale(), language: "und".to_owned(), ..Mdhd::default() },
            hdlr: Hdlr {
                handler: FourCC::new(if is_video { b"vide" } else { b"soun" }),
                name: if is_video { "pictures" } else { "sound" }.to_owned(),
            },
            minf: media(track),
        },
        ..Trak::default()
    }
}

/// Its tables are empty: all units are in fragments.
fn media(track: &Description) -> Minf {
    let is_video = track.kind() == Kind::Video;
    let here = DrefEntry::Url(Url::default());
    Minf {
        vmhd: is_video.then(Vmhd::default),
        smhd: (!is_video).then(Smhd::default),
        dinf: Dinf { dref: Dref { entries: vec![here] } },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![track.entry().clone()] },
            stco: Some(Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    }
}
