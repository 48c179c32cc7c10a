use super::*;
use crate::{
    CaptureLimits, Trust,
    http::server::{Server, ok, send},
    testing::{Outcome, camera, run_until_failure},
};
use patchbay_av::VideoDecoder;
use patchbay_egress::{EgressConfig, Guard};
use patchbay_media::{
    AccessUnit, Codec,
    ring::{Reader, Start},
};
use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, time::timeout};
use url::Url;

fn target(url: Url) -> HttpTarget {
    let short = Duration::from_millis(800);
    let limits = CaptureLimits {
        connect_timeout: short,
        stall_timeout: short,
        start_timeout: Duration::from_secs(2),
        ..CaptureLimits::default()
    };
    HttpTarget { url, credentials: None, trust: Trust::default(), limits, guard: Guard::open() }
}

fn source(target: HttpTarget) -> Arc<UrlSource> {
    Arc::new(UrlSource::new(target, LiveSettings::default()).unwrap())
}

/// Runs the ffmpeg program in a folder of its own, and gives what it has made.
fn made(seconds: u32, options: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder = TempDir::new().unwrap();
    let video = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
    let output = Command::new("ffmpeg")
        .current_dir(folder.path())
        .args(["-v", "error", "-f", "lavfi", "-i", &video, "-f", "lavfi", "-i"])
        .arg(format!("sine=frequency=440:sample_rate=48000:duration={seconds}"))
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-c:a", "aac"])
        .args(options)
        .output()
        .expect("these tests need the program ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
    entries
        .map(|entry| {
            (format!("/{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

async fn serve(files: &[(String, Vec<u8>)]) -> Server {
    Server::files(files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect()).await
}

async fn next(reader: &mut Reader<AccessUnit>) -> AccessUnit {
    timeout(Duration::from_secs(5), reader.next()).await.expect("a unit in time").unwrap().entry.item.clone()
}

/// Plays for so long; gives the longest gap in the times of the pictures.
async fn plays(what: &str, source: Arc<UrlSource>, time: Duration) -> Duration {
    let (camera, started) = (camera(source), Instant::now());
    let selected = camera.starts().await.unwrap();
    let (track, opened) = (selected.video.unwrap(), started.elapsed());
    assert_eq!(track.info().codec, Codec::H264);
    let (mut decoder, mut reader) =
        (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
    let first = next(&mut reader).await;
    let (began, mut gap, mut last) = (Instant::now(), Duration::ZERO, first.clone());
    decoder.decode(&first).unwrap();
    while last.dts.since(first.dts) < time {
        let unit = next(&mut reader).await;
        decoder.decode(&unit).unwrap();
        gap = gap.max(unit.dts.since(last.dts));
        last = unit;
    }
    println!("{what}: open after {opened:?}; {time:?} in {:?}, longest gap {gap:?}", began.elapsed());
    assert!(selected.audio.is_some() && began.elapsed() > time.mul_f64(0.7), "{what}");
    gap
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_played_as_they_are_fetched() {
    // The index of this MP4 is at its end: it is read from there first.
    for name in ["a.mp4", "a.ts", "a.flv", "a.mkv"] {
        let files = made(4, &[name]);
        let server = serve(&files).await;
        let gap = plays(name, source(target(server.url(&format!("/{name}")))), Duration::from_secs(2)).await;
        assert!(gap < Duration::from_millis(80), "{name}");
        println!("{name}: {} requests", server.asked().len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_stream_without_length_plays() {
    let bytes = Arc::new(made(6, &["a.ts"]).remove(0).1);
    let server = Server::start(Arc::new(move |_, mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n").await;
            // In real time, in portions.
            let portion = bytes.len() / 60;
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            for portion in bytes.chunks(portion) {
                if sent.is_err() {
                    return;
                }
                ticks.tick().await;
                sent = stream.write_all(portion).await;
            }
        }
        .boxed()
    }))
    .await;
    plays("live TS", source(target(server.url("/"))), Duration::from_secs(1)).await;
}

const HLS: &[&str] = &["-hls_time", "1", "-hls_list_size", "0", "-hls_playlist_type", "vod", "list.m3u8"];

#[tokio::test(flavor = "multi_thread")]
async fn playlists_are_played_also_after_a_redirect() {
    let server = serve(&made(5, HLS)).await;
    plays("HLS", source(target(server.url("/list.m3u8"))), Duration::from_millis(2_500)).await;
    let first =
        Server::always(format!("HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n", server.url("/list.m3u8"))).await;
    plays("HLS elsewhere", source(target(first.url("/other/path"))), Duration::from_millis(1_500)).await;
    assert_eq!(first.asked().len(), 1);
}

async fn fails(what: &str, target: HttpTarget) -> SourceError {
    let Outcome { error, took } = run_until_failure(source(target)).await;
    println!("{what}: {} in {took:?}: {error}", error.reason().word());
    assert!(took < Duration::from_secs(9), "{what}");
    error
}

fn list(segment: &str) -> Vec<u8> {
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{segment}\n#EXT-X-ENDLIST\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn playlists_lead_nowhere_that_the_guard_forbids() {
    let allow = vec!["127.0.0.1/32".parse().unwrap()];
    let guard = Guard::new(&EgressConfig { allow, ..EgressConfig::default() }, "camera.egress");
    let inner = serve(&made(1, &["a.ts"])).await;
    let port = inner.address.port();
    for (segment, reason) in [
        (format!("http://127.0.0.2:{port}/a.ts"), Reason::Forbidden),
        (format!("http://[::ffff:127.0.0.2]:{port}/a.ts"), Reason::Forbidden),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), Reason::Forbidden),
        ("file:///etc/passwd".to_owned(), Reason::Protocol),
        ("/not/there.ts".to_owned(), Reason::NotFound),
    ] {
        let server = Server::files(vec![("/a.m3u8", list(&segment))]).await;
        let asked = HttpTarget { guard: guard.clone(), ..target(server.url("/a.m3u8")) };
        assert_eq!(fails(&segment, asked).await.reason(), reason, "{segment}");
    }
    assert_eq!(inner.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_end_in_time() {
    let server = Server::always(ok("text/html", b"<html>")).await;
    assert!(fails("a page", target(server.url("/"))).await.to_string().contains("login"));
    let server = Server::always(ok("video/mp4", &b"<html>".repeat(10_000))).await;
    assert_eq!(
        fails("a page that says it is a video", target(server.url("/"))).await.reason(),
        Reason::Protocol
    );
    let server = Server::always(ok("video/mp4", b"")).await;
    assert_eq!(fails("nothing", target(server.url("/"))).await.reason(), Reason::Protocol);
    let endless = |head: &'static str, filling: &'static [u8], pause| {
        Server::start(Arc::new(move |_, mut stream| {
            async move {
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    tokio::time::sleep(pause).await;
                    sent = stream.write_all(filling).await;
                }
            }
            .boxed()
        }))
    };
    let ms = Duration::from_millis;
    let zeros = endless("HTTP/1.1 200 OK\r\n\r\n", &[0; 16_384], ms(0)).await;
    fails("endless zeros", target(zeros.url("/"))).await;
    let drip = endless("HTTP/1.1 200 OK\r\n\r\n", b"G", ms(50)).await;
    assert_eq!(fails("a slow drip", target(drip.url("/"))).await.reason(), Reason::TimedOut);
    let lines = endless(
        "HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n",
        b"#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n",
        ms(0),
    )
    .await;
    fails("an endless playlist", target(lines.url("/"))).await;
    let nested = Server::start(Arc::new(|asked, stream| {
        let text = format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}x.m3u8\n",
            asked.path.trim_end_matches(".m3u8")
        );
        send(stream, ok("application/vnd.apple.mpegurl", text.as_bytes())).boxed()
    }))
    .await;
    assert_eq!(
        fails("playlists of playlists", target(nested.url("/a.m3u8"))).await.reason(),
        Reason::Protocol
    );
    println!("{} playlists were fetched", nested.asked().len());
    assert!(nested.asked().len() <= 61);
}

/// A playlist is known as one, and its length is bounded, however its beginning is cut into pieces.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_playlist_that_begins_in_pieces_ends_soon() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let server = Server::start(Arc::new(move |asked, mut stream| {
        let sent = Arc::clone(&counted);
        async move {
            stream.set_nodelay(true).unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#";
            stream.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let rest = if asked.path == "/list" { "EXTM3U\n#EXT-X-TARGETDURATION:1\n" } else { "EXTM3U\n" };
            let mut written = stream.write_all(rest.as_bytes()).await;
            while written.is_ok() {
                written = stream.write_all(&b"#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n".repeat(400)).await;
                sent.fetch_add(14_000, Ordering::Relaxed);
            }
        }
        .boxed()
    }))
    .await;
    let error = fails("an endless playlist in pieces", target(server.url("/list"))).await;
    let each = sent.load(Ordering::Relaxed) / u64::try_from(server.asked().len()).unwrap();
    println!("{each} bytes went into each of {} connections", server.asked().len());
    assert!(error.to_string().contains("1 MiB"), "{error}");
    assert!(each < (12 << 20), "what the system holds, and no more than 1 MiB taken from it");
}

/// A live playlist whose segments stop coming: told within the time for stalls, while another camera plays on.
#[tokio::test(flavor = "multi_thread")]
async fn segments_that_stop_end_in_time_and_harm_no_other() {
    let mut files = made(3, &["-hls_time", "1", "-hls_list_size", "0", "list.m3u8"]);
    for (path, bytes) in &mut files {
        if path == "/list.m3u8" {
            *bytes = String::from_utf8_lossy(bytes).replace("#EXT-X-ENDLIST\n", "").into_bytes();
        }
    }
    let (server, other) = (serve(&files).await, serve(&made(8, &["b.ts"])).await);
    let beside = plays("beside", source(target(other.url("/b.ts"))), Duration::from_secs(4));
    let stops = async {
        let (camera, started) = (camera(source(target(server.url("/list.m3u8")))), Instant::now());
        let mut reader = camera.video().await.reader(Start::NewestKey);
        let mut units = 0;
        while let Ok(read) = timeout(Duration::from_secs(8), reader.next()).await.expect("ends in time") {
            units += u32::from(read.entry.item.key);
        }
        println!("segments that stop: {units} key frames, the track has ended after {:?}", started.elapsed());
        assert!(units > 0);
    };
    let (gap, ()) = tokio::join!(beside, stops);
    assert!(gap < Duration::from_millis(80));
}
