//! Viewers on another stack, in a process of their own.

use crate::{film, whep::Whep};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::Args;
use patchbay_av::{Picture, TimeCode, VideoDecoder};
use patchbay_media::{AccessUnit, Codec, MediaTime, TrackId, codec::nal, track::TrackInfo};
use patchbay_testkit::webrtc::{ForeignPeer, Frame, Happened, MediaKind, Swarm, Wants};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    io::{BufRead as _, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Time for all viewers to see their first frame.
const START: Duration = Duration::from_mins(1);

/// Viewers of a camera, until the line `stop` comes on standard input.
#[derive(Args, Debug)]
pub(crate) struct Load {
    /// Address of the server.
    #[arg(long)]
    url: String,
    /// Cameras.
    #[arg(long, value_delimiter = ',')]
    camera: Vec<String>,
    /// Viewers of each.
    #[arg(long)]
    viewers: usize,
    /// Viewers listen as well.
    #[arg(long)]
    sound: bool,
    /// The first viewer decodes what it gets and measures how far it is behind; this file says when the film of its camera began.
    #[arg(long)]
    began: Option<PathBuf>,
}

/// What the viewers got.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Got {
    /// Viewers.
    pub(crate) viewers: usize,
    /// Frames of all viewers.
    pub(crate) frames: u64,
    /// Frames of the viewer that got least.
    pub(crate) least: u64,
    /// Frames before which something was lost.
    pub(crate) breaks: u64,
    /// Viewers whose first frame was no key frame.
    pub(crate) without_key: u64,
    /// Packets of sound of all viewers.
    pub(crate) sounds: u64,
    /// What was seen of a film.
    #[serde(flatten)]
    pub(crate) film: SeenFilm,
}

/// What a viewer or a reader saw of a film, in milliseconds; nothing where that was not measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SeenFilm {
    /// From the moment in which the camera sent its first key frame until a picture was decoded.
    pub(crate) first: Option<f64>,
    /// How far pictures were behind, those after everyone had seen one.
    pub(crate) lags: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    frames: u64,
    breaks: u64,
    without_key: bool,
    sounds: u64,
}

/// Connects, says `ready`, watches until it is told to stop, and prints what it got as JSON.
pub(crate) async fn run(load: Load) -> Result<()> {
    let whep = Whep::new(&load.url);
    let (mut swarm, mut sessions) = (Swarm::new()?, Vec::new());
    let wants = if load.sound { Wants::VideoAndAudio } else { Wants::Video };
    let viewers = load.camera.iter().flat_map(|camera| std::iter::repeat_n(camera, load.viewers));
    for camera in viewers {
        let (mut peer, offer) = ForeignPeer::offer(IpAddr::V4(Ipv4Addr::LOCALHOST), wants)?;
        let session = whep.offer(camera, offer).await?;
        peer.accept(&session.answer)?;
        swarm.add(peer)?;
        sessions.push(session);
    }
    let stop = stopped();
    let film = load.began.map(Watched::new);
    let watching = tokio::task::spawn_blocking(move || watch(&mut swarm, &stop, film));
    let (seen, film) = watching.await??;
    for session in &sessions {
        whep.end(session).await?;
    }
    let got = Got {
        viewers: seen.len(),
        frames: seen.iter().map(|seen| seen.frames).sum(),
        least: seen.iter().map(|seen| seen.frames).min().unwrap_or(0),
        breaks: seen.iter().map(|seen| seen.breaks).sum(),
        without_key: seen.iter().map(|seen| u64::from(seen.without_key)).sum(),
        sounds: seen.iter().map(|seen| seen.sounds).sum(),
        film,
    };
    println_line(&serde_json::to_string(&got)?)
}

/// Watches from the moment in which all have seen something.
fn watch(
    swarm: &mut Swarm,
    stop: &std::sync::mpsc::Receiver<()>,
    mut film: Option<Watched>,
) -> Result<(Vec<Seen>, SeenFilm)> {
    let mut seen = vec![Seen::default(); swarm.peers.len()];
    let mut lost = 0;
    let mut ready = false;
    let started = Instant::now();
    swarm.run_until(Duration::from_hours(1), |_, happened| {
        match happened {
            Some((viewer, Happened::Frame(frame))) if frame.kind == MediaKind::Audio => {
                seen[viewer].sounds += 1;
            }
            Some((viewer, Happened::Frame(frame))) => {
                let seen = &mut seen[viewer];
                seen.without_key |= seen.frames == 0 && !is_key(&frame.data);
                seen.breaks += u64::from(!frame.contiguous && seen.frames > 0);
                seen.frames += 1;
                if let Some(film) = film.as_mut().filter(|_| viewer == 0) {
                    film.take(&frame);
                }
            }
            Some((_, Happened::Disconnected)) => lost += 1,
            _ => {}
        }
        let is_decoded = film.as_ref().is_none_or(|film| film.seen.first.is_some());
        if !ready && is_decoded && seen.iter().all(|seen| seen.frames > 0) {
            ready = true;
            for seen in &mut seen {
                *seen = Seen { frames: 1, breaks: 0, ..*seen };
            }
            // Those of the beginning, in which a viewer catches up, are not counted.
            if let Some(film) = &mut film {
                film.seen.lags.clear();
            }
            return println_line("ready").is_err();
        }
        stop.try_recv().is_ok() || (!ready && started.elapsed() > START)
    })?;
    ensure!(
        ready,
        "only {} of {} viewers saw a frame",
        seen.iter().filter(|seen| seen.frames > 0).count(),
        seen.len()
    );
    ensure!(lost == 0, "{lost} viewers were lost");
    Ok((seen, film.map(|film| film.seen).unwrap_or_default()))
}

