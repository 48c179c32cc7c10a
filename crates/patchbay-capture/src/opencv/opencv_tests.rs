use super::*;
use crate::testing::{Outcome, camera, run_until_failure};
use patchbay_av::VideoDecoder;
use patchbay_egress::{EgressConfig, Guard};
use patchbay_media::ring::Start;
use patchbay_testkit::rtsp::gstreamer::GstCamera;
use std::{path::PathBuf, process::Command, time::Instant};
use tempfile::TempDir;
use url::Url;

fn source(input: OpenCvInput) -> Arc<OpenCvSource> {
    let timeout = Duration::from_secs(2);
    Arc::new(OpenCvSource::new(OpenCvSettings {
        open_timeout: timeout,
        read_timeout: timeout,
        ..OpenCvSettings::new(input)
    }))
}

fn address(text: &str, guard: Guard) -> OpenCvInput {
    OpenCvInput::Url { url: Url::parse(text).unwrap(), credentials: None, guard }
}

fn film(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("film.mp4");
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x240:rate=25:duration=4",
            "-c:v",
            "libx264",
        ])
        .arg(&path)
        .output()
        .expect("these tests need the program ffmpeg");
    assert!(output.status.success());
    path
}

async fn plays(what: &str, input: OpenCvInput, many: usize) -> Duration {
    let (camera, started) = (camera(source(input)), Instant::now());
    let track = camera.video().await;
    let (mut decoder, mut reader) =
        (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
    let (mut shown, opened, began) = (0, started.elapsed(), Instant::now());
    while shown < many {
        let read = tokio::time::timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap();
        shown += decoder.decode(&read.entry.item).unwrap().len();
    }
    let took = began.elapsed();
    println!(
        "{what}: {}x{} published after {opened:?}, {many} pictures in {took:?}",
        track.info().width,
        track.info().height
    );
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_captured_in_real_time() {
    let folder = TempDir::new().unwrap();
    let took = plays("file", OpenCvInput::File(film(&folder)), 50).await;
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rtsp_server_is_captured() {
    let folder = TempDir::new().unwrap();
    let server = GstCamera::start(folder.path(), &[]).await.unwrap();
    let url = format!("rtsp://{}/live", server.address());
    plays("RTSP", address(&url, Guard::open()), 25).await;
}

async fn fails(what: &str, input: OpenCvInput) -> SourceError {
    let Outcome { error, took } = run_until_failure(source(input)).await;
    println!("{what}: {} in {took:?}: {error}", error.reason().word());
    assert!(took < Duration::from_secs(8), "{what}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_captured_says_why() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        OpenCvInput::File(path)
    };
    let nothing = OpenCvInput::File(folder.path().join("none.mp4"));
    assert_eq!(fails("no file", nothing).await.reason(), Reason::NotFound);
    assert_eq!(fails("no video", file("a.mp4", "hello")).await.reason(), Reason::Codec);
    assert_eq!(
        fails("a playlist", file("a.m3u8", "#EXTM3U\nhttp://127.0.0.1/\n")).await.reason(),
        Reason::Protocol
    );
    assert_eq!(
        fails("a list of files", file("b.mp4", "ffconcat version 1.0\nfile /etc/passwd\n")).await.reason(),
        Reason::Protocol
    );
    let none = OpenCvInput::Device("/dev/video987".parse().unwrap());
    assert_eq!(fails("no device", none).await.reason(), Reason::Device);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = fails("refused", address(&format!("rtsp://{free}/"), Guard::open())).await;
    assert_eq!(refused.reason(), Reason::Refused);
    let guard = Guard::new(&EgressConfig::default(), "camera.egress");
    let forbidden = fails("forbidden", address("rtsp://127.0.0.1:1/", guard)).await;
    assert_eq!(forbidden.reason(), Reason::Forbidden);
    for odd in ["https://example.com/a", "file:///etc/passwd", "rtsps://example.com/"] {
        assert_eq!(fails(odd, address(odd, Guard::open())).await.reason(), Reason::Protocol);
    }
}

/// A server that accepts and never answers: told in time, and the thread does not stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_ends_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live", silent.local_addr().unwrap());
    let error = fails("silent", address(&url, Guard::open())).await;
    assert!(matches!(error.reason(), Reason::Protocol | Reason::TimedOut));
    let started = Instant::now();
    while hung_threads() > 0 {
        assert!(started.elapsed() < Duration::from_secs(15), "a thread stays in its call");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("no thread is left after {:?}", started.elapsed());
}

/// A call that never comes back is left behind and counted, and too many of them are refused.
#[test]
fn hung_calls_are_counted_and_bounded() {
    let mut left = Vec::new();
    while hung_threads() < MOST_HUNG {
        let beat = Beat::begin().unwrap();
        left.push(beat.pulse());
        drop(beat);
    }
    assert!(Beat::begin().is_err());
    assert!(!left[0].begins(Duration::ZERO), "the thread shall end");
    left.iter().for_each(beat::Pulse::done);
    assert!(Beat::begin().is_ok());
}
