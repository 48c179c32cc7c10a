use super::*;
use crate::test_source::tests::{browser, hub, join};
use crate::worker::tests::eventually;
use patchbay_media::{
    AccessUnit, Codec, Kind,
    hub::{Mode, Reordering, StreamName, Wanted},
    ring::Start,
    track::Track,
};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A file made by the ffmpeg program: a moving picture of 320x240 at 30 fps, and a tone of 440 Hz.
pub(crate) fn make(folder: &TempDir, name: &str, seconds: &str, options: &[&str]) -> PathBuf {
    let path = folder.path().join(name);
    let video = format!("testsrc2=size=320x240:rate=30:duration={seconds}");
    let audio = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio])
        .args(options)
        .arg(&path)
        .output()
        .expect("these tests need the program ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

async fn next(reader: &mut patchbay_media::ring::Reader<AccessUnit>) -> AccessUnit {
    let read = tokio::time::timeout(Duration::from_secs(10), reader.next()).await.expect("a unit in time");
    read.unwrap().entry.item.clone()
}

/// Reads a track until it has played so many seconds; gives times of arrival too.
async fn collect(track: Arc<Track>, seconds: f64) -> Vec<(AccessUnit, Instant)> {
    let mut reader = track.reader(Start::NewestKey);
    let mut units: Vec<(AccessUnit, Instant)> = Vec::new();
    loop {
        let unit = next(&mut reader).await;
        let first = units.first().map_or(unit.dts, |(first, _)| first.dts);
        let played = unit.dts.since(first).as_secs_f64();
        units.push((unit, Instant::now()));
        if played >= seconds {
            return units;
        }
    }
}

const BASELINE: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-c:a", "aac"];

#[tokio::test(flavor = "multi_thread")]
async fn a_file_plays_in_a_loop_without_seams() {
    let folder = TempDir::new().unwrap();
    let plays = ["a.mp4", "a.mkv", "a.ts", "a.flv"].map(|name| (name, make(&folder, name, "1", BASELINE)));
    // All at once, because each takes its time.
    futures_util::future::join_all(plays.map(|(name, path)| async move {
        let hub = hub();
        let start = Instant::now();
        let wanted = Wanted { audio: vec![Codec::Aac], ..browser() };
        let stream = StreamName::parse("camera/file").unwrap();
        hub.add(stream.clone(), Arc::new(FileSource::new(path)), Mode::OnDemand).unwrap();
        let mut subscription = hub.subscribe(&stream, wanted).unwrap();
        let selected = subscription.tracks().await.unwrap();
        let opened = start.elapsed();
        let (video, audio) = (selected.video.unwrap(), selected.audio.unwrap());
        assert!(!video.info().reordered && !video.info().configuration.is_empty());
        assert_eq!((video.info().width, video.info().height), (320, 240));
        assert!(audio.info().configuration.len() >= 2, "an AudioSpecificConfig");
        let (video, audio) = tokio::join!(collect(Arc::clone(&video), 3.5), collect(audio, 3.5));
        let mut jitter = Vec::new();
        for units in [&video, &audio] {
            let (first, at) = &units[0];
            for pair in units.windows(2) {
                let gap = pair[1].0.dts.since(pair[0].0.dts);
                assert!(pair[1].0.dts > pair[0].0.dts && gap < Duration::from_millis(67), "{name}: {gap:?}");
            }
            // The first may have waited in the ring. The earliest of the others sets the clock.
            let late: Vec<f64> = units
                .iter()
                .skip(10)
                .map(|(unit, arrived)| {
                    let due = unit.dts.since(first.dts).as_secs_f64();
                    (arrived.duration_since(*at).as_secs_f64() - due) * 1e3
                })
                .collect();
            let earliest = late.iter().copied().fold(f64::MAX, f64::min);
            jitter.extend(late.iter().map(|late| late - earliest));
        }
        jitter.sort_by(f64::total_cmp);
        let (median, p99) = (jitter[jitter.len() / 2], jitter[jitter.len() * 99 / 100]);
        let keys = video.iter().filter(|(unit, _)| unit.key).count();
        println!(
            "{name}: open {opened:?}, {} pictures, {keys} key, jitter median {median:.2}, p99 {p99:.2} ms (goal 2 when idle)",
            video.len()
        );
        assert!(keys >= 4, "a key frame each round");
        assert!(median < 6.0, "the median, because other work on the machine moves the p99");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_passes_and_can_be_decoded() {
    let folder = TempDir::new().unwrap();
    for (name, codec, options) in [
        (
            "h265.mp4",
            Codec::H265,
            &["-c:v", "libx265", "-x265-params", "log-level=none:bframes=0", "-c:a", "aac"][..],
        ),
        ("vp8.webm", Codec::Vp8, &["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"]),
        (
            "vp9.webm",
            Codec::Vp9,
            &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
        ),
        (
            "av1.mkv",
            Codec::Av1,
            &["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-c:a", "libopus"],
        ),
        ("g711.mkv", Codec::H264, &["-c:v", "libx264", "-bf", "0", "-c:a", "pcm_mulaw", "-ar", "8000"]),
    ] {
        let path = make(&folder, name, "0.5", options);
        let hub = hub();
        let stream = StreamName::parse("camera/file").unwrap();
        hub.add(stream.clone(), Arc::new(FileSource::new(path)), Mode::OnDemand).unwrap();
        let mut subscription = hub.subscribe(&stream, Wanted::anything()).unwrap();
        let selected = subscription.tracks().await.unwrap();
        let (video, audio) = (selected.video.unwrap(), selected.audio.unwrap());
        assert_eq!(video.info().codec, codec);
        let mut pictures = crate::VideoDecoder::open(video.info()).unwrap();
        let mut sounds = crate::AudioDecoder::open(audio.info(), 48_000, 2).unwrap();
        let (mut shown, mut heard) = (0, 0);
        let (mut video_reader, mut audio_reader) =
            (video.reader(Start::NewestKey), audio.reader(Start::NewestKey));
        while shown < 20 {
            shown += pictures.decode(&next(&mut video_reader).await).unwrap().len();
        }
        while heard < 24_000 {
            let samples = sounds.decode(&next(&mut audio_reader).await).unwrap();
            heard += samples.iter().map(crate::Samples::moments).sum::<usize>();
        }
        println!(
            "{name}: {:?} and {:?}, {shown} pictures, {heard} moments",
            video.info().codec,
            audio.info().codec
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_out_of_order_are_told() {
    let folder = TempDir::new().unwrap();
    let options = &["-c:v", "libx264", "-bf", "2", "-preset", "medium", "-c:a", "aac"];
    let files = ["b.mp4", "b.ts", "b.mkv"].map(|name| (name, make(&folder, name, "1", options)));
    futures_util::future::join_all(files.map(|(name, path)| async move {
        let hub = hub();
        let stream = StreamName::parse("camera/file").unwrap();
        hub.add(stream.clone(), Arc::new(FileSource::new(path)), Mode::OnDemand).unwrap();
        let wanted = Wanted { video: vec![Codec::H264], reordered: Reordering::Allowed, ..Wanted::default() };
        let mut subscription = hub.subscribe(&stream, wanted).unwrap();
        let track = subscription.tracks().await.unwrap().video.unwrap();
        assert!(track.info().reordered, "{name}");
        let units = collect(track, 2.5).await;
        assert!(units.windows(2).all(|pair| pair[1].0.dts > pair[0].0.dts), "{name}");
        assert!(units.windows(2).any(|pair| pair[1].0.pts < pair[0].0.pts), "{name}");
    }))
    .await;
}

fn error(path: &Path) -> FileError {
    let start = Instant::now();
    let Err(error) = FileSource::new(path).check() else { panic!("{} was accepted", path.display()) };
    println!("{}: {error} (after {:?})", path.file_name().unwrap().to_string_lossy(), start.elapsed());
    assert!(start.elapsed() < FILE_TIMEOUT);
    error
}

#[test]
fn what_cannot_be_played_is_refused_in_words() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, data: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, data).unwrap();
        path
    };
    assert!(matches!(error(&folder.path().join("missing.mp4")), FileError::NotFound));
    assert!(matches!(error(folder.path()), FileError::NotAFile));
    assert!(matches!(error(&at("empty.mp4", b"")), FileError::Empty));
    let garbage: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(); // the high byte
    for name in ["garbage.mp4", "garbage.ts", "garbage.bin", "garbage.aac"] {
        error(&at(name, &garbage));
    }
    assert!(matches!(error(&at("zeros.mp4", &vec![0; 100_000])), FileError::Unknown));
    let list = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n";
    assert!(matches!(error(&at("list.m3u8", list)), FileError::Unknown));
    assert!(matches!(error(&at("concat.txt", b"ffconcat version 1.0\nfile x.mp4\n")), FileError::Unknown));
    let whole = std::fs::read(make(&folder, "whole.mp4", "1", BASELINE)).unwrap();
    assert!(matches!(error(&at("head.mp4", &whole[..2_000])), FileError::Unknown));
    let words = error(&make(&folder, "mpeg4.mp4", "1", &["-c:v", "mpeg4", "-an"])).to_string();
    assert!(words.contains("mpeg4") && words.contains("-c:v libx264"), "{words}");
    let words = error(&make(&folder, "ac3.mkv", "1", &["-c:v", "libx264", "-c:a", "ac3"])).to_string();
    assert!(words.contains("ac3") && words.contains("-c:a aac"), "{words}");
    let pipe = folder.path().join("pipe.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(matches!(error(&pipe), FileError::NotAFile));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_plays_as_far_as_it_goes() {
    let folder = TempDir::new().unwrap();
    let files = ["cut.ts", "cut.mkv", "cut.flv"].map(|name| (name, make(&folder, name, "2", BASELINE)));
    futures_util::future::join_all(files.map(|(name, path)| async move {
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let hub = hub();
        let (_subscription, selected) = join(&hub, Arc::new(FileSource::new(path))).await;
        let units = collect(selected.video.unwrap(), 2.5).await;
        assert!(units.windows(2).all(|pair| pair[1].0.dts > pair[0].0.dts), "{name}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_at_once_and_sound_alone_will_do() {
    let folder = TempDir::new().unwrap();
    let path = make(&folder, "sound.aac", "1", &["-vn", "-c:a", "aac"]);
    let hub = hub();
    let stream = StreamName::parse("camera/file").unwrap();
    hub.add(stream.clone(), Arc::new(FileSource::new(path)), Mode::OnDemand).unwrap();
    let mut subscription = hub.subscribe(&stream, Wanted::anything()).unwrap();
    let track = subscription.tracks().await.unwrap().audio.unwrap();
    assert_eq!((track.info().codec.kind(), track.info().clock_rate), (Kind::Audio, 48_000));
    assert!(!track.info().configuration.is_empty());
    collect(Arc::clone(&track), 2.2).await;
    let start = Instant::now();
    drop(subscription);
    eventually("the track has ended", || track.ring().has_ended()).await;
    assert!(start.elapsed() < Duration::from_millis(600));
}

/// Whatever is done to a file, it is refused or read to its end; nothing hangs or panics.
#[test]
fn damaged_files_are_refused_or_played() {
    let folder = TempDir::new().unwrap();
    let mut random = 1_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    for name in ["d.mp4", "d.mkv", "d.ts", "d.flv"] {
        let path = make(&folder, name, "0.3", BASELINE);
        let whole = std::fs::read(&path).unwrap();
        let (mut refused, mut played, mut slowest) = (0, 0, Duration::ZERO);
        for round in 0..40 {
            let mut data = whole.clone();
            if round % 4 == 0 {
                data.truncate(1 + next(whole.len()));
            }
            for _ in 0..=next(30) {
                let at = next(data.len());
                data[at] = u8::try_from(next(256)).unwrap();
            }
            std::fs::write(&path, data).unwrap();
            let start = Instant::now();
            match read_through(&path) {
                Ok(_) => played += 1,
                Err(_) => refused += 1,
            }
            slowest = slowest.max(start.elapsed());
        }
        println!("{name}: {played} played, {refused} refused, the slowest took {slowest:?}");
        assert!(slowest < FILE_TIMEOUT);
    }
}

fn read_through(path: &Path) -> Result<usize, FileError> {
    let mut rounds = rounds::Rounds::open(path, &Arc::default())?;
    let mut last = Vec::new();
    for count in 0..200 {
        let Some((track, unit)) = rounds.next()? else { return Ok(count) };
        last.resize(last.len().max(track + 1), None);
        assert!(last[track].is_none_or(|last| unit.dts > last), "time goes back");
        last[track] = Some(unit.dts);
    }
    Ok(200)
}

/// IVF has no place for what AV1 and VP8 say of themselves.
#[test]
fn ivf_is_played() {
    let folder = TempDir::new().unwrap();
    let av1 = &["-an", "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"];
    for (name, codec, options) in [
        ("av1.ivf", Codec::Av1, &av1[..]),
        ("vp8.ivf", Codec::Vp8, &["-an", "-c:v", "libvpx", "-deadline", "realtime"]),
    ] {
        let path = make(&folder, name, "0.5", options);
        let mut rounds = rounds::Rounds::open(&path, &Arc::default()).unwrap();
        let info = rounds.infos().remove(0);
        assert_eq!((info.codec, info.width, info.height), (codec, 320, 240));
        let mut decoder = crate::VideoDecoder::open(&info).unwrap();
        let mut shown = 0;
        for _ in 0..40 {
            shown += decoder.decode(&rounds.next().unwrap().unwrap().1).unwrap().len();
        }
        assert!(shown >= 35, "{name}: {shown} pictures, in more than one round");
    }
}

/// A unit that nobody could cut into packets is left out, and does not take the memory of those that can be played.
#[test]
fn a_picture_that_is_far_too_large_is_left_out() {
    let folder = TempDir::new().unwrap();
    let path = make(&folder, "large.ivf", "0.3", &["-an", "-c:v", "libvpx", "-deadline", "realtime"]);
    let mut file = std::fs::read(&path).unwrap();
    let size = patchbay_media::codec::nal::MAX_UNIT_BYTES + 1;
    file.extend(u32::try_from(size).unwrap().to_le_bytes());
    file.extend(9_u64.to_le_bytes());
    file.resize(file.len() + size, 1);
    std::fs::write(&path, file).unwrap();
    let mut rounds = rounds::Rounds::open(&path, &Arc::default()).unwrap();
    for _ in 0..20 {
        assert!(rounds.next().unwrap().unwrap().1.data.len() < 1_000_000);
    }
}

/// Two files put together, the second of which counts from the beginning again: both are played, sound beside pictures.
#[test]
fn a_file_that_counts_anew_plays_on() {
    let folder = TempDir::new().unwrap();
    let mut whole = std::fs::read(make(&folder, "one.ts", "2", BASELINE)).unwrap();
    whole.extend(std::fs::read(make(&folder, "two.ts", "3", &[BASELINE, &["-g", "10"]].concat())).unwrap());
    let path = folder.path().join("both.ts");
    std::fs::write(&path, whole).unwrap();
    let mut rounds = rounds::Rounds::open(&path, &Arc::default()).unwrap();
    let (mut last, mut keys) = ([None; 2], 0);
    while last[0].is_none_or(|last: patchbay_media::MediaTime| last.nanos() < 12_000_000_000) {
        let (track, unit) = rounds.next().unwrap().unwrap();
        let gap = last[track].map_or(Duration::ZERO, |last| unit.dts.since(last));
        assert!(gap < Duration::from_millis(150), "track {track} at {:?}: {gap:?}", unit.dts);
        last[track] = Some(unit.dts);
        keys += u32::from(track == 0 && unit.key && unit.dts.nanos() < 4_900_000_000);
        if let [Some(video), Some(audio)] = last {
            let apart = video.since(audio).max(audio.since(video));
            assert!(apart < Duration::from_millis(300), "{apart:?} at {:?}", unit.dts);
        }
    }
    assert_eq!(keys, 11, "two of the first part, nine of the second");
}
