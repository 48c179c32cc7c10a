use super::*;
use crate::{
    CaptureLimits, Trust,
    http::server::{Server, ok, send},
    testing::{Outcome, camera, run_until_failure},
};
use patchbay_av::{JpegEncoder, PictureSize, Quality, TestPattern, TimeCode, VideoDecoder};
use patchbay_egress::Guard;
use patchbay_media::ring::Start;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use url::Url;

fn target(url: Url) -> HttpTarget {
    let short = Duration::from_millis(700);
    let limits = CaptureLimits { connect_timeout: short, stall_timeout: short, ..CaptureLimits::default() };
    HttpTarget { url, credentials: None, trust: Trust::default(), limits, guard: Guard::open() }
}

fn source(url: Url, settings: MjpegSettings) -> Arc<MjpegSource> {
    Arc::new(MjpegSource::new(target(url), settings).unwrap())
}

/// Pictures with their numbers.
fn pictures(many: u64) -> Vec<Bytes> {
    let pattern = TestPattern::new(PictureSize::new(640, 480).unwrap(), "mjpeg").unwrap();
    let mut encoder = JpegEncoder::new(Quality::new(70).unwrap());
    let number = |number| encoder.encode(&pattern.draw(1_795_413_053_042, number).unwrap()).unwrap();
    (0..many).map(number).collect()
}

const STREAM_HEAD: &str = "Content-Type: multipart/x-mixed-replace; boundary=\"--frame\"\r\n";

/// Sends pictures as cameras do, 25 a second, again and again.
async fn film(mut stream: TcpStream, media_type: &str, pictures: Arc<Vec<Bytes>>) {
    let head = format!("HTTP/1.1 200 OK\r\n{media_type}\r\n");
    let mut sent = stream.write_all(head.as_bytes()).await;
    let mut ticks = interval(Duration::from_millis(40));
    for picture in pictures.iter().cycle() {
        if sent.is_err() {
            return;
        }
        ticks.tick().await;
        let head =
            format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
        sent = stream.write_all(&[head.as_bytes(), picture, b"\r\n"].concat()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_jpegs_becomes_a_track() {
    let films = Arc::new(pictures(50));
    let server =
        Server::start(Arc::new(move |_, stream| film(stream, STREAM_HEAD, Arc::clone(&films)).boxed())).await;
    let started = Instant::now();
    let camera = camera(source(server.url("/mjpeg"), MjpegSettings::default()));
    let track = camera.video().await;
    println!("published after {:?}: {:?}", started.elapsed(), track.info());
    let (mut decoder, mut reader) =
        (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
    let mut numbers = Vec::new();
    while numbers.len() < 50 {
        let unit = timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap().entry.item.clone();
        let picture = decoder.decode(&unit).unwrap().pop().unwrap().picture;
        numbers.push((TimeCode::read(&picture).unwrap().number, unit.pts));
    }
    let skipped = numbers.windows(2).filter(|pair| (pair[0].0 + 1) % 50 != pair[1].0).count();
    let took = numbers[49].1.since(numbers[0].1);
    println!("50 pictures over {took:?}, {skipped} left out, all after {:?}", started.elapsed());
    assert!(skipped <= 5 && took > Duration::from_millis(1_500) && took < Duration::from_secs(4));
}

/// `ffmpeg -f mpjpeg`, and cameras that know no better.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_jpegs_is_known_by_its_beginning() {
    let films = Arc::new(pictures(50));
    for media_type in [
        "Content-Type: application/octet-stream\r\n",
        "",
        "Content-Type: image/jpeg\r\n",
        "Content-Type: video/x-mjpeg\r\n",
    ] {
        let films = Arc::clone(&films);
        let server =
            Server::start(Arc::new(move |_, stream| film(stream, media_type, Arc::clone(&films)).boxed()))
                .await;
        let camera = camera(source(server.url("/mjpeg"), MjpegSettings::default()));
        let mut reader = camera.video().await.reader(Start::NewestKey);
        for _ in 0..10 {
            timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap();
        }
        assert_eq!(server.asked().len(), 1, "{media_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_still_picture_is_fetched_again_and_again() {
    let films = pictures(100);
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::start(Arc::new(move |_, stream| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        send(stream, ok("image/jpeg", &films[number % 100])).boxed()
    }))
    .await;
    let settings = MjpegSettings { every: Duration::from_millis(100), ..MjpegSettings::default() };
    let started = Instant::now();
    let camera = camera(source(server.url("/snapshot.jpg"), settings));
    let mut reader = camera.video().await.reader(Start::NewestKey);
    println!("published after {:?}", started.elapsed());
    for _ in 0..10 {
        timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap();
    }
    println!("10 pictures after {:?}, {} fetched", started.elapsed(), server.asked().len());
    assert!(server.asked().len() < 20 && started.elapsed() > Duration::from_millis(800));
}

/// What a camera sends, and the reason that viewers are told.
async fn fails(what: &str, server: &Server, reason: Reason) -> String {
    let Outcome { error, took } = run_until_failure(source(server.url("/"), MjpegSettings::default())).await;
    println!("{what}: {} in {took:?}: {error}", error.reason().word());
    assert_eq!(error.reason(), reason, "{what}: {error}");
    assert!(took < Duration::from_secs(5), "{what}");
    error.to_string()
}

async fn endless(head: &'static str, filling: &'static [u8], pause: Duration) -> Server {
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
    .await
}

const MULTIPART: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n--frame\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream_of_pictures_says_so_in_time() {
    let html = Server::always(ok("text/html; charset=utf-8", b"<html>login</html>")).await;
    assert!(fails("a page", &html, Reason::Protocol).await.contains("login"));
    let video = Server::always(ok("video/mp4", b"....")).await;
    assert!(fails("a video", &video, Reason::Protocol).await.contains("video/mp4"));
    let part = endless(MULTIPART, &[b'a'; 16_000], Duration::ZERO).await;
    assert!(fails("an endless part", &part, Reason::Protocol).await.contains("more than"));
    let drip = endless(MULTIPART, b"a", Duration::from_millis(20)).await;
    fails("a slow drip", &drip, Reason::TimedOut).await;
    let small = TestPattern::new(PictureSize::new(64, 48).unwrap(), "flood").unwrap();
    let small = JpegEncoder::new(Quality::new(1).unwrap()).encode(&small.draw(0, 0).unwrap()).unwrap();
    let flood = [&small[..], b"\r\n--frame\r\n\r\n"].concat().repeat(20).leak();
    let flood = endless(MULTIPART, flood, Duration::ZERO).await;
    let camera = camera(source(flood.url("/"), MjpegSettings::default()));
    let (mut reader, started) = (camera.video().await.reader(Start::NewestKey), Instant::now());
    let ends = async { while reader.next().await.is_ok() {} };
    timeout(Duration::from_secs(8), ends).await.expect("a flood of pictures ends");
    println!("a flood of pictures has ended after {:?}", started.elapsed());
    let ends = Server::always(MULTIPART).await;
    fails("an end", &ends, Reason::Ended).await;
    let gone = Server::always(crate::http::server::status("404 Not Found")).await;
    fails("not there", &gone, Reason::NotFound).await;
    let noise =
        endless(MULTIPART, b"\xFF\xD8noise\xFF\xD9\r\n--frame\r\n\r\n", Duration::from_millis(1)).await;
    assert!(fails("no JPEG", &noise, Reason::Codec).await.contains("no JPEG"));
}
