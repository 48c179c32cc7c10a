//! Cameras for the comparison: RTSP servers that send a film in a loop, encoded once, with a time code in every picture. A process of their own, so that what they cost counts for
//! nobody.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use clap::Args;
use patchbay_av::{KeyFrame, PictureSize, TestPattern, VideoEncoder, VideoSettings};
use patchbay_media::{
    Codec, MediaTime, TrackId,
    codec::nal,
    rtp::packetize::{PAYLOAD_SIZE, Packetizer, Payloads},
};
use patchbay_testkit::rtsp::scripted::{Media, Script, ScriptedServer, Step};
use std::{
    io::{BufRead as _, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Pictures a second.
pub(crate) const FPS: u32 = 25;

/// Length of the film: what it shows as the time since its beginning starts anew after that.
pub(crate) const LENGTH: Duration = Duration::from_secs(10);

/// Bits a second: what a camera of 720 lines sends.
pub(crate) const BITRATE: u32 = 2_000_000;

const SIZE: (u32, u32) = (1280, 720);
const KEY_FRAMES: Duration = Duration::from_secs(2);
const CLOCK: u32 = 90_000;
/// As the description says.
const PAYLOAD_TYPE: u8 = 96;

/// Cameras until the standard input ends.
#[derive(Args, Debug)]
pub(crate) struct Cameras {
    /// How many.
    #[arg(long)]
    count: usize,
    /// Folder into which each writes when its film began: `<number>.began`, in microseconds since 1970.
    #[arg(long)]
    folder: PathBuf,
}

/// The pictures, cut into packets.
struct Film {
    sdp: String,
    pictures: Vec<Payloads>,
    /// Packets before each picture.
    before: Vec<u64>,
    packets: u64,
}

/// Serves them, and prints where each listens.
#[expect(clippy::print_stdout, reason = "what the parent process reads")]
pub(crate) fn serve(cameras: &Cameras) -> Result<()> {
    let film = Arc::new(Film::make()?);
    let mut servers = Vec::new();
    for number in 0..cameras.count {
        let (shown, began) = (Arc::clone(&film), file_of(&cameras.folder, number));
        let steps = move |picture| {
            if picture == 0 {
                drop(std::fs::write(&began, micros().to_string()));
            }
            shown.steps(picture)
        };
        servers.push(ScriptedServer::start(Script::new(film.sdp.clone(), Media::Film(Arc::new(steps))))?);
    }
    let addresses = servers.iter().map(|server| server.address().to_string()).collect::<Vec<_>>();
    println!("{}", addresses.join(" "));
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn micros() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "two processes of one machine compare their clocks")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// How far a picture is behind, in milliseconds: `shown` is its time code, `began` when the film did, in microseconds.
pub(crate) fn lag(shown: u64, began: u128) -> f64 {
    let length = LENGTH.as_micros();
    let position = micros().saturating_sub(began) % length;
    millis((position + length - u128::from(shown) * 1000 % length) % length)
}

/// When a film began, in microseconds since 1970: its first packet, which is one of a key frame, left a moment later.
pub(crate) fn began(file: &Path) -> Result<u128> {
    Ok(std::fs::read_to_string(file).context("the camera was not played")?.parse()?)
}

/// Milliseconds since a film began.
pub(crate) fn since(began: u128) -> f64 {
    millis(micros().saturating_sub(began))
}

fn millis(micros: u128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "minutes at most")]
    let micros = micros as f64;
    micros / 1000.0
}

impl Film {
    fn make() -> Result<Self> {
        let size = PictureSize::new(SIZE.0, SIZE.1)?;
        let settings = VideoSettings {
            bitrate: BITRATE,
            key_frame_interval: KEY_FRAMES,
            ..VideoSettings::h264(TrackId(0), size, FPS)
        };
        let pattern = TestPattern::new(size, "camera")?.with_noise(24);
        let mut encoder = VideoEncoder::open(settings)?;
        let mut packetizer = Packetizer::new(Codec::H264, PAYLOAD_SIZE);
        let (mut pictures, mut before, mut packets) = (Vec::new(), Vec::new(), 0);
        let count = LENGTH.as_secs() * u64::from(FPS);
        for number in 0..count {
            let picture = pattern.draw(number * 1000 / u64::from(FPS), number)?;
            let time = MediaTime::from_ticks(i64::try_from(number)?, FPS);
            let unit = encoder
                .encode(&picture, time, KeyFrame::AsDue)?
                .context("the encoder holds pictures back")?;
            let payloads = packetizer.packetize(&unit.data)?;
            before.push(packets);
            packets += payloads.len() as u64;
            pictures.push(payloads);
        }
        Ok(Self { sdp: sdp(&encoder.info().configuration), pictures, before, packets })
    }

    /// What is sent of a picture of a connection.
    fn steps(&self, number: u64) -> Vec<Step> {
        let count = self.pictures.len() as u64;
        let index = usize::try_from(number % count).unwrap_or_default();
        let (payloads, first) = (&self.pictures[index], number / count * self.packets + self.before[index]);
        let time = number * u64::from(CLOCK / FPS);
        let mut steps = vec![Step::Until(Duration::from_secs(1) * u32::try_from(number).unwrap_or(0) / FPS)];
        steps.extend(payloads.iter().enumerate().map(|(place, payload)| {
            let marker = if payloads.marker(place) { 0x80 } else { 0 };
            let mut packet = vec![0x80, PAYLOAD_TYPE | marker];
            packet.extend_from_slice(&(first + place as u64).to_be_bytes()[6..]);
            packet.extend_from_slice(&time.to_be_bytes()[4..]);
            packet.extend_from_slice(&[1, 2, 3, 4]);
            packet.extend_from_slice(payload);
            Step::Packet(packet)
        }));
        steps
    }
}

fn sdp(configuration: &Bytes) -> String {
    let sets: Vec<_> = nal::units(configuration).flatten().map(|set| BASE64_STANDARD.encode(set)).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:track1\r\n",
        sets.join(",")
    )
}

/// The same as a child process.
pub(crate) struct Served {
    child: Child,
    /// Where each camera listens.
    addresses: Vec<SocketAddr>,
    folder: PathBuf,
}

/// Where a camera writes when its film began.
fn file_of(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.began"))
}

impl Served {
    /// Starts cameras.
    pub(crate) fn start(count: usize, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["cameras", "--count", &count.to_string(), "--folder"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the output is not there")?;
        let mut line = String::new();
        std::io::BufReader::new(output).read_line(&mut line)?;
        let addresses = line.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(addresses.len() == count, "the cameras have ended");
        Ok(Self { child, addresses, folder: folder.to_owned() })
    }

    pub(crate) fn url(&self, number: usize) -> String {
        format!("rtsp://{}/live", self.addresses[number])
    }

    /// The addresses of all.
    pub(crate) fn urls(&self) -> Vec<String> {
        (0..self.addresses.len()).map(|number| self.url(number)).collect()
    }

    /// The file that says when the film of a camera began; not there before it is played.
    pub(crate) fn began(&self, number: usize) -> PathBuf {
        file_of(&self.folder, number)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
