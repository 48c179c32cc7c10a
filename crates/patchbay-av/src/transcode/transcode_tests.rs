use super::*;
use crate::{
    AudioDecoder, FileSource, Samples, Sound, TestSettings, TestSource, VideoDecoder, file::tests::make,
    test_source::tests::hub, worker::tests::eventually,
};
use patchbay_media::{
    hub::{How, Hub, Limit, Mode, Reordering, Selected, StreamName, Subscription, Wanted},
    ring::Start,
};
use std::time::Instant;
use tempfile::TempDir;

async fn join(hub: &Hub, source: Arc<dyn Source>, wanted: Wanted) -> (Subscription, Selected) {
    let name = StreamName::parse("camera/one").unwrap();
    hub.add(name.clone(), source, Mode::OnDemand).unwrap();
    hub.transcode_with(Arc::new(AvTranscoders::new(TranscodeSettings::default()).unwrap()));
    let mut subscription = hub.subscribe(&name, wanted).unwrap();
    let selected =
        tokio::time::timeout(Duration::from_secs(10), subscription.tracks()).await.unwrap().unwrap();
    (subscription, selected)
}

fn browser() -> Wanted {
    Wanted {
        video: vec![Codec::H264, Codec::Vp8],
        audio: vec![Codec::Opus],
        reordered: Reordering::NotAllowed,
        limit: None,
    }
}

async fn units(track: &Arc<Track>, count: usize) -> Vec<AccessUnit> {
    let mut reader = track.reader(Start::NewestKey);
    let mut units = Vec::new();
    while units.len() < count {
        let read =
            tokio::time::timeout(Duration::from_secs(10), reader.next()).await.expect("a unit in time");
        units.push(read.unwrap().entry.item.clone());
    }
    units
}

/// Everything that a browser cannot take becomes baseline H.264 in order, and Opus of the same level.
#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_what_they_take() {
    let folder = TempDir::new().unwrap();
    for (name, options) in [
        ("bframes.mp4", &["-c:v", "libx264", "-bf", "2", "-preset", "medium", "-c:a", "aac"][..]),
        ("h265.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "aac"]),
        (
            "vp9.mkv",
            &[
                "-c:v",
                "libvpx-vp9",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
                "-c:a",
                "pcm_alaw",
                "-ar",
                "8000",
            ],
        ),
    ] {
        let path = make(&folder, name, "2", options);
        let (hub, start) = (hub(), Instant::now());
        let (subscription, selected) = join(&hub, Arc::new(FileSource::new(path)), browser()).await;
        println!("{name}: {:?} after {:?}", selected.how, start.elapsed());
        assert!(selected.how.iter().all(|how| matches!(how, How::Transcoded { .. })));
        let (video, audio) = (selected.video.unwrap(), selected.audio.unwrap());
        assert_eq!(
            (video.info().codec, video.info().reordered, video.info().width),
            (Codec::H264, false, 320)
        );
        assert_eq!(&video.info().configuration[5..6], &[66], "profile_idc of Baseline");
        let (pictures, sound) = tokio::join!(units(&video, 45), units(&audio, 75));
        assert!(pictures.windows(2).all(|pair| pair[1].pts > pair[0].pts));
        assert!(pictures.iter().all(|unit| unit.pts == unit.dts));
        let mut decoder = VideoDecoder::open(video.info()).unwrap();
        let shown: usize = pictures.iter().map(|unit| decoder.decode(unit).unwrap().len()).sum();
        assert_eq!(shown, 45);
        let level = level(audio.info(), &sound);
        println!("{name}: level {level:.2} dB");
        // The program ffmpeg makes its tone at an eighth of full scale: -21.07 dB.
        assert!((level + 21.07).abs() < 1.0);
        video.request_key_frame();
        let mut reader = video.reader(Start::NextKey);
        let asked = Instant::now();
        reader.next().await.unwrap();
        println!("{name}: a key frame {:?} after it was asked for", asked.elapsed());
        assert!(asked.elapsed() < Duration::from_millis(600));
        drop(subscription);
        eventually("the transcoder has stopped", || video.ring().has_ended()).await;
    }
}

fn level(info: &patchbay_media::track::TrackInfo, units: &[AccessUnit]) -> f64 {
    let mut decoder = AudioDecoder::open(info, 48_000, info.channels).unwrap();
    let samples = units.iter().flat_map(|unit| decoder.decode(unit).unwrap());
    // The first of them swell.
    let data: Vec<i16> = samples.skip(5).flat_map(|samples| samples.data).collect();
    Samples { rate: 48_000, channels: info.channels, pts: patchbay_media::MediaTime::ZERO, data }.level_db()
}

