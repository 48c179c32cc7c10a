//! `GStreamer`'s RTSP server: every codec that it sends, both ways.

use super::harness::*;
use patchbay_av::VideoDecoder;
use patchbay_capture::{RtspSettings, RtspTransport};
use patchbay_media::{
    Codec,
    hub::{Mode, Reason, Reordering},
};
use patchbay_testkit::rtsp::gstreamer::GstCamera;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tempfile::TempDir;

async fn camera(folder: &TempDir, options: &[&str]) -> GstCamera {
    GstCamera::start(folder.path(), options).await.expect("GStreamer's RTSP server")
}

fn patient(address: SocketAddr) -> RtspSettings {
    let mut settings = settings(address);
    // It takes its time until it has a picture to describe.
    settings.limits.connect_timeout = Duration::from_secs(10);
    settings.limits.stall_timeout = Duration::from_secs(5);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_passes_over_tcp_and_udp() {
    let folder = TempDir::new().unwrap();
    for (video, audio, codec, sound, transport) in [
        ("h264", "aac", Codec::H264, Some(Codec::Aac), RtspTransport::Tcp),
        ("h264", "pcma", Codec::H264, Some(Codec::Pcma), RtspTransport::Udp),
        ("h265", "opus", Codec::H265, Some(Codec::Opus), RtspTransport::Tcp),
        ("h265", "pcmu", Codec::H265, Some(Codec::Pcmu), RtspTransport::Udp),
        ("vp8", "opus", Codec::Vp8, Some(Codec::Opus), RtspTransport::Udp),
        ("vp9", "none", Codec::Vp9, None, RtspTransport::Tcp),
    ] {
        let camera = camera(&folder, &["--video", video, "--audio", audio]).await;
        let mut viewer = Viewer::of(RtspSettings { transport, ..patient(camera.address()) });
        let tracks = viewer.tracks().await;
        let (track, begun) = (tracks.video.expect("pictures"), viewer.started);
        let info = track.info();
        assert_eq!(
            (info.codec, info.width, info.height, info.reordered),
            (codec, 320, 240, false),
            "{video}"
        );
        let mut decoder = VideoDecoder::open(info).unwrap();
        let mut shown = 0;
        let first = begun.elapsed();
        for unit in units(&track, 30).await {
            shown += decoder.decode(&unit).expect("a unit that can be decoded").len();
        }
        assert!(shown >= 28, "{video}: {shown} of 30 pictures");
        assert_eq!(tracks.audio.as_ref().map(|track| track.info().codec), sound);
        let mut heard = 0;
        if let Some(audio) = tracks.audio {
            assert_eq!(audio.info().configuration.is_empty(), sound != Some(Codec::Aac));
            heard = units(&audio, 20).await.len();
        }
        let health = viewer.hub.health(&viewer.name).unwrap();
        println!(
            "{video} and {audio} over {transport:?}: tracks after {first:?}, {shown} pictures, {heard} of sound, {health:?}"
        );
        assert_eq!(health.jumps, 0);
        assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_reordered_are_told_so_and_have_times_of_decoding() {
    let folder = TempDir::new().unwrap();
    let camera = camera(&folder, &["--video", "h264b", "--gop", "30"]).await;
    let mut viewer = Viewer::of(patient(camera.address()));
    let mut track = viewer.video().await;
    if !track.info().reordered {
        // The description did not say so; the first picture that is predicted from both sides does.
        track = viewer.video().await;
    }
    assert!(track.info().reordered);
    let units = units(&track, 60).await;
    let mut later = 0;
    for pair in units.windows(2) {
        assert!(pair[1].dts >= pair[0].dts && pair[1].pts >= pair[1].dts);
        later += usize::from(pair[1].pts < pair[0].pts);
    }
    assert!(later > 10, "{later} pictures are shown before the one that came before them");
    // In the order in which they are shown they are 40 ms apart.
    let mut shown: Vec<_> = units[..units.len() - 3].iter().map(|unit| unit.pts).collect();
    shown.sort();
    let worst = shown.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
    println!("{later} of 60 come in another order, at most {worst:?} apart");
    assert!(worst < Duration::from_millis(130), "{worst:?}");
    // A viewer that cannot take that does not get it.
    let wanted = patchbay_media::hub::Wanted { reordered: Reordering::NotAllowed, ..everything() };
    let mut other = viewer.hub.subscribe(&viewer.name, wanted).unwrap();
    assert!(other.tracks().await.unwrap().video.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_sets_may_be_missing_or_come_with_each_key_frame() {
    let folder = TempDir::new().unwrap();
    for config in ["-1", "0", "1"] {
        let camera = camera(&folder, &["--config-interval", config, "--profile", "high"]).await;
        let mut viewer = Viewer::of(patient(camera.address()));
        let track = viewer.video().await;
        assert!(!track.info().configuration.is_empty());
        let units = units(&track, 60).await;
        let key = units.iter().find(|unit| unit.key).unwrap();
        assert!(key.data.len() > track.info().configuration.len());
        assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_seen_again() {
    let folder = TempDir::new().unwrap();
    let port = patchbay_testkit::ports::free_address().port().to_string();
    let mut first = camera(&folder, &["--port", &port]).await;
    let mut viewer = Viewer::of(patient(first.address()));
    units(&*viewer.video().await, 10).await;
    first.process().kill().unwrap();
    let killed = Instant::now();
    assert_eq!(viewer.failed().await.1, Reason::Ended);
    println!("noticed after {:?}", killed.elapsed());
    let _second = camera(&folder, &["--port", &port]).await;
    let back = Instant::now();
    let track = viewer.video().await;
    assert!(units(&track, 1).await[0].key);
    println!("pictures {:?} after the server was back (goal 3 s)", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_is_a_stream() {
    let folder = TempDir::new().unwrap();
    let camera = camera(&folder, &["--video", "none", "--audio", "opus"]).await;
    let mut viewer = Viewer::of(patient(camera.address()));
    let tracks = viewer.tracks().await;
    assert!(tracks.video.is_none());
    assert_eq!(units(&tracks.audio.unwrap(), 10).await.len(), 10);
    viewer.hub.set_mode(&viewer.name, Mode::OnDemand).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_with_nothing_but_jpeg_is_encoded() {
    let folder = TempDir::new().unwrap();
    let camera = camera(&folder, &["--video", "jpeg", "--audio", "pcma"]).await;
    for transport in [RtspTransport::Tcp, RtspTransport::Udp] {
        let mut viewer = Viewer::of(RtspSettings { transport, ..patient(camera.address()) });
        let track = viewer.video().await;
        println!("{transport:?}: tracks after {:?}", viewer.started.elapsed());
        assert_eq!((track.info().codec, track.info().width), (Codec::H264, 320));
        let mut decoder = VideoDecoder::open(track.info()).unwrap();
        let mut shown = 0;
        for unit in units(&track, 30).await {
            shown += decoder.decode(&unit).unwrap().len();
        }
        assert!(shown >= 28, "{shown} of 30 pictures");
        assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
    }
}
