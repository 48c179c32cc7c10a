use super::*;
use crate::{VideoDecoder, test_source::tests::hub};
use futures_util::FutureExt;
use patchbay_media::{
    AccessUnit, Codec,
    hub::{Hub, Mode, NotStarted, Reason, Reordering, Selected, Source, StreamName, Subscription, Wanted},
    ring::{Reader, Start},
};
use std::{collections::HashMap, io::Cursor, process::Command, sync::Arc, time::Instant};
use tempfile::TempDir;

/// Files by address.
#[derive(Clone, Default)]
struct Files(Arc<HashMap<String, Vec<u8>>>);

impl Opener for Files {
    fn open(&mut self, address: &str) -> Result<Opened, SourceError> {
        let found = self.0.get(address).cloned();
        let text = format!("{address} is not there");
        let bytes = found.ok_or_else(|| SourceError::temporary(text).because(Reason::NotFound))?;
        Ok(Opened { stream: Box::new(Cursor::new(bytes)), is_seekable: true })
    }
}

/// An input in a source that tries once.
struct Played {
    address: String,
    format: Option<&'static str>,
    files: Files,
}

impl Source for Played {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let settings = InputSettings {
            address: self.address.clone(),
            format: self.format,
            via: Via::Opener(Box::new(self.files.clone())),
            open_timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(2),
            live: LiveSettings::default(),
        };
        play_input(settings, publisher, stop).boxed()
    }
}

fn wanted() -> Wanted {
    let video = vec![Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];
    Wanted {
        video,
        audio: vec![Codec::Aac, Codec::Opus],
        reordered: Reordering::Allowed,
        ..crate::test_source::tests::browser()
    }
}

fn played(address: &str, format: Option<&'static str>, files: Vec<(&str, Vec<u8>)>) -> (Hub, Subscription) {
    let files = Files(Arc::new(files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()));
    let source = Played { address: address.to_owned(), format, files };
    let (hub, name) = (hub(), StreamName::parse("camera/input").unwrap());
    hub.add(name.clone(), Arc::new(source), Mode::OnDemand).unwrap();
    let subscription = hub.subscribe(&name, wanted()).unwrap();
    (hub, subscription)
}

async fn starts(subscription: &mut Subscription) -> Result<Selected, SourceError> {
    let started = tokio::time::timeout(Duration::from_secs(10), subscription.tracks_or_failure()).await;
    started.expect("starts or fails in time").map_err(|failure| match failure {
        NotStarted::Failed(error) => error,
        NotStarted::Ended(ended) => panic!("{ended}"),
    })
}

async fn next(reader: &mut Reader<AccessUnit>) -> AccessUnit {
    let read = tokio::time::timeout(Duration::from_secs(5), reader.next()).await.expect("a unit in time");
    read.unwrap().entry.item.clone()
}

/// A file made by the ffmpeg program, in whatever codecs.
fn made(name: &str, options: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    std::fs::read(crate::file::tests::make(&folder, name, "3", options)).unwrap()
}

const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-c:a", "aac"];

