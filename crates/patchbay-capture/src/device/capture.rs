//! Reads a device, on the thread of its own.

use super::{DeviceError, DeviceFormat, DeviceSettings, error::ASKING, list::formats};
use bytes::Bytes;
use patchbay_av::{PictureSender, RawFormat, RawPictures, Shot, worker::Stop};
use patchbay_media::{
    AccessUnit, Codec, MediaTime, TrackId,
    codec::{Normalised, nal, parameter_sets::ParameterSets},
    hub::Publisher,
    track::{KeyFrames, TrackInfo, TrackWriter},
};
use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};
use v4l::{
    Device, Format, FourCC,
    buffer::{Flags as BufferFlags, Type},
    capability::Flags as Capability,
    io::{
        mmap::Stream,
        traits::{CaptureStream, Stream as _},
    },
    video::{Capture, capture::Parameters},
};

/// Buffers that the device fills by turns.
const BUFFERS: u32 = 4;
/// How often the thread looks whether it shall stop, in milliseconds.
const LOOK: i32 = 200;
/// `POLLIN`: there is something to read.
const READABLE: i16 = 1;

/// Opens a device and makes sure that it is a camera; gives its name too.
pub(super) fn open(path: &Path) -> Result<(Device, String), DeviceError> {
    let shown = path.display().to_string();
    let device = Device::with_path(path).map_err(|error| DeviceError::of(&shown, "opening", error))?;
    let told = device.query_caps().map_err(|error| DeviceError::of(&shown, ASKING, error))?;
    if !told.capabilities.contains(Capability::VIDEO_CAPTURE | Capability::STREAMING) {
        return Err(DeviceError::NotACamera(shown));
    }
    Ok((device, told.card.chars().filter(|sign| !sign.is_control()).take(64).collect()))
}

/// Reads until told to stop, until nobody takes the pictures, or until the device fails.
pub(super) fn run(
    settings: &DeviceSettings,
    publisher: &Publisher,
    sender: PictureSender,
    stop: &Stop,
) -> Result<(), DeviceError> {
    let shown = settings.path.to_string();
    let (device, _) = open(settings.path.as_path())?;
    let (format, told) = set(&device, settings)?;
    let failed = |action| {
        let shown = shown.clone();
        move |error| DeviceError::of(&shown, action, error)
    };
    let mut stream =
        Stream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(failed("taking its buffers"))?;
    stream.set_timeout(settings.stall_timeout);
    // All buffers but the first, which is put in with the first picture; drivers may give fewer.
    for index in 1..usize::try_from(BUFFERS).unwrap_or(1) {
        if CaptureStream::queue(&mut stream, index).is_err() {
            break;
        }
    }
    stream.start().map_err(failed("starting"))?;
    let mut frames = Frames::new(format, &told, publisher.clone(), sender);
    let (handle, mut last) = (stream.handle(), Instant::now());
    while !stop.is_told() {
        match handle.poll(READABLE, LOOK) {
            Ok(0) if last.elapsed() > settings.stall_timeout => {
                let seconds = settings.stall_timeout.as_secs();
                return Err(DeviceError::Silent { device: shown, seconds });
            }
            Ok(0) => continue,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("waiting for a picture")(error)),
        }
        let (bytes, about) = CaptureStream::next(&mut stream).map_err(failed("reading a picture"))?;
        last = Instant::now();
        let used = usize::try_from(about.bytesused).unwrap_or(0);
        let bytes = bytes.get(..used).unwrap_or(bytes);
        if about.flags.contains(BufferFlags::ERROR) || bytes.is_empty() {
            publisher.health().discard();
        } else if !frames.take(bytes)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Asks for the wanted format, size and rate; gives what the device has made of it.
fn set(device: &Device, settings: &DeviceSettings) -> Result<(DeviceFormat, Format), DeviceError> {
    let shown = settings.path.to_string();
    let has = formats(device);
    let mut wanted =
        DeviceFormat::ALL.into_iter().filter(|format| settings.format.is_none_or(|only| only == *format));
    let chosen = wanted.find_map(|format| has.iter().find(|(one, _)| *one == format));
    let none = || {
        let names = |code: FourCC| code.str().map_or_else(|_| "?".to_owned(), str::to_owned);
        let all = device.enum_formats().unwrap_or_default();
        let has: Vec<_> = all.into_iter().map(|told| names(told.fourcc)).take(16).collect();
        DeviceError::Format { device: shown.clone(), has: has.join(", ") }
    };
    let (_, code) = chosen.ok_or_else(none)?;
    let (width, height) = settings.size;
    let told = device
        .set_format(&Format::new(width, height, *code))
        .map_err(|error| DeviceError::of(&shown, "setting its format", error))?;
    // Not every device can be told a rate; what comes is measured.
    drop(device.set_params(&Parameters::with_fps(settings.fps.max(1))));
    let format = DeviceFormat::of(told.fourcc.repr).ok_or_else(none)?;
    Ok((format, told))
}

/// What becomes of the device's pictures.
pub(super) struct Frames {
    kind: Kind,
    started: Instant,
    publisher: Publisher,
    sender: PictureSender,
}

enum Kind {
    Pass(Passing),
    Jpeg,
    Raw { format: RawFormat, width: u32, height: u32, stride: usize, pictures: RawPictures },
}

impl Frames {
    pub(super) fn new(
        format: DeviceFormat,
        told: &Format,
        publisher: Publisher,
        sender: PictureSender,
    ) -> Self {
        let raw = |format| {
            let (width, height) = (told.width, told.height);
            let stride = usize::try_from(told.stride).unwrap_or(0);
            Kind::Raw { format, width, height, stride, pictures: RawPictures::new() }
        };
        let kind = match format {
            DeviceFormat::H264 => Kind::Pass(Passing::default()),
            DeviceFormat::Jpeg => Kind::Jpeg,
            DeviceFormat::Nv12 => raw(RawFormat::Nv12),
            DeviceFormat::Yuyv => raw(RawFormat::Yuyv),
        };
        Self { kind, started: Instant::now(), publisher, sender }
    }

    /// A picture as the device gave it; false when nobody takes any more. Damaged ones are left out.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, DeviceError> {
        match &mut self.kind {
            Kind::Jpeg => return Ok(self.sender.send(Shot::Jpeg(Bytes::copy_from_slice(bytes)))),
            Kind::Raw { format, width, height, stride, pictures } => {
                match pictures.picture(*format, *width, *height, *stride, bytes) {
                    Ok(picture) => return Ok(self.sender.send(Shot::Picture(picture))),
                    Err(error) => tracing::debug!(%error, "left out a picture of a device"),
                }
                self.publisher.health().discard();
            }
            Kind::Pass(passing) => {
                if !passing.take(bytes, self.started.elapsed(), &self.publisher)? {
                    self.publisher.health().discard();
                }
            }
        }
        Ok(true)
    }
}

