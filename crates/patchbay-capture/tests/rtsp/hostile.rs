//! Whatever a camera answers and sends, nothing of ours breaks, and another camera goes on.

use super::{film::*, harness::*};
use patchbay_capture::RtspTransport;
use patchbay_media::hub::NotStarted;
use patchbay_testkit::rtsp::scripted::{Answer, Film, Media, Script, ScriptedServer, Step};
use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How long the run takes, whatever the machine.
const BOUND: Duration = Duration::from_secs(40);
/// Cameras at a time.
const AT_ONCE: u64 = 40;
const SEEDS: u64 = 4000;

/// A small generator, so that a seed says everything (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % below.max(1)
    }

    /// Flips, cuts, repeats, inserts and joins.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.roll(bytes.len());
            match self.roll(7) {
                0 => bytes[at] ^= 1 << self.roll(8),
                1 => {
                    bytes[at] = [0, 0xff, b'$', b'\r', b'\n', b';', b'=', b'-', b':', b'/', b' ', b'9']
                        [self.roll(12)];
                }
                2 => bytes.truncate(at),
                3 => {
                    let piece = bytes[at..(at + 1 + self.roll(40)).min(bytes.len())].to_vec();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, piece);
                }
                4 => {
                    let end = (at + self.roll(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                5 => {
                    let digits = bytes.iter().position(u8::is_ascii_digit).unwrap_or(at);
                    let many = b"999999999999999999999"[..=self.roll(20)].to_vec();
                    bytes.splice(digits..=digits, many);
                }
                _ => bytes[at] = u8::try_from(self.roll(256)).unwrap(),
            }
        }
    }
}

/// Recorded answers of a camera, as many kinds have them.
fn answer(method: &str, sdp: &str) -> Vec<u8> {
    let text = match method {
        "DESCRIBE" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\nContent-Base: rtsp://127.0.0.1:554/live/\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        ),
        "SETUP" => "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 12345678;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12345678;mode=\"PLAY\"\r\n\r\n".to_owned(),
        "PLAY" => "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 12345678\r\nRange: npt=0.000-\r\nRTP-Info: url=rtsp://127.0.0.1:554/live/trackID=0;seq=65500;rtptime=123456\r\n\r\n".to_owned(),
        _ => "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"5ccc069c403ebaf9f0171e9517f40e41\", stale=\"FALSE\"\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\r\n".to_owned(),
    };
    text.into_bytes()
}

