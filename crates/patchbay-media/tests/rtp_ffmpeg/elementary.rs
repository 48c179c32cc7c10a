//! Two seconds of a codec, made by `FFmpeg`, and taken apart into units here.

use bytes::Bytes;
use patchbay_media::Codec;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A file and the units in it.
pub(crate) struct Elementary {
    pub(crate) codec: Codec,
    pub(crate) clock_rate: u32,
    /// Ticks from one unit to the next.
    pub(crate) ticks: u32,
    pub(crate) units: Vec<Bytes>,
    pub(crate) file: PathBuf,
    /// Options of `FFmpeg` in front of the file.
    pub(crate) reading: &'static [&'static str],
    /// What the session description says of the codec.
    pub(crate) description: &'static str,
    folder: tempfile::TempDir,
}

struct Recipe {
    source: &'static str,
    encode: &'static str,
    extension: &'static str,
    reading: &'static [&'static str],
    clock: (u32, u32),
    description: &'static str,
    split: fn(&[u8]) -> Vec<Bytes>,
}

const PICTURES: &str = "testsrc2=s=640x360:r=30:d=2";
const SOUND: &str = "sine=f=440:d=2:r=48000";

const H264: Recipe = Recipe {
    source: PICTURES,
    encode: "-c:v libx264 -preset veryfast -b:v 2M -g 30 -bf 0 -x264-params aud=1:slices=3 -f h264",
    extension: "h264",
    reading: &[],
    clock: (90_000, 3000),
    description: "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1",
    split: |file| annex_b(file, |first| first & 0x1F == 9),
};
const H265: Recipe = Recipe {
    source: "testsrc2=s=320x180:r=30:d=2",
    encode: "-c:v libx265 -preset ultrafast -b:v 1M -x265-params log-level=error:aud=1:keyint=30:bframes=0:repeat-headers=1 -f hevc",
    extension: "hevc",
    reading: &[],
    clock: (90_000, 3000),
    description: "a=rtpmap:96 H265/90000",
    split: |file| annex_b(file, |first| first >> 1 & 0x3F == 35),
};
const VP8: Recipe = Recipe {
    source: PICTURES,
    encode: "-c:v libvpx -deadline realtime -cpu-used 8 -auto-alt-ref 0 -b:v 2M -g 30 -f ivf",
    extension: "ivf",
    reading: &[],
    clock: (90_000, 3000),
    description: "a=rtpmap:96 VP8/90000",
    split: ivf,
};
const VP9: Recipe = Recipe {
    source: PICTURES,
    encode: "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -b:v 2M -g 30 -f ivf",
    extension: "ivf",
    reading: &[],
    clock: (90_000, 3000),
    description: "a=rtpmap:96 VP9/90000",
    split: ivf,
};
const OPUS: Recipe = Recipe {
    source: SOUND,
    encode: "-ac 2 -c:a libopus -f ogg",
    extension: "ogg",
    // Frames as they are decoded: RTP does not carry what a file says of samples to cut off.
    reading: &["-flags2", "skip_manual"],
    clock: (48_000, 960),
    description: "a=rtpmap:96 opus/48000/2",
    split: ogg,
};
const AAC: Recipe = Recipe {
    source: SOUND,
    encode: "-ac 2 -c:a aac -b:a 128k -f adts",
    extension: "aac",
    reading: &[],
    clock: (48_000, 1024),
    description: "a=rtpmap:96 mpeg4-generic/48000/2\r\na=fmtp:96 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190",
    split: adts,
};
const PCMA: Recipe = Recipe {
    source: "sine=f=440:d=2:r=8000",
    encode: "-c:a pcm_alaw -f alaw",
    extension: "alaw",
    reading: &["-f", "alaw", "-ar", "8000", "-ac", "1"],
    clock: (8000, 160),
    description: "a=rtpmap:96 PCMA/8000",
    split: |file| file.chunks(160).map(Bytes::copy_from_slice).collect(),
};