/// H.264 that passes through.
struct Passing {
    sets: ParameterSets,
    configuration: Bytes,
    writer: Option<TrackWriter>,
    last: Option<Duration>,
}

impl Default for Passing {
    fn default() -> Self {
        Self { sets: ParameterSets::h264(), configuration: Bytes::new(), writer: None, last: None }
    }
}

impl Passing {
    /// False when it is no picture that can be used. Begins with the first key frame.
    fn take(&mut self, bytes: &[u8], arrived: Duration, publisher: &Publisher) -> Result<bool, DeviceError> {
        let unit = nal::from_annex_b(&Bytes::copy_from_slice(bytes));
        let Ok(Normalised { data, key, configuration }) = unit.and_then(|unit| self.sets.normalise(&unit))
        else {
            return Ok(false);
        };
        if let Some(configuration) = configuration
            && configuration != self.configuration
        {
            self.configuration = configuration;
            self.writer = None;
        }
        if self.writer.is_none() && key {
            self.writer = publisher.publish(vec![(self.info(), KeyFrames::AsTheyCome)])?.into_iter().next();
        }
        let Some(writer) = &mut self.writer else { return Ok(true) };
        let arrived = self.last.map_or(arrived, |last| arrived.max(last + Duration::from_micros(1)));
        self.last = Some(arrived);
        let time = MediaTime::ZERO + arrived;
        writer.write(AccessUnit { track: TrackId(0), dts: time, pts: time, key, data });
        Ok(true)
    }

    fn info(&self) -> TrackInfo {
        let format = self.sets.format().ok();
        TrackInfo {
            id: TrackId(0),
            codec: Codec::H264,
            clock_rate: 90_000,
            channels: 0,
            width: format.as_ref().map_or(0, |format| format.width),
            height: format.as_ref().map_or(0, |format| format.height),
            configuration: self.configuration.clone(),
            reordered: format.is_some_and(|format| format.reordered),
        }
    }
}