/// A rendition has the height and the bit rate that were asked for, the times of its source, and key frames often enough for who gets nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_keeps_to_its_limit() {
    let size = crate::PictureSize::new(640, 360).unwrap();
    let settings = TestSettings { sound: Sound::None, noise: 20, ..TestSettings::new("test", size) };
    let source = TestSource::new(settings, Arc::new(|| 1_795_413_053_042)).unwrap();
    let hub = hub();
    let limit = Limit { height: 180, bit_rate: 150_000 };
    let wanted = Wanted { video: vec![Codec::H264], limit: Some(limit), ..Wanted::default() };
    let (_subscription, selected) = join(&hub, Arc::new(source), wanted).await;
    let How::Transcoded { why, .. } = &selected.how[0] else { panic!("{:?}", selected.how) };
    assert_eq!(why, "a smaller picture for viewers with little bandwidth");
    let video = selected.video.unwrap();
    assert_eq!((video.info().width, video.info().height), (320, 180));
    let pictures = units(&video, 200).await;
    let keys = pictures.iter().filter(|unit| unit.key).map(|unit| unit.pts).collect::<Vec<_>>();
    let time = pictures[199].pts.since(pictures[60].pts);
    let bits = pictures[60..199].iter().map(|unit| unit.data.len() * 8).sum::<usize>();
    let rate = bits as u128 * 1_000 / time.as_millis();
    let largest = pictures[60..].iter().map(|unit| unit.data.len()).max().unwrap();
    println!("{rate} bit/s, {} key frames of {} pictures, the largest of {largest} bytes", keys.len(), 200);
    assert!(rate < 180_000, "{rate}");
    assert!(keys.windows(2).all(|pair| pair[1].since(pair[0]) <= Duration::from_millis(2_200)), "{keys:?}");
    let mut reader = video.reader(Start::Next);
    let (mut asked, mut bits) = (Vec::new(), 0);
    for _ in 0..100 {
        video.request_key_frame();
        let read = tokio::time::timeout(Duration::from_secs(10), reader.next())
            .await
            .expect("a unit in time")
            .unwrap();
        bits += read.entry.item.data.len() * 8;
        asked.extend(read.entry.item.key.then_some(read.entry.item.pts));
    }
    println!("{bits} bits and {} key frames of 100 pictures, asked for with each", asked.len());
    assert!(
        asked.len() > 3 && asked.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_millis(490))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_becomes_aac_and_h264_becomes_vp8() {
    let size = crate::PictureSize::new(320, 240).unwrap();
    let source = TestSource::new(TestSettings::new("test", size), Arc::new(|| 1_795_413_053_042)).unwrap();
    let hub = hub();
    let wanted = Wanted { video: vec![Codec::Vp8], audio: vec![Codec::Aac], ..browser() };
    let (_subscription, selected) = join(&hub, Arc::new(source), wanted).await;
    let (video, audio) = (selected.video.unwrap(), selected.audio.unwrap());
    assert_eq!((video.info().codec, audio.info().codec), (Codec::Vp8, Codec::Aac));
    let (pictures, sound) = tokio::join!(units(&video, 30), units(&audio, 90));
    let mut decoder = VideoDecoder::open(video.info()).unwrap();
    assert_eq!(pictures.iter().map(|unit| decoder.decode(unit).unwrap().len()).sum::<usize>(), 30);
    let level = level(audio.info(), &sound);
    println!("level {level:.2} dB");
    assert!((-30.0..-24.0).contains(&level));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cached_group_is_caught_up_without_encoding_it() {
    let folder = TempDir::new().unwrap();
    let options = &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=600:bframes=0", "-an"];
    let path = make(&folder, "long.mp4", "20", options);
    let hub = hub();
    let wanted = Wanted { video: vec![Codec::H265], ..Wanted::default() };
    let name = StreamName::parse("camera/one").unwrap();
    let (_plain, selected) = join(&hub, Arc::new(FileSource::new(path)), wanted).await;
    let source = selected.video.unwrap();
    units(&source, 90).await;
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let start = Instant::now();
    let made = subscription.tracks().await.unwrap().video.unwrap();
    let first = units(&made, 1).await.remove(0);
    let behind = source.ring().newest().unwrap().item.pts.since(first.pts);
    println!("first picture after {:?}, {behind:?} behind the source", start.elapsed());
    assert!(first.key && behind < Duration::from_millis(900));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_can_be_made_is_offered() {
    let size = crate::PictureSize::new(320, 240).unwrap();
    let source = TestSource::new(TestSettings::new("test", size), Arc::new(|| 0)).unwrap();
    let hub = hub();
    let (_subscription, selected) = join(&hub, Arc::new(source), browser()).await;
    let video = selected.video.unwrap();
    let transcoders = AvTranscoders::new(TranscodeSettings::default()).unwrap();
    for codec in Codec::ALL {
        let offered = transcoders.transcoder(&video, Target::of(codec)).is_some();
        assert_eq!(offered, [Codec::H264, Codec::Vp8].contains(&codec), "{codec:?}");
    }
    assert!(AvTranscoders::new(TranscodeSettings { video_bitrate: Some(1), ..Default::default() }).is_err());
    assert!(AvTranscoders::new(TranscodeSettings { audio_bitrate: 1, ..Default::default() }).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_of_another_rate_comes_in_even_steps() {
    let folder = TempDir::new().unwrap();
    let options = &["-c:v", "libx264", "-bf", "0", "-c:a", "aac", "-ar", "44100"];
    let path = make(&folder, "44100.mp4", "5", options);
    let hub = hub();
    let (_subscription, selected) = join(&hub, Arc::new(FileSource::new(path)), browser()).await;
    let audio = selected.audio.unwrap();
    let sound = units(&audio, 150).await;
    let uneven =
        sound.windows(2).filter(|pair| pair[1].pts.since(pair[0].pts) != Duration::from_millis(20)).count();
    let level = level(audio.info(), &sound);
    println!("{uneven} uneven steps, level {level:.2} dB");
    assert!(uneven == 0 && (level + 21.07).abs() < 1.5);
}

/// Writes a picture of one size, and one of another size when told to.
struct TwoSizes {
    go_on: tokio::sync::Notify,
}

impl Source for TwoSizes {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let mut writer = None;
            for (number, width) in [(0, 320), (1, 640)] {
                let size = crate::PictureSize::new(width, 240)?;
                let mut encoder =
                    crate::VideoEncoder::open(VideoSettings::h264(patchbay_media::TrackId(0), size, 30))?;
                let picture = crate::Picture::black(size)?;
                let pts = patchbay_media::MediaTime::from_ticks(number, 30);
                let unit = encoder.encode(&picture, pts, crate::KeyFrame::Now)?.unwrap();
                if writer.is_none() {
                    let track = (encoder.info(), patchbay_media::track::KeyFrames::AsTheyCome);
                    writer = publisher.publish(vec![track])?.pop();
                }
                writer.as_mut().unwrap().write(unit);
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = self.go_on.notified() => {}
                }
            }
            stop.cancelled().await;
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_size_makes_another_generation() {
    let (hub, source) = (hub(), Arc::new(TwoSizes { go_on: tokio::sync::Notify::new() }));
    let wanted = Wanted { video: vec![Codec::Vp8], ..Wanted::default() };
    let (mut subscription, selected) = join(&hub, Arc::clone(&source) as Arc<dyn Source>, wanted).await;
    let first = selected.video.unwrap();
    assert_eq!(first.info().width, 320);
    source.go_on.notify_one();
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.tracks()).await.unwrap().unwrap();
    let second = next.video.unwrap();
    assert_eq!((second.info().codec, second.info().width), (Codec::Vp8, 640));
    assert!(units(&second, 1).await[0].key);
}

/// Gives the writer of its track away.
struct ByHand {
    info: patchbay_media::track::TrackInfo,
    writer: tokio::sync::mpsc::Sender<patchbay_media::track::TrackWriter>,
}

impl Source for ByHand {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            let tracks = vec![(self.info.clone(), patchbay_media::track::KeyFrames::AsTheyCome)];
            self.writer.try_send(publisher.publish(tracks)?.remove(0)).unwrap();
            stop.cancelled().await;
            Ok(())
        }
        .boxed()
    }
}

/// A track of six pictures a second has its key frames as often as one of thirty.
#[tokio::test(flavor = "multi_thread")]
async fn key_frames_come_in_time_however_few_pictures_there_are() {
    let size = crate::PictureSize::new(320, 240).unwrap();
    let input = VideoSettings::h264(patchbay_media::TrackId(0), size, 30);
    let mut encoder = crate::VideoEncoder::open(VideoSettings { codec: Codec::Vp8, ..input }).unwrap();
    let (sender, mut writers) = tokio::sync::mpsc::channel(1);
    let (hub, name) = (hub(), StreamName::parse("camera/one").unwrap());
    hub.add(name.clone(), Arc::new(ByHand { info: encoder.info(), writer: sender }), Mode::OnDemand).unwrap();
    let settings =
        TranscodeSettings { key_frame_interval: Duration::from_secs(1), ..TranscodeSettings::default() };
    hub.transcode_with(Arc::new(AvTranscoders::new(settings).unwrap()));
    let wanted = Wanted { video: vec![Codec::H264], ..Wanted::default() };
    let mut subscription = hub.subscribe(&name, wanted).unwrap();
    let mut writer = writers.recv().await.unwrap();
    let picture = crate::Picture::black(size).unwrap();
    let (mut reader, mut keys) = (None, Vec::new());
    for number in 0..36 {
        let pts = patchbay_media::MediaTime::from_ticks(number, 6);
        let unit = encoder.encode(&picture, pts, crate::KeyFrame::AsDue).unwrap().unwrap();
        writer.write(unit);
        if reader.is_none() {
            let made = subscription.tracks().await.unwrap().video.unwrap();
            reader = Some(made.reader(Start::NewestKey));
        }
        let read = tokio::time::timeout(Duration::from_secs(10), reader.as_mut().unwrap().next());
        let made = read.await.expect("a unit a picture").unwrap();
        if made.entry.item.key {
            keys.push(made.entry.item.pts);
        }
    }
    println!("key frames at {keys:?}");
    let gaps: Vec<_> = keys.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.len() >= 4 && gaps.iter().all(|gap| *gap <= Duration::from_millis(1_200)), "{gaps:?}");
}