impl Elementary {
    pub(crate) fn make(codec: Codec) -> Self {
        let recipe = match codec {
            Codec::H264 => H264,
            Codec::H265 => H265,
            Codec::Vp8 => VP8,
            Codec::Vp9 => VP9,
            Codec::Opus => OPUS,
            Codec::Aac => AAC,
            Codec::Pcma => PCMA,
            Codec::Av1 | Codec::Pcmu => unreachable!("FFmpeg 5.1 has no RTP for AV1; PCMU is cut as PCMA is"),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made").with_extension(recipe.extension);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-f", "lavfi", "-i", recipe.source])
            .args(recipe.encode.split(' '))
            .arg(&file);
        assert!(command.status().expect("ffmpeg is installed by the set-up of the tests").success());
        let units = (recipe.split)(&std::fs::read(&file).unwrap());
        let (clock_rate, ticks) = recipe.clock;
        let Recipe { reading, description, .. } = recipe;
        Self { codec, clock_rate, ticks, units, file, reading, description, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the units are parts of a row of samples, which others may part elsewhere.
    pub(crate) fn is_samples(&self) -> bool {
        matches!(self.codec, Codec::Pcma | Codec::Pcmu)
    }

    /// Whether two units are the same. `FFmpeg` sends the zero in front of a start code of four bytes as the end of the NAL unit before it.
    pub(crate) fn same(&self, ours: &Bytes, theirs: &Bytes) -> bool {
        let trimmed = |unit: &Bytes| -> Vec<Bytes> {
            let nals = patchbay_media::codec::nal::units(unit).map(Result::unwrap);
            nals.map(|nal| nal.slice(..=nal.iter().rposition(|byte| *byte != 0).unwrap())).collect()
        };
        ours == theirs || self.codec == Codec::H265 && trimmed(ours) == trimmed(theirs)
    }

    /// Digests of the decoded frames of the file; samples in frames as long as what is sent.
    pub(crate) fn decoded(&self) -> Vec<String> {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error"]).args(self.reading).arg("-i").arg(&self.file);
        command.args(self.frames()).args(crate::peer::DIGESTS).arg("-");
        crate::peer::digests(&command.output().unwrap().stdout)
    }

    /// Options that make frames as long as what is sent: samples have no frames of their own.
    pub(crate) fn frames(&self) -> &'static [&'static str] {
        if self.is_samples() { &["-af", "asetnsamples=n=160:p=0"] } else { &[] }
    }
}

/// Access units that begin with a delimiter, in the form of the hub: without it.
fn annex_b(file: &[u8], is_delimiter: fn(u8) -> bool) -> Vec<Bytes> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in patchbay_media::codec::nal::annex_b_units(file) {
        if is_delimiter(nal[0]) {
            units.push(Vec::new());
            continue;
        }
        let unit = units.last_mut().expect("the first NAL unit is a delimiter");
        unit.extend(u32::try_from(nal.len()).unwrap().to_be_bytes());
        unit.extend_from_slice(nal);
    }
    units.into_iter().map(Bytes::from).collect()
}

/// Frames of an IVF file: after a header of 32 bytes, each has its length in four and its time in eight bytes.
fn ivf(file: &[u8]) -> Vec<Bytes> {
    let (mut rest, mut units) = (&file[32..], Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap();
        let (frame, behind) = behind[8..].split_at(length);
        units.push(Bytes::copy_from_slice(frame));
        rest = behind;
    }
    units
}

/// Packets of an Ogg file (RFC 3533) without the two of the header.
fn ogg(file: &[u8]) -> Vec<Bytes> {
    let (mut rest, mut packets, mut packet) = (file, Vec::new(), Vec::new());
    while rest.starts_with(b"OggS") {
        let count = usize::from(rest[26]);
        let (table, mut body) = rest[27..].split_at(count);
        for &lace in table {
            let (part, behind) = body.split_at(usize::from(lace));
            packet.extend_from_slice(part);
            body = behind;
            if lace < 255 {
                packets.push(Bytes::from(std::mem::take(&mut packet)));
            }
        }
        rest = body;
    }
    packets.split_off(2)
}

/// Blocks of an ADTS file without their headers of seven bytes.
fn adts(file: &[u8]) -> Vec<Bytes> {
    let (mut rest, mut units) = (file, Vec::new());
    while let [_, _, _, b3, b4, b5, _, ..] = *rest {
        let length = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5) >> 5;
        let (frame, behind) = rest.split_at(length);
        units.push(Bytes::copy_from_slice(&frame[7..]));
        rest = behind;
    }
    units
}
