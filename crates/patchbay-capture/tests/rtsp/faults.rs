//! Cameras that err. Each fault by its name.

use super::{film::*, harness::*};
use patchbay_capture::RtspTransport;
use patchbay_media::{Codec, hub::Reason};
use patchbay_testkit::rtsp::scripted::{Answer, Film, Media, Script, ScriptedServer, Step, status};
use std::{net::UdpSocket, sync::Arc, time::Duration};

async fn fails(script: Script, reason: Reason, words: &str) {
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let (text, told) = viewer.failure().await;
    assert_eq!(told, reason, "{text}");
    assert!(text.contains(words), "{text}");
    assert!(!text.contains(&server.address().to_string()), "no addresses: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let address = patchbay_testkit::ports::free_address();
    let (text, reason) = Viewer::of(settings(address)).failure().await;
    assert!(reason == Reason::Refused && text.contains("refused the connection"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_not_found() {
    let mut settings = settings("127.0.0.1:1".parse().unwrap());
    settings.url = url::Url::parse("rtsp://camera.invalid/live").unwrap();
    let (text, reason) = Viewer::of(settings).failure().await;
    assert!(reason == Reason::NameNotFound && text.contains("camera.invalid"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_forbidden() {
    use patchbay_egress::{EgressConfig, Guard};
    use patchbay_media::hub::{Mode, State, StreamName};
    let server = ScriptedServer::start(Clip::h264().script()).unwrap();
    let guard = Guard::new(&EgressConfig::default(), "camera_relay.egress");
    let source = patchbay_capture::RtspSource::new(settings(server.address()), guard, Arc::new(OnRuntime));
    let (hub, name) = (hub(), StreamName::parse("camera/one").unwrap());
    hub.add(name.clone(), Arc::new(source), Mode::AlwaysOn).unwrap();
    let mut states = hub.watch(&name).unwrap();
    let state = states.wait_for(|state| state.state == State::Failed).await.unwrap().clone();
    assert_eq!(state.reason, Some(Reason::Forbidden), "{}", state.detail);
    assert!(state.detail.contains("camera_relay.egress.allow"), "{}", state.detail);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_is_wrong() {
    let script = Clip::h264().script().with("DESCRIBE", status(404, "Not Found"));
    fails(script, Reason::NotFound, "nothing under this path").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_lost() {
    fails(
        Clip::h264().script().with("PLAY", status(454, "Session Not Found")),
        Reason::Protocol,
        "lost the session",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_redirect() {
    let elsewhere = ScriptedServer::start(Clip::h264().script()).unwrap();
    let answer = format!(
        "RTSP/1.0 302 Moved\r\nCSeq: {{cseq}}\r\nLocation: rtsp://{}/live\r\n\r\n",
        elsewhere.address()
    );
    fails(Clip::h264().script().with("DESCRIBE", Answer::Raw(answer.into())), Reason::Protocol, "redirects")
        .await;
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_answers() {
    fails(
        Clip::h264().script().with("DESCRIBE", Answer::Silence),
        Reason::TimedOut,
        "did not answer in time",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hangs_after_setup() {
    fails(Clip::h264().script().with("PLAY", Answer::Silence), Reason::TimedOut, "play its stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_plays_and_sends_nothing() {
    fails(Script::new(Clip::h264().sdp(), Media::None), Reason::TimedOut, "sends nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hangs_in_mid_stream() {
    let script = Clip::h264().changed(|number, steps| if number == 30 { vec![Step::Hang] } else { steps });
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    units(&*viewer.video().await, 10).await;
    let (text, reason) = viewer.failed().await;
    assert!(reason == Reason::TimedOut && text.contains("stopped sending"), "{text}");
    viewer.starts(2).await;
    units(&*viewer.video().await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_floods() {
    // Full packets without a pause: nothing of them can be used.
    let flood: Film = Arc::new(|number| {
        let mut steps = Clip::empty(number);
        steps.extend((0..100).map(|_| Step::Bytes([vec![b'$', 0, 0xff, 0xff], vec![0x80; 65_535]].concat())));
        steps
    });
    fails(Script::new(Clip::h264().sdp(), Media::Film(flood)), Reason::Protocol, "sends more than").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_cuts_in_the_middle_of_a_picture() {
    let clip = Clip::new(Codec::H264, 640, 480, 2_000_000);
    let script = clip.changed(|number, mut steps| {
        if number == 30 {
            steps.truncate(2);
            steps.push(Step::Bytes(b"$\x00\x04\x00half".to_vec()));
            steps.push(Step::Close);
        }
        steps
    });
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let seen = units(&*viewer.video().await, 28).await;
    assert!(seen.iter().all(is_whole));
    assert_eq!(viewer.failed().await.1, Reason::Ended);
    let seen = units(&*viewer.video().await, 5).await;
    assert!(seen[0].key && seen.iter().all(is_whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_garbage_between_packets() {
    let script = Clip::h264().changed(|number, mut steps| {
        if number % 5 == 4 {
            steps.insert(1, Step::Bytes(b"\x00\xff$\x63garbage\r\nRTP $$ \x13".to_vec()));
        }
        steps
    });
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let seen = units(&*viewer.video().await, 50).await;
    assert!(seen.iter().all(is_whole));
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1, "the session goes on");
    let health = viewer.hub.health(&viewer.name).unwrap();
    println!("{health:?}");
    assert!(health.discarded > 3 && health.lost == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_clock_jumps() {
    let clip = Clip::h264();
    let film: Film = Arc::new({
        let clip = clip.clone();
        move |number| {
            let timestamp = match number {
                0..20 => 0,
                20..40 => 90_000 * 3600,
                _ => 500,
            };
            clip.steps(number, Shape { timestamp, ..Shape::default() })
        }
    });
    let server = ScriptedServer::start(Script::new(clip.sdp(), Media::Film(film))).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let seen = units(&*viewer.video().await, 60).await;
    for pair in seen.windows(2) {
        let step = pair[1].dts.since(pair[0].dts);
        assert!(pair[1].dts > pair[0].dts && step < Duration::from_millis(500), "{step:?}");
    }
    let health = viewer.hub.health(&viewer.name).unwrap();
    assert_eq!((health.jumps, health.lost), (2, 0));
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_pictures_change_their_size() {
    let (small, large) = (Clip::h264(), Clip::new(Codec::H264, 640, 480, 600_000));
    let film: Film = Arc::new({
        let small = small.clone();
        move |number| {
            let clip = if number < 25 { &small } else { &large };
            // Numbers go on; both have as many pictures.
            let sequence =
                if number < 25 { 0 } else { (small.packets().wrapping_sub(large.packets())) as u16 };
            clip.steps(number, Shape { sequence, ..Shape::default() })
        }
    });
    let server = ScriptedServer::start(Script::new(small.sdp(), Media::Film(film))).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let video = viewer.video().await;
    assert_eq!(video.info().width, 320);
    let other = viewer.video().await;
    assert_eq!((other.info().width, other.info().height), (640, 480));
    assert!(units(&other, 10).await[0].key);
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
    assert_eq!(viewer.hub.health(&viewer.name).unwrap().lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_codec_changes_by_payload_type() {
    let (first, second) = (Clip::h264(), Clip::new(Codec::Vp8, 640, 480, 600_000));
    let film: Film = Arc::new({
        let first = first.clone();
        move |number| {
            if number < 25 {
                return first.steps(number, Shape::default());
            }
            second.steps(number, Shape { payload_type: 98, ..Shape::default() })
        }
    });
    let script = Script::new(sdp(&[(96, "H264"), (98, "VP8")]), Media::Film(film));
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let video = viewer.video().await;
    assert_eq!(video.info().codec, Codec::H264);
    let other = viewer.video().await;
    assert_eq!((other.info().codec, other.info().width), (Codec::Vp8, 640));
    assert!(units(&other, 10).await[0].key);
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_sender_begins_anew() {
    let clip = Clip::h264();
    let film: Film = Arc::new({
        let clip = clip.clone();
        move |number| {
            if number < 30 {
                return clip.steps(number, Shape::default());
            }
            let mut steps =
                clip.steps(number - 30, Shape { ssrc: 9, sequence: 3, timestamp: 77, ..Shape::default() });
            steps[0] = Step::Until(due(number));
            steps
        }
    });
    let server = ScriptedServer::start(Script::new(clip.sdp(), Media::Film(film))).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let seen = units(&*viewer.video().await, 60).await;
    assert!(seen.windows(2).all(|pair| pair[1].dts >= pair[0].dts));
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_never_sends_a_key_frame() {
    let clip = Clip::h264();
    let film: Film = Arc::new({
        let clip = clip.clone();
        move |number| {
            let mut steps = clip.steps(number % 24 + 1, Shape::default());
            steps[0] = Step::Until(due(number));
            steps
        }
    });
    fails(Script::new(clip.sdp(), Media::Film(film)), Reason::NoKeyFrame, "key frame (I-frame) interval")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_description_is_damaged_huge_or_endless() {
    for damaged in ["", "hello", "v=0\r\nm=video\r\n", "\0\0\0\0", "v=0\r\ns=x\r\nt=0 0\r\n"] {
        let server = ScriptedServer::start(Script::new(damaged, Media::None)).unwrap();
        let (text, reason) = Viewer::of(settings(server.address())).failure().await;
        assert!(matches!(reason, Reason::Protocol | Reason::NoTracks), "{damaged:?}: {text}");
    }
    let huge = format!("{}{}", Clip::h264().sdp(), "a=x-long:1\r\n".repeat(100_000));
    fails(Script::new(huge, Media::None), Reason::Protocol, "longer than").await;
    // The same line again and again: after the first one, all are headers.
    let endless = Answer::Endless(b"RTSP/1.0 200 OK\r\nX-Header: abcdefghijklmnopqrstuvwxyz\r\n".repeat(100));
    let script = Clip::h264().script().with("DESCRIBE", endless);
    let server = ScriptedServer::start(script).unwrap();
    let (text, reason) = Viewer::of(settings(server.address())).failure().await;
    assert_eq!(reason, Reason::Protocol, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_codec_is_not_supported() {
    for (name, shown) in [("theora", "THEORA"), ("x<script>", "XSCRIPT")] {
        let script = Script::new(sdp(&[(96, name)]), Media::None);
        let server = ScriptedServer::start(script).unwrap();
        let (text, reason) = Viewer::of(settings(server.address())).failure().await;
        assert_eq!(reason, Reason::Codec, "{text}");
        assert!(text.contains(shown) && text.contains("H.264"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_udp_ports_are_odd_and_its_source_is_elsewhere() {
    // Whatever it names, datagrams are taken from the camera alone, and nothing is sent elsewhere.
    let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
    elsewhere.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    for transport in [
        "server_port=65535-65536".to_owned(),
        "server_port=65535".to_owned(),
        format!("source=127.0.0.2;server_port={port}-{port}"),
        String::new(),
    ] {
        let mut script = Clip::h264().script();
        script.transport = Some(transport.clone());
        let server = ScriptedServer::start(script).unwrap();
        let udp = RtspTransport::Udp;
        let mut viewer =
            Viewer::of(patchbay_capture::RtspSettings { transport: udp, ..settings(server.address()) });
        assert!(units(&*viewer.video().await, 5).await[0].key, "{transport}");
    }
    assert!(elsewhere.recv(&mut [0; 100]).is_err(), "nothing was sent to the address that it named");
}

impl Clip {
    /// Nothing to wait for.
    fn empty(_: u64) -> Vec<Step> {
        Vec::new()
    }
}