/// A film that is decoded as it comes.
struct Watched {
    file: PathBuf,
    began: Option<u128>,
    decoder: Option<VideoDecoder>,
    seen: SeenFilm,
}

impl Watched {
    fn new(file: PathBuf) -> Self {
        Self { file, began: None, decoder: None, seen: SeenFilm::default() }
    }

    /// What cannot be decoded is left out: it is not what is measured here.
    fn take(&mut self, frame: &Frame) {
        let Some(picture) = self.decode(frame) else { return };
        let Some(began) = self.began() else { return };
        self.seen.first.get_or_insert_with(|| film::since(began));
        let code = TimeCode::read(&picture);
        self.seen.lags.extend(code.map(|code| film::lag(code.unix_ms, began)));
    }

    fn decode(&mut self, frame: &Frame) -> Option<Picture> {
        let codec = if frame.data.starts_with(&[0, 0]) { Codec::H264 } else { Codec::Vp8 };
        let (data, key) = match codec {
            Codec::H264 => (nal::from_annex_b(&frame.data).ok()?, is_key(&frame.data)),
            // RFC 6386, section 9.1: the first bit is not set in a key frame.
            _ => (Bytes::copy_from_slice(&frame.data), frame.data.first()? & 1 == 0),
        };
        if self.decoder.is_none() && key {
            self.decoder = VideoDecoder::open(&info(codec)).ok();
        }
        let time = MediaTime::from_ticks(i64::try_from(frame.timestamp).ok()?, 90_000);
        let unit = AccessUnit { track: TrackId(0), dts: time, pts: time, key, data };
        Some(self.decoder.as_mut()?.decode(&unit).ok()?.pop()?.picture)
    }

    fn began(&mut self) -> Option<u128> {
        if self.began.is_none() {
            self.began = film::began(&self.file).ok();
        }
        self.began
    }
}

/// Pictures that tell themselves what they are.
fn info(codec: Codec) -> TrackInfo {
    TrackInfo {
        id: TrackId(0),
        codec,
        clock_rate: 90_000,
        channels: 0,
        width: 0,
        height: 0,
        configuration: Bytes::new(),
        reordered: false,
    }
}

/// NAL units after start codes: one of them is an IDR picture.
fn is_key(data: &[u8]) -> bool {
    data.windows(4).any(|window| window.starts_with(&[0, 0, 1]) && window[3] & 0x1f == 5)
}

fn stopped() -> std::sync::mpsc::Receiver<()> {
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // The end of the input is a reason to stop, too.
        drop(std::io::stdin().lock().read_line(&mut line));
        stop.send(())
    });
    stopped
}

#[expect(clippy::print_stdout, reason = "what the parent process reads")]
fn println_line(line: &str) -> Result<()> {
    println!("{line}");
    std::io::stdout().flush().context("the parent is gone")
}

/// The same as a child process.
pub(crate) struct Viewers {
    child: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Viewers {
    /// Starts viewers, of each camera where there are several between commas, and waits until all have seen something.
    pub(crate) fn start(url: &str, camera: &str, viewers: usize) -> Result<Self> {
        Self::start_with(url, camera, viewers, &[])
    }

    /// Starts viewers who listen as well.
    pub(crate) fn start_listening(url: &str, camera: &str, viewers: usize) -> Result<Self> {
        Self::start_with(url, camera, viewers, &["--sound".as_ref()])
    }

    /// Starts viewers of a camera, of which the first looks at the film; a file says when that began.
    pub(crate) fn start_decoding(url: &str, camera: &str, viewers: usize, began: &Path) -> Result<Self> {
        Self::start_with(url, camera, viewers, &["--began".as_ref(), began.as_os_str()])
    }

    fn start_with(url: &str, cameras: &str, viewers: usize, options: &[&OsStr]) -> Result<Self> {
        use std::process::{Command, Stdio};
        let mut child = Command::new(std::env::current_exe()?)
            .args(["load", "--url", url, "--camera", cameras, "--viewers", &viewers.to_string()])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the output is not there")?;
        let mut lines = std::io::BufReader::new(output).lines();
        let line = lines.next().context("the viewers have ended")??;
        ensure!(line == "ready", "the viewers said {line}");
        Ok(Self { child, lines })
    }

    /// Ends them and tells what they got.
    pub(crate) fn stop(mut self) -> Result<Got> {
        drop(self.child.stdin.take());
        let line = self.lines.next().context("the viewers have ended without a word")??;
        self.child.wait()?;
        Ok(serde_json::from_str(&line)?)
    }
}