/// A camera that is damaged by a seed in its answers, its description, or its packets.
fn damaged(seed: u64, clip: &Clip) -> Script {
    let kind = seed % 4;
    let film: Film = Arc::new({
        let clip = clip.clone();
        move |number| {
            let mut dice = Dice::new(seed ^ number.wrapping_mul(7919));
            if number > 60 {
                return vec![Step::Close];
            }
            // Faster than real: it is the bytes that count.
            let mut steps: Vec<Step> =
                clip.picture(number, Shape::default()).into_iter().map(Step::Packet).collect();
            if kind == 2 {
                for step in &mut steps {
                    if let (Step::Packet(packet), 0) = (step, dice.roll(3)) {
                        dice.damage(packet);
                        packet.truncate(60_000);
                    }
                }
            }
            if kind == 3 && dice.roll(3) == 0 {
                let mut bytes =
                    [&b"$\x00\x00\x10"[..], &[0x80; 16], b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"].concat();
                dice.damage(&mut bytes);
                steps.insert(0, Step::Bytes(bytes));
            }
            steps
        }
    });
    let sdp = clip.sdp();
    let script = Script::new(sdp.clone(), Media::Film(film));
    script.answering(move |method, number, request| {
        let mut dice = Dice::new(seed ^ method.len() as u64 ^ number as u64);
        // Media has to begin: the usual answer starts it.
        if method == "TEARDOWN" || kind >= 2 {
            return Answer::Usual;
        }
        let ask = method == "DESCRIBE"
            && number == 0
            && seed.is_multiple_of(3)
            && request.get("authorization").is_none();
        let mut bytes = answer(if ask { "OPTIONS" } else { method }, &sdp);
        if method == "DESCRIBE" || dice.roll(2) == 0 {
            let cseq = request.get("cseq").unwrap_or("1");
            bytes = String::from_utf8(bytes).unwrap().replace("{cseq}", cseq).into_bytes();
            dice.damage(&mut bytes);
            return Answer::Raw(bytes);
        }
        Answer::Usual
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_damaged_cameras_harm_nothing() {
    let panics = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&panics);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let hub = hub();
    let clip = Clip::h264();
    let good = ScriptedServer::start(clip.script()).unwrap();
    let mut witness = Viewer::in_hub(hub.clone(), "camera/witness", settings(good.address()));
    let mut reader = reader(&*witness.video().await);
    let watching = tokio::runtime::Handle::current().spawn(async move {
        let mut longest = Duration::ZERO;
        let mut last = Instant::now();
        loop {
            match timeout(Duration::from_secs(5), reader.next()).await {
                Ok(Ok(_)) => {}
                _ => return Err("the other camera stood still"),
            }
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if SHOULD_STOP.load(Ordering::Relaxed) == 1 {
                return Ok(longest);
            }
        }
    });
    let begun = Instant::now();
    let (mut tried, mut worked, mut outcomes) = (0, 0_u64, std::collections::BTreeMap::new());
    while tried < SEEDS && begun.elapsed() < BOUND {
        let round = (tried..tried + AT_ONCE).map(|seed| one(&hub, seed, &clip));
        for outcome in futures_util::future::join_all(round).await {
            worked += u64::from(outcome == "PICTURES");
            *outcomes.entry(outcome).or_insert(0_u64) += 1;
        }
        tried += AT_ONCE;
    }
    SHOULD_STOP.store(1, Ordering::Relaxed);
    let longest = watching.await.unwrap().unwrap();
    println!(
        "{tried} damaged cameras in {:?}, {worked} with pictures all the same; {outcomes:?}; longest gap of the other one {longest:?}, panics {}",
        begun.elapsed(),
        panics.load(Ordering::Relaxed)
    );
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    assert!(tried >= 500, "{tried}");
    assert!(worked > 0 && outcomes.len() > 2, "{outcomes:?}");
    assert_eq!(hub.state(&witness.name).unwrap().starts, 1);
}

static SHOULD_STOP: AtomicU64 = AtomicU64::new(0);

/// What comes of one damaged camera.
async fn one(hub: &patchbay_media::hub::Hub, seed: u64, clip: &Clip) -> &'static str {
    let server = ScriptedServer::start(damaged(seed, clip)).unwrap();
    let mut settings = settings(server.address());
    settings.limits.connect_timeout = Duration::from_millis(300);
    settings.limits.stall_timeout = Duration::from_millis(500);
    settings.limits.start_timeout = Duration::from_millis(500);
    settings.limits.key_frame_timeout = Duration::from_millis(500);
    settings.credentials = Some(login("admin", "s3cret"));
    settings.transport = if seed % 8 == 2 { RtspTransport::Udp } else { RtspTransport::Tcp };
    let mut viewer = Viewer::in_hub(hub.clone(), &format!("camera/{seed}"), settings);
    let outcome = match timeout(Duration::from_secs(10), viewer.subscription.tracks_or_failure()).await {
        Ok(Ok(tracks)) => {
            let mut reader = reader(&tracks.video.expect("pictures"));
            match timeout(Duration::from_secs(2), reader.next()).await {
                Ok(Ok(_)) => "PICTURES",
                _ => "TRACKS",
            }
        }
        Ok(Err(NotStarted::Failed(error))) => {
            let text = error.to_string();
            assert!(!text.contains("s3cret") && !text.contains("admin"), "{text}");
            error.reason().word()
        }
        Ok(Err(error)) => panic!("{error}"),
        Err(elapsed) => panic!("seed {seed} neither works nor fails: {elapsed}"),
    };
    hub.remove(&viewer.name);
    outcome
}
