use super::{capture::Frames, *};
use crate::testing::{camera, run_until_failure};
use parking_lot::Mutex;
use patchbay_av::{KeyFrame, PictureSize, TestPattern, TimeCode, VideoDecoder, VideoEncoder, VideoSettings};
use patchbay_media::{
    MediaTime, TrackId,
    codec::nal,
    hub::{Again, Reason},
    ring::Start,
};
use std::{io, path::Path, time::Instant};
use v4l::{Format, FourCC};

#[test]
fn only_video_devices_have_names() {
    for text in ["/dev/video0", "/dev/video7", "/dev/video12", "/dev/video999"] {
        assert_eq!(text.parse::<DevicePath>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "video0",
        "/dev/video",
        "/dev/video01",
        "/dev/video1000",
        "/dev/video0/../sda",
        "/dev/video+1",
        "/dev/video0\0",
        "/dev/video 0",
        "/dev/v4l/by-id/x",
        "/etc/passwd",
        "/dev/video٣",
    ] {
        assert!(text.parse::<DevicePath>().is_err(), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_says_so() {
    let number = (900..999).find(|number| !Path::new(&format!("/dev/video{number}")).exists()).unwrap();
    let path = format!("/dev/video{number}").parse().unwrap();
    let outcome = run_until_failure(Arc::new(DeviceSource::new(DeviceSettings::new(path)))).await;
    println!("not there: {} in {:?}: {}", outcome.error.reason().word(), outcome.took, outcome.error);
    assert_eq!((outcome.error.reason(), outcome.error.again()), (Reason::Device, Again::Yes));
    assert!(outcome.took < Duration::from_secs(1));
}

#[test]
fn what_is_no_camera_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path(), Path::new("/dev/null")] {
        let error = SourceError::from(capture::open(path).err().expect("no camera"));
        println!("{}: {}: {error}", path.display(), error.reason().word());
        assert_eq!((error.reason(), error.again()), (Reason::Device, Again::No));
    }
}

#[test]
fn what_the_system_says_is_told_in_words() {
    let of = |error: io::Error| DeviceError::of("/dev/video0", "opening", error).to_string();
    assert!(of(io::ErrorKind::PermissionDenied.into()).contains("group"));
    assert!(of(io::Error::from_raw_os_error(16)).contains("in use"));
    assert!(of(io::Error::from_raw_os_error(19)).contains("pulled out"));
    assert!(of(io::Error::from_raw_os_error(5)).contains("opening failed"));
}

#[test]
fn listing_devices_never_fails() {
    println!("{:?}", devices());
}

/// A device without a device: what would come from one is put in.
struct Fed {
    format: DeviceFormat,
    told: Format,
    frames: Mutex<Vec<Vec<u8>>>,
}

impl Source for Fed {
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        let (sender, pictures) = LivePictures::new(LiveSettings::default());
        let mut encoding = pictures.run(publisher.clone(), stop.clone());
        let feeding = worker::run("av-device", stop, move |stop| {
            let mut frames = Frames::new(self.format, &self.told, publisher, sender);
            for bytes in std::mem::take(&mut *self.frames.lock()) {
                frames.take(&bytes)?;
                if stop.wait_until(Instant::now() + Duration::from_millis(20)) {
                    break;
                }
            }
            // As a device whose pictures are at an end, and which is still there.
            stop.wait_until(Instant::now() + Duration::from_secs(10));
            Ok(())
        });
        async move {
            let (fed, encoded) = tokio::join!(feeding, &mut encoding);
            fed.and(encoded)
        }
        .boxed()
    }
}

const WIDTH: u16 = 640;
const HEIGHT: u16 = 480;

/// What a device would give of the test pictures.
fn pictures(format: DeviceFormat, many: u64) -> Vec<Vec<u8>> {
    let size = PictureSize::new(u32::from(WIDTH), u32::from(HEIGHT)).unwrap();
    let pattern = TestPattern::new(size, "device").unwrap();
    let mut encoder = VideoEncoder::open(VideoSettings::h264(TrackId(0), size, 30)).unwrap();
    let mut jpeg = patchbay_av::JpegEncoder::new(patchbay_av::Quality::new(80).unwrap());
    (0..many)
        .map(|number| {
            let picture = pattern.draw(1_795_413_053_042, number).unwrap();
            let pts = MediaTime::from_ticks(i64::try_from(number).unwrap(), 30);
            match format {
                DeviceFormat::H264 => {
                    let unit = encoder.encode(&picture, pts, KeyFrame::AsDue).unwrap().unwrap();
                    nal::to_annex_b(&unit.data).unwrap().to_vec()
                }
                DeviceFormat::Jpeg => jpeg.encode(&picture).unwrap().to_vec(),
                DeviceFormat::Nv12 | DeviceFormat::Yuyv => pixels(&picture, format),
            }
        })
        .collect()
}

fn pixels(picture: &patchbay_av::Picture, format: DeviceFormat) -> Vec<u8> {
    use patchbay_av::Plane;
    let (mut bytes, half) = (Vec::new(), usize::from(WIDTH) / 2);
    let row = |plane: Plane, row: usize, width: usize| {
        &picture.plane(plane)[row * picture.stride(plane)..][..width]
    };
    let pairs = |line: usize| row(Plane::U, line, half).iter().zip(row(Plane::V, line, half));
    if format == DeviceFormat::Nv12 {
        for line in 0..usize::from(HEIGHT) {
            bytes.extend(row(Plane::Y, line, usize::from(WIDTH)));
        }
        for line in 0..usize::from(HEIGHT) / 2 {
            bytes.extend(pairs(line).flat_map(|(u, v)| [*u, *v]));
        }
        return bytes;
    }
    for line in 0..usize::from(HEIGHT) {
        let light = row(Plane::Y, line, usize::from(WIDTH)).chunks(2);
        bytes.extend(light.zip(pairs(line / 2)).flat_map(|(y, (u, v))| [y[0], *u, y[1], *v]));
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_of_a_device_becomes_a_track() {
    for format in DeviceFormat::ALL {
        let told = Format::new(u32::from(WIDTH), u32::from(HEIGHT), FourCC::new(format.codes()[0]));
        let mut frames = pictures(format, 40);
        // Something damaged between the good ones.
        frames.insert(20, vec![0xFF; 50]);
        let started = Instant::now();
        let camera = camera(Arc::new(Fed { format, told, frames: Mutex::new(frames) }));
        let track = camera.video().await;
        assert_eq!((track.info().width, track.info().height), (WIDTH, HEIGHT), "{format:?}");
        let (mut decoder, mut reader) =
            (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
        let (mut shown, opened) = (Vec::new(), started.elapsed());
        while shown.last().is_none_or(|number| *number < 39) {
            let read = tokio::time::timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap();
            let picture = decoder.decode(&read.entry.item).unwrap().pop().unwrap().picture;
            shown.push(TimeCode::read(&picture).unwrap().number);
        }
        println!(
            "{format:?}: published after {opened:?}, {} pictures after {:?}",
            shown.len(),
            started.elapsed()
        );
        assert!(shown.is_sorted() && shown.len() >= 35, "{format:?}: {shown:?}");
    }
}