#[tokio::test(flavor = "multi_thread")]
async fn codecs_of_the_hub_pass_and_others_are_encoded() {
    for (name, options, codec) in [
        ("a.mp4", H264, Codec::H264),
        ("a.ts", H264, Codec::H264),
        ("a.flv", H264, Codec::H264),
        ("a.mkv", &["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"], Codec::Vp8),
        ("a.avi", &["-c:v", "mpeg4", "-c:a", "aac"], Codec::H264),
        ("a.mpg", &["-c:v", "mpeg2video", "-an"], Codec::H264),
        ("b.avi", &["-c:v", "mjpeg", "-an"], Codec::H264),
    ] {
        let bytes = made(name, options);
        let started = Instant::now();
        let (_hub, mut subscription) = played(name, None, vec![(name, bytes)]);
        let selected = starts(&mut subscription).await.unwrap();
        let opened = started.elapsed();
        let track = selected.video.unwrap();
        assert_eq!(
            (track.info().codec, track.info().width, track.info().height),
            (codec, 320, 240),
            "{name}"
        );
        let (mut decoder, mut reader) =
            (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
        let (mut shown, first) = (0, next(&mut reader).await);
        assert!(first.key, "{name}");
        let (began, mut unit) = (Instant::now(), first.clone());
        while shown < 40 {
            shown += decoder.decode(&unit).unwrap().len();
            unit = next(&mut reader).await;
        }
        let (played, took) = (unit.dts.since(first.dts), began.elapsed());
        println!("{name}: open after {opened:?}; {played:?} of media in {took:?}");
        assert!(took > played.mul_f64(0.6), "{name} is paced");
        if options.contains(&"aac") {
            assert!(!selected.audio.unwrap().info().configuration.is_empty(), "{name}");
        }
    }
}

/// Cuts a file into segments, with a playlist.
fn playlist(options: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder = TempDir::new().unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=6"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-hls_time", "1"])
        .args(["-hls_list_size", "0", "-hls_playlist_type", "vod"])
        .args(options)
        .arg(folder.path().join("list.m3u8"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
    let files = entries.map(|entry| {
        let name = format!("http://h/{}", entry.file_name().to_string_lossy());
        (name, std::fs::read(entry.path()).unwrap())
    });
    files.collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn playlists_are_played_across_segments() {
    for options in [&["-hls_segment_type", "mpegts"][..], &["-hls_segment_type", "fmp4"]] {
        let mut files = playlist(options);
        let main = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nlist.m3u8\n";
        files.push(("http://h/main.m3u8".to_owned(), main.into()));
        let started = Instant::now();
        let (_hub, mut subscription) = played("http://h/main.m3u8", Some("hls"), borrowed(&files));
        let track = starts(&mut subscription).await.unwrap().video.unwrap();
        let mut reader = track.reader(Start::NewestKey);
        let (opened, first) = (started.elapsed(), next(&mut reader).await);
        let (mut last, mut gap) = (first.clone(), Duration::ZERO);
        while last.dts.since(first.dts) < Duration::from_millis(2_500) {
            let unit = next(&mut reader).await;
            assert!(unit.dts > last.dts);
            gap = gap.max(unit.dts.since(last.dts));
            last = unit;
        }
        println!(
            "{options:?}: open after {opened:?}, 2.5 s after {:?}, longest gap {gap:?}",
            started.elapsed()
        );
        assert!(gap < Duration::from_millis(70));
    }
}

async fn fails(
    what: &str,
    address: &str,
    format: Option<&'static str>,
    files: Vec<(&str, Vec<u8>)>,
) -> SourceError {
    let started = Instant::now();
    let (_hub, mut subscription) = played(address, format, files);
    let error = starts(&mut subscription).await.expect_err(what);
    println!("{what}: {} in {:?}: {error}", error.reason().word(), started.elapsed());
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_playlists_reach_nothing_but_the_opener() {
    let segment = |address: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n").into_bytes()
    };
    for address in [
        "file:///etc/passwd",
        "/etc/passwd",
        "http://127.0.0.1:1/a.ts",
        "concat:/etc/passwd|/etc/passwd",
        "crypto:/etc/passwd",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "data:text/plain,abc",
    ] {
        let files = vec![("http://h/a.m3u8", segment(address))];
        fails(address, "http://h/a.m3u8", Some("hls"), files).await;
    }
    let keyed = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI=\"file:///etc/passwd\"\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n";
    fails("a key of a file", "http://h/a.m3u8", Some("hls"), vec![("http://h/a.m3u8", keyed.to_vec())]).await;
    // Each playlist leads to itself, as another quality.
    let nested = |next: &str| format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{next}\n").into_bytes();
    let names: Vec<String> = (0..500).map(|number| format!("http://h/{number}.m3u8")).collect();
    let files = names.windows(2).map(|pair| (pair[0].as_str(), nested(&pair[1]))).collect();
    let error = fails("playlists of playlists", "http://h/0.m3u8", Some("hls"), files).await;
    assert_eq!(error.reason(), Reason::Protocol);
    let empty = vec![("http://h/a.m3u8", b"#EXTM3U\n".to_vec())];
    fails("an empty playlist", "http://h/a.m3u8", Some("hls"), empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_media_says_so() {
    let error = fails("a page", "a", None, vec![("a", b"<html><body>login</body></html>".repeat(100))]).await;
    assert_eq!(error.reason(), Reason::Protocol);
    let error = fails("nothing there", "b", None, vec![]).await;
    assert_eq!(error.reason(), Reason::NotFound);
    fails("nothing in it", "a", None, vec![("a", Vec::new())]).await;
    let sound = made("a.wav", &["-vn", "-c:a", "pcm_s16le"]);
    let error = fails("PCM alone", "a.wav", None, vec![("a.wav", sound)]).await;
    assert_eq!(error.reason(), Reason::NoTracks);
}

#[tokio::test]
async fn rtsp_goes_to_loopback_alone() {
    for address in [
        "rtsp://example.com/",
        "rtsp://127.0.0.1.example.com:554/",
        "rtsp://127.0.0.1:99999/",
        "http://127.0.0.1:80/",
        "rtsp://127.0.0.1:5@example.com/",
    ] {
        let stop = Arc::default();
        let mut settings = InputSettings {
            address: address.to_owned(),
            format: None,
            via: Via::LoopbackRtsp,
            open_timeout: Duration::from_secs(1),
            stall_timeout: Duration::from_secs(1),
            live: LiveSettings::default(),
        };
        let error = open::open(&mut settings, &stop).err().expect(address);
        assert!(error.to_string().contains("127.0.0.1 alone"), "{address}: {error}");
    }
}

/// Opens, reads a while, and ends: for damaged files, which may do anything but harm.
fn survive(bytes: Vec<u8>) -> Duration {
    let started = Instant::now();
    let files = Files(Arc::new(HashMap::from([("a".to_owned(), bytes)])));
    let settings = InputSettings {
        address: "a".to_owned(),
        format: None,
        via: Via::Opener(Box::new(files)),
        open_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(2),
        live: LiveSettings::default(),
    };
    let (queue, health) = (queue::Queue::default(), patchbay_media::hub::Health::default());
    // More than 600 units would wait in the queue: the file has fewer.
    let error = read::read(settings, &queue, &health, &Arc::default());
    assert_ne!(error.to_string(), "", "ends with words");
    started.elapsed()
}

#[test]
fn damaged_files_never_harm() {
    let mut state = 11_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let short = &[
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "10",
        "-c:a",
        "aac",
        "-t",
        "0.4",
        "-s",
        "64x48",
    ];
    let mpeg4 = &["-c:v", "mpeg4", "-an", "-t", "0.4", "-s", "64x48"];
    for (name, options) in
        [("a.mp4", &short[..]), ("a.ts", short), ("a.mkv", short), ("a.flv", short), ("a.avi", mpeg4)]
    {
        let good = made(name, options);
        let (started, mut longest) = (Instant::now(), Duration::ZERO);
        for _ in 0..400 {
            let mut bytes = good.clone();
            if random(4) == 0 {
                bytes.truncate(1 + random(bytes.len() - 1));
            }
            for _ in 0..=random(12) {
                let place = random(bytes.len());
                bytes[place] = u8::try_from(random(256)).unwrap();
            }
            longest = longest.max(survive(bytes));
        }
        println!("{name}: 400 damaged in {:?}, longest {longest:?}", started.elapsed());
        assert!(longest < Duration::from_secs(5), "{name}");
    }
}

fn atom(kind: &str, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&length[..], kind.as_bytes(), body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A track that says of itself that it has so many pictures of one byte each, in a few hundred bytes.
fn boastful_track(pictures: u32) -> Vec<u8> {
    let sample = [&words(&[0, 1])[..], &[0; 16], &[0, 64, 0, 48], &[0; 46], &[0, 24, 0xff, 0xff]].concat();
    let description = [words(&[0, 1]), atom("mp4v", &sample)].concat();
    let table = [
        atom("stsd", &description),
        atom("stts", &words(&[0, 1, pictures, 1])),
        atom("stsc", &words(&[0, 1, 1, pictures, 1])),
        atom("stsz", &words(&[0, 1, pictures])),
        atom("stco", &words(&[0, 1, 0])),
    ];
    let media = [
        atom("mdhd", &words(&[0, 0, 0, 25, pictures, 0])),
        atom("hdlr", &[&[0; 8][..], b"vide", &[0; 13]].concat()),
        atom("minf", &atom("stbl", &table.concat())),
    ];
    atom("trak", &atom("mdia", &media.concat()))
}

/// The most memory that this process has ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// A small file may ask for tables of gigabytes, for each of a thousand tracks.
#[test]
fn a_boastful_file_takes_little_memory() {
    let before = peak();
    for (tracks, pictures) in [(1, 80_000_000), (3, 60_000_000), (200, 3_000_000)] {
        let movie = boastful_track(pictures).repeat(tracks);
        let bytes = [atom("ftyp", b"isom\0\0\0\0"), atom("moov", &movie), atom("mdat", &[0; 64])].concat();
        let (size, took) = (bytes.len(), survive(bytes));
        let grown = peak() - before;
        println!("{tracks} tracks of {pictures} pictures in {size} bytes: {grown} MiB in {took:?}");
        assert!(grown < 1_100, "{grown} MiB");
    }
}

/// Two recordings in one stream: the clock goes back at the seam, and the pictures have another size after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_seam_moves_no_time_back_and_another_size_is_published_anew() {
    let small = made("a.ts", &[H264, &["-t", "1.5"]].concat());
    let large = made("b.ts", &[H264, &["-t", "1.5", "-s", "640x480"]].concat());
    let started = Instant::now();
    let (hub, mut subscription) = played("a", None, vec![("a", [small, large].concat())]);
    let first = starts(&mut subscription).await.unwrap().video.unwrap();
    let mut reader = first.reader(Start::NewestKey);
    let mut last = None;
    while let Ok(read) = tokio::time::timeout(Duration::from_secs(5), reader.next()).await.expect("in time") {
        let dts = read.entry.item.dts;
        assert!(last.is_none_or(|last| dts > last), "{dts:?} after {last:?}");
        last = Some(dts);
    }
    let second = starts(&mut subscription).await.unwrap().video.unwrap();
    let unit = next(&mut second.reader(Start::NewestKey)).await;
    let health = hub.health(&StreamName::parse("camera/input").unwrap());
    println!(
        "from {:?} to {:?} after {:?}: {health:?}",
        first.info().width,
        second.info().width,
        started.elapsed()
    );
    assert_eq!((first.info().width, second.info().width), (320, 640));
    assert!(last.is_some_and(|last| unit.dts > last && unit.dts.since(last) < Duration::from_secs(1)));
}
