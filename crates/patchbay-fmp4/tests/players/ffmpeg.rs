//! Makes real streams with `ffmpeg`, and asks `ffprobe` what is in a file.

use bytes::Bytes;
use patchbay_media::MediaTime;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
};

/// What `ffprobe` says of one stream of a file.
#[derive(Default)]
pub(crate) struct Probe {
    fields: HashMap<String, String>,
    /// The codec's configuration.
    pub(crate) extradata: Bytes,
    /// All packets, in the order of the file.
    pub(crate) packets: Vec<Packet>,
}

/// One packet.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) dts: MediaTime,
    pub(crate) pts: MediaTime,
    pub(crate) key: bool,
    pub(crate) data: Bytes,
}

impl Probe {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// A number, or 0 where there is none.
    pub(crate) fn number<T: std::str::FromStr + Default>(&self, field: &str) -> T {
        self.text(field).parse().unwrap_or_default()
    }
}

/// A file of that name, made by `ffmpeg` with these arguments, split at spaces.
pub(crate) fn make(name: &str, arguments: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-threads", "1"]).args(arguments.split_whitespace()).arg(&path);
    run(command);
    path
}

/// One stream of a file: `v` or `a`.
pub(crate) fn probe(path: &Path, kind: &str) -> Probe {
    let mut command = Command::new("ffprobe");
    command
        .args(["-v", "error", "-select_streams", kind, "-show_streams", "-show_packets", "-show_data"])
        .arg(path);
    let output = run(command);
    let mut probe = Probe::default();
    let mut packets = Vec::new();
    let mut section = Section::default();
    for line in String::from_utf8_lossy(&output).lines() {
        match line {
            "[PACKET]" | "[STREAM]" => section = Section::default(),
            "[/PACKET]" => packets.push(std::mem::take(&mut section)),
            "[/STREAM]" => {
                probe.fields = std::mem::take(&mut section.fields);
                probe.extradata = std::mem::take(&mut section.data).into();
            }
            _ => section.line(line),
        }
    }
    let base = probe.text("time_base").rsplit('/').next().and_then(|base| base.parse().ok());
    let base: u32 = base.unwrap_or_else(|| panic!("{}: no stream {kind}", path.display()));
    let packet = |section: Section| Packet {
        dts: section.time("dts", base),
        pts: section.time("pts", base),
        key: section.fields.get("flags").is_some_and(|flags| flags.starts_with('K')),
        data: section.data.into(),
    };
    probe.packets = packets.into_iter().map(packet).collect();
    probe
}

#[derive(Default)]
struct Section {
    fields: HashMap<String, String>,
    data: Vec<u8>,
}

impl Section {
    /// `key=value`, or a line of a dump: the offset, sixteen bytes in hexadecimal, and the same as text.
    fn line(&mut self, line: &str) {
        let is_dump = line.as_bytes().get(8..10) == Some(b": ");
        if is_dump && u32::from_str_radix(&line[..8], 16).is_ok() {
            let digits: Vec<_> = line.bytes().skip(10).take(40).filter(|digit| *digit != b' ').collect();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            self.data.extend(digits.chunks(2).map(byte));
        } else if let Some((key, value)) = line.split_once('=') {
            self.fields.insert(key.into(), value.into());
        }
    }

    fn time(&self, field: &str, base: u32) -> MediaTime {
        let ticks = self.fields.get(field).and_then(|ticks| ticks.parse().ok());
        MediaTime::from_ticks(ticks.unwrap_or_else(|| panic!("a packet without {field}")), base)
    }
}

/// The digest of each decoded picture.
pub(crate) fn pictures(path: &Path) -> Vec<String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path);
    command.args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = String::from_utf8(run(command)).unwrap();
    let lines = output.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// Runs it; it must succeed and have nothing to complain of.
fn run(mut command: Command) -> Vec<u8> {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is ffmpeg installed?"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{command:?}: {complaints}");
    output.stdout
}
