//! Opens and reads, on the thread that may hang.

use super::{OpenCvSettings, beat::Pulse, target::Target};
use ::opencv::{
    core::{CV_8UC3, Mat, MatTraitConst, MatTraitConstManual, Vector},
    videoio::{
        CAP_FFMPEG, CAP_PROP_FPS, CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_READ_TIMEOUT_MSEC, CAP_V4L2,
        VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst,
    },
};
use patchbay_av::{PictureSender, RawFormat, RawPictures, Shot};
use patchbay_media::hub::{Publisher, Reason, SourceError};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Pictures a second of a file that does not tell.
const USUAL_RATE: f64 = 25.0;

/// Reads until told to end, until nobody takes the pictures, or until there are no more.
pub(super) fn run(
    target: &Target,
    settings: &OpenCvSettings,
    sender: &PictureSender,
    publisher: &Publisher,
    pulse: &Pulse,
) -> Result<(), SourceError> {
    if !pulse.begins(settings.open_timeout) {
        return Ok(());
    }
    let mut capture = open(target, settings)?;
    let (mut pictures, mut mat) = (RawPictures::new(), Mat::default());
    let mut pace = matches!(target, Target::File(_)).then(|| Pace::new(&capture));
    let mut has_any = false;
    while pulse.begins(settings.read_timeout) {
        let is_read = capture.read(&mut mat).map_err(|error| inside(&error))?;
        if !is_read || mat.empty() {
            return Err(ended(has_any));
        }
        has_any = true;
        if let Some(pace) = &mut pace {
            pace.wait();
        }
        let Some(picture) = picture(&mut pictures, &mat) else {
            publisher.health().discard();
            continue;
        };
        if !sender.send(Shot::Picture(picture)) {
            return Ok(());
        }
    }
    Ok(())
}

fn open(target: &Target, settings: &OpenCvSettings) -> Result<VideoCapture, SourceError> {
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let timeouts = Vector::from_slice(&[
        CAP_PROP_OPEN_TIMEOUT_MSEC,
        millis(settings.open_timeout),
        CAP_PROP_READ_TIMEOUT_MSEC,
        millis(settings.read_timeout),
    ]);
    let capture = match target {
        Target::File(text) | Target::Address(text) => {
            VideoCapture::from_file_with_params(text, CAP_FFMPEG, &timeouts)
        }
        Target::Device(number) => VideoCapture::new(*number, CAP_V4L2),
    };
    let capture = capture.map_err(|error| inside(&error))?;
    if capture.is_opened().map_err(|error| inside(&error))? {
        return Ok(capture);
    }
    let (text, reason) = match target {
        Target::Device(_) => ("OpenCV cannot open the device: is it there, and free?", Reason::Device),
        Target::File(_) => {
            ("OpenCV cannot open the file: it is no video that it knows, or it is damaged", Reason::Codec)
        }
        Target::Address(_) => (
            "OpenCV cannot open the address, and does not say why: look at its path, its login, and whether it answers in time",
            Reason::Protocol,
        ),
    };
    Err(SourceError::temporary(text).because(reason))
}

/// What `OpenCV` says of itself; its words may hold the address, and go nowhere.
fn inside(error: &::opencv::Error) -> SourceError {
    SourceError::temporary(format!("OpenCV has failed (its code is {})", error.code))
}

fn ended(has_any: bool) -> SourceError {
    let text = if has_any {
        "the source has ended, or has sent nothing in time"
    } else {
        "no picture comes of the source"
    };
    SourceError::temporary(text).because(if has_any { Reason::Ended } else { Reason::NoTracks })
}

fn picture(pictures: &mut RawPictures, mat: &Mat) -> Option<patchbay_av::Picture> {
    if mat.typ() != CV_8UC3 || !mat.is_continuous() {
        return None;
    }
    let (width, height) = (u32::try_from(mat.cols()).ok()?, u32::try_from(mat.rows()).ok()?);
    pictures.picture(RawFormat::Bgr24, width, height, 0, mat.data_bytes().ok()?).ok()
}

/// Gives out a file's pictures in real time.
struct Pace {
    next: Instant,
    step: Duration,
}

impl Pace {
    fn new(capture: &VideoCapture) -> Self {
        let told = capture.get(CAP_PROP_FPS).unwrap_or(0.0);
        let rate = if (1.0..=240.0).contains(&told) { told } else { USUAL_RATE };
        Self { next: Instant::now(), step: Duration::from_secs_f64(1.0 / rate) }
    }

    fn wait(&mut self) {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = (self.next + self.step).max(Instant::now());
    }
}
