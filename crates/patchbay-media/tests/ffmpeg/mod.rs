//! Makes real streams with `ffmpeg`, and asks `ffprobe` what they are.

use bytes::Bytes;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
};

/// What `ffprobe` says of a file with one stream.
pub(crate) struct Probe {
    fields: HashMap<String, String>,
    /// The codec's configuration.
    pub(crate) extradata: Bytes,
    /// All packets.
    pub(crate) packets: Vec<Packet>,
}

/// One packet.
#[derive(Default)]
pub(crate) struct Packet {
    pub(crate) key: bool,
    pub(crate) data: Bytes,
}

impl Probe {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).unwrap_or_else(|| panic!("ffprobe does not tell {field}: {:?}", self.fields))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, field: &str) -> T {
        self.text(field).parse().ok().unwrap_or_else(|| panic!("{field} is {}", self.text(field)))
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

/// A moving picture of that size with half a second at 30 frames a second, coded as the arguments say.
pub(crate) fn make_video(name: &str, size: &str, arguments: &str) -> PathBuf {
    make(name, &format!("-f lavfi -i testsrc2=size={size}:rate=30 -frames:v 15 -threads 1 {arguments}"))
}

/// What is in a file.
pub(crate) fn probe(path: &Path) -> Probe {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_streams", "-show_packets", "-show_data"]).arg(path);
    let output = run(command);
    let mut probe = Probe { fields: HashMap::new(), extradata: Bytes::new(), packets: Vec::new() };
    let mut section = Section::default();
    for line in String::from_utf8_lossy(&output).lines() {
        match line {
            "[PACKET]" | "[STREAM]" => section = Section::default(),
            "[/PACKET]" => {
                let key = section.fields.get("flags").is_some_and(|flags| flags.starts_with('K'));
                probe.packets.push(Packet { key, data: std::mem::take(&mut section.data).into() });
            }
            "[/STREAM]" => {
                probe.fields = std::mem::take(&mut section.fields);
                probe.extradata = std::mem::take(&mut section.data).into();
            }
            _ => section.line(line),
        }
    }
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
            let bytes = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            self.data.extend(bytes);
        } else if let Some((key, value)) = line.split_once('=') {
            self.fields.insert(key.into(), value.into());
        }
    }
}

/// The digest of each decoded picture.
pub(crate) fn pictures(path: &Path) -> Vec<String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path).args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = String::from_utf8(run(command)).unwrap();
    let lines = output.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

fn run(mut command: Command) -> Vec<u8> {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is ffmpeg installed?"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
