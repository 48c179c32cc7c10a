//! Streams that are as they should be, from a server of ours, so that times can be measured.

use super::{film::*, harness::*};
use patchbay_capture::RtspTransport;
use patchbay_media::{
    Codec,
    hub::{HealthFigures, Reason},
};
use patchbay_testkit::{
    rtsp::scripted::{Answer, Media, Script, ScriptedServer, Step, status},
    wait::wait_until,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_picture_is_there_when_the_camera_has_sent_it() {
    let clip = Clip::h264();
    let mut waits = Vec::new();
    for round in 0..10_u64 {
        // The key frame comes some time after PLAY, as it does with most cameras.
        let sent = Arc::new(moment::Moment::default());
        let noted = Arc::clone(&sent);
        let (film, delay) = (clip.clone(), Duration::from_millis(100 + round * 7));
        let script = Script::new(
            clip.sdp(),
            Media::Film(Arc::new(move |number| {
                let mut steps = film.steps(number, Shape::default());
                if number == 0 {
                    std::thread::sleep(delay);
                    noted.note();
                }
                steps.push(Step::Until(due(number) + delay));
                steps
            })),
        );
        let server = ScriptedServer::start(script).unwrap();
        let mut viewer = Viewer::of(settings(server.address()));
        let video = viewer.video().await;
        let first = units(&video, 1).await.remove(0);
        let wait = sent.elapsed();
        assert!(first.key && is_whole(&first));
        waits.push(wait);
    }
    waits.sort();
    println!(
        "key frame sent to picture in the hub: median {:?}, most {:?} (goal 300 ms)",
        waits[5], waits[9]
    );
    assert!(waits[9] < Duration::from_millis(300));
}

mod moment {
    use std::{
        sync::OnceLock,
        time::{Duration, Instant},
    };

    #[derive(Default)]
    pub(super) struct Moment(OnceLock<Instant>);

    impl Moment {
        pub(super) fn note(&self) {
            self.0.get_or_init(Instant::now);
        }

        pub(super) fn elapsed(&self) -> Duration {
            self.0.get().expect("it was noted").elapsed()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_whole_and_in_time_over_tcp_and_udp() {
    let clip = Clip::h264();
    for transport in [RtspTransport::Tcp, RtspTransport::Udp, RtspTransport::Auto] {
        let server = ScriptedServer::start(clip.script()).unwrap();
        let mut viewer =
            Viewer::of(patchbay_capture::RtspSettings { transport, ..settings(server.address()) });
        let video = viewer.video().await;
        let info = video.info();
        assert_eq!((info.codec, info.width, info.height, info.reordered), (Codec::H264, 320, 240, false));
        let units = units(&video, 60).await;
        for pair in units.windows(2) {
            let step = pair[1].dts.since(pair[0].dts);
            assert!(
                (38..=42).contains(&step.as_millis()),
                "{transport:?}: {step:?}, over the wrap of the clock"
            );
            assert!(pair[1].pts == pair[1].dts);
        }
        assert_eq!(units.iter().filter(|unit| unit.key).count(), 3);
        assert_eq!(viewer.hub.health(&viewer.name), Some(HealthFigures::default()), "{transport:?}");
        // The camera sees its own address and not the tunnel's, and the session is ended.
        let uri = format!("rtsp://{}/live", server.address());
        drop(viewer);
        let took =
            wait_until("the session is ended", LONG, async || server.was_asked("TEARDOWN")).await.unwrap();
        println!("{transport:?}: ended after {took:?}");
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.uri.starts_with(&uri)), "{requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_out_of_order_are_put_in_order_and_lost_ones_counted() {
    let clip = Clip::new(Codec::H264, 640, 480, 2_000_000);
    let script = clip.changed(|number, mut steps| {
        if number % 25 == 12 {
            // One is lost.
            let lost = steps.pop();
            assert!(matches!(lost, Some(Step::Packet(_))));
        } else if steps.len() > 2 {
            steps.swap(1, 2);
        }
        steps
    });
    let server = ScriptedServer::start(script).unwrap();
    let transport = RtspTransport::Udp;
    let mut viewer = Viewer::of(patchbay_capture::RtspSettings { transport, ..settings(server.address()) });
    let video = viewer.video().await;
    let units = units(&video, 40).await;
    assert!(units.iter().all(is_whole));
    // After a loss nothing comes until the next key frame, and then everything.
    let gaps: Vec<_> =
        units.windows(2).filter(|pair| pair[1].dts.since(pair[0].dts).as_millis() > 100).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|pair| pair[1].key), "{gaps:?}");
    let health = viewer.hub.health(&viewer.name).unwrap();
    println!("{health:?} after {} pictures", units.len());
    assert!(health.lost >= 2 && health.lost < 20, "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_without_tcp_is_seen_over_udp() {
    let clip = Clip::h264();
    // One refuses TCP, the other accepts it and sends nothing.
    for silent in [false, true] {
        let script = clip.script().answering(move |method, _, request| {
            let is_tcp = request.get("transport").is_some_and(|transport| transport.contains("interleaved"));
            match method {
                "SETUP" if is_tcp && !silent => {
                    status(461, "Unsupported Transport")
                }
                "SETUP" if is_tcp => Answer::Raw(
                    b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n".to_vec(),
                ),
                "PLAY" if request.get("session") == Some("1") => Answer::Raw(
                    b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 1\r\n\r\n".to_vec(),
                ),
                _ => Answer::Usual,
            }
        });
        let server = ScriptedServer::start(script).unwrap();
        let transport = RtspTransport::Auto;
        let begun = Instant::now();
        let mut settings = settings(server.address());
        settings.limits.stall_timeout = Duration::from_secs(1);
        let mut viewer = Viewer::of(patchbay_capture::RtspSettings { transport, ..settings });
        let video = viewer.video().await;
        assert!(units(&video, 1).await[0].key);
        println!("silent {silent}: first picture over UDP after {:?}", begun.elapsed());
        assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_was_away_is_back_within_three_seconds() {
    let clip = Clip::h264();
    let server = ScriptedServer::start(clip.script()).unwrap();
    let address = server.address();
    let mut viewer = Viewer::of(settings(address));
    let video = viewer.video().await;
    units(&video, 5).await;
    drop(server);
    let (_, reason) = viewer.failed().await;
    assert_eq!(reason, Reason::Ended);
    let server = ScriptedServer::start_on(clip.script(), address).unwrap();
    let back = Instant::now();
    let video = viewer.video().await;
    units(&video, 1).await;
    println!("pictures {:?} after the camera was back (goal 3 s)", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(9));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_kept_alive() {
    // The camera forgets sessions after four seconds.
    let answer = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 12345678 ; timeout=4 ; more\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n";
    let script = Clip::h264().script().with("SETUP", Answer::Raw(answer.into()));
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let video = viewer.video().await;
    let mut reader = reader(&video);
    let asked = || server.requests().iter().filter(|request| request.method == "OPTIONS").count();
    while asked() < 2 {
        next(&mut reader).await;
        assert!(viewer.started.elapsed() < LONG);
    }
    println!("asked {} times in {:?}", asked(), viewer.started.elapsed());
    let all = server.requests();
    let asked = all.iter().find(|request| request.method == "OPTIONS").unwrap();
    assert_eq!(asked.get("session"), Some("12345678"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_the_camera_does_not_give_is_left_out() {
    let clip = Clip::h264();
    let sdp = format!("{}m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n", clip.sdp());
    let script = Script::new(sdp, Media::Film(clip.film()));
    let script = script.answering(|method, number, _| match (method, number) {
        ("SETUP", 1) => status(500, "Internal Server Error"),
        _ => Answer::Usual,
    });
    let server = ScriptedServer::start(script).unwrap();
    let mut viewer = Viewer::of(settings(server.address()));
    let tracks = viewer.tracks().await;
    assert!(tracks.audio.is_none());
    assert!(units(&tracks.video.unwrap(), 10).await[0].key);
    server.cut();
    let (text, reason) = viewer.failed().await;
    assert_eq!(reason, Reason::Ended, "what was forgiven is not told: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_is_out_of_date_is_answered_anew() {
    let clip = Clip::h264();
    // Each answer is for one request; the next one wants a new one.
    let script = clip.script().answering(|method, number, request| {
        let nonce = format!("{method}{number}");
        let before = format!("{method}{}", number.saturating_sub(1));
        let is_answer = request.get("authorization").is_some_and(|header| header.contains(&before));
        if number > 0 && is_answer || method == "TEARDOWN" {
            return Answer::Usual;
        }
        let text = format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {{cseq}}\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"{nonce}\", stale=true\r\n\r\n");
        Answer::Raw(text.into())
    });
    let server = ScriptedServer::start(script).unwrap();
    let credentials = Some(login("admin", "s3cret"));
    let mut viewer = Viewer::of(patchbay_capture::RtspSettings { credentials, ..settings(server.address()) });
    assert!(units(&*viewer.video().await, 3).await[0].key);
    let all = server.requests();
    assert_eq!(all.len(), 6, "each of three was asked for twice");
    // Never satisfied: it is given up, and not asked for ever.
    let forever = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"a\", stale=true\r\n\r\n";
    let server = ScriptedServer::start(clip.script().with("DESCRIBE", Answer::Raw(forever.into()))).unwrap();
    let credentials = Some(login("admin", "s3cret"));
    let mut viewer = Viewer::of(patchbay_capture::RtspSettings { credentials, ..settings(server.address()) });
    let (text, reason) = viewer.failure().await;
    assert!(reason == Reason::Unauthorized && text.contains("again and again"), "{text}");
}
