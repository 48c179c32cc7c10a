//! Sources, both ways.

use super::{duration, settings::Shown};
use crate::{
    cameras::{
        Address, ClearPassword, DeviceSpec, FileSpec, LoginSpec, MjpegSpec, OpenCvSpec, RtspSpec,
        RtspTransportSpec, SourceSpec, TestSpec, UrlSpec,
    },
    error::Error,
};
use patchbay_chassis::Span;
use patchbay_proto::camera::v1::{self as pb, camera::Source};
use std::time::Duration;

/// A source as it may be seen.
pub(super) fn shown(source: &SourceSpec, shown: Shown) -> Source {
    match shown {
        Shown::Whole => whole(source),
        Shown::WithoutPlace => kind(source),
    }
}

/// Nothing but its kind, and what says nothing of the place.
fn kind(source: &SourceSpec) -> Source {
    match source {
        SourceSpec::Test(_) | SourceSpec::File(_) => whole(source),
        SourceSpec::Rtsp(_) => Source::Rtsp(pb::RtspSource::default()),
        SourceSpec::Url(_) => Source::Url(pb::UrlSource::default()),
        SourceSpec::Mjpeg(_) => Source::Mjpeg(pb::MjpegSource::default()),
        SourceSpec::Device(_) => Source::Device(pb::DeviceSource::default()),
        SourceSpec::OpenCv(_) => Source::Opencv(pb::OpenCvSource::default()),
    }
}

fn whole(source: &SourceSpec) -> Source {
    match source {
        SourceSpec::Test(test) => Source::Test(pb::TestSource {
            width: test.width,
            height: test.height,
            fps: test.fps,
            bitrate: test.bitrate,
            noise: test.noise,
            key_frame_interval: Some(duration(test.key_frame_interval.duration())),
            silent: test.silent,
            ignore_key_frame_requests: test.ignore_key_frame_requests,
        }),
        SourceSpec::File(file) => Source::File(pb::FileSource { path: file.path.clone() }),
        SourceSpec::Rtsp(rtsp) => Source::Rtsp(pb::RtspSource {
            url: rtsp.url.shown().to_owned(),
            login: login(rtsp.login.as_ref()),
            transport: match rtsp.transport {
                RtspTransportSpec::Auto => pb::RtspTransport::Unspecified.into(),
                RtspTransportSpec::Tcp => pb::RtspTransport::Tcp.into(),
                RtspTransportSpec::Udp => pb::RtspTransport::Udp.into(),
            },
            certificate_fingerprint: rtsp.certificate_fingerprint.clone().unwrap_or_default(),
        }),
        SourceSpec::Url(url) => Source::Url(pb::UrlSource {
            url: url.url.shown().to_owned(),
            login: login(url.login.as_ref()),
            certificate_fingerprint: url.certificate_fingerprint.clone().unwrap_or_default(),
        }),
        SourceSpec::Mjpeg(mjpeg) => Source::Mjpeg(pb::MjpegSource {
            url: mjpeg.url.shown().to_owned(),
            login: login(mjpeg.login.as_ref()),
            certificate_fingerprint: mjpeg.certificate_fingerprint.clone().unwrap_or_default(),
            interval: Some(duration(mjpeg.interval.duration())),
        }),
        SourceSpec::Device(device) => Source::Device(pb::DeviceSource {
            path: device.path.clone(),
            width: device.width,
            height: device.height,
            fps: device.fps,
        }),
        SourceSpec::OpenCv(opencv) => Source::Opencv(pb::OpenCvSource { input: opencv.input.clone() }),
    }
}

fn login(login: Option<&LoginSpec>) -> Option<pb::Login> {
    login.map(|login| pb::Login {
        username: login.username.clone(),
        password: String::new(),
        has_password: login.has_password(),
    })
}

/// A source as a caller gives it.
pub(super) fn spec(source: Source) -> Result<SourceSpec, Error> {
    Ok(match source {
        Source::Test(test) => SourceSpec::Test(test_spec(&test)?),
        Source::File(file) => SourceSpec::File(FileSpec { path: file.path }),
        Source::Rtsp(rtsp) => {
            let transport = match pb::RtspTransport::try_from(rtsp.transport) {
                Ok(pb::RtspTransport::Unspecified) => RtspTransportSpec::Auto,
                Ok(pb::RtspTransport::Tcp) => RtspTransportSpec::Tcp,
                Ok(pb::RtspTransport::Udp) => RtspTransportSpec::Udp,
                Err(_) => return Err(Error::bad("camera.rtsp.transport", "must be one that is known")),
            };
            let (url, login) = place(&rtsp.url, rtsp.login);
            let certificate_fingerprint = fingerprint(rtsp.certificate_fingerprint);
            SourceSpec::Rtsp(RtspSpec { url, login, transport, certificate_fingerprint })
        }
        Source::Url(given) => {
            let (url, login) = place(&given.url, given.login);
            let certificate_fingerprint = fingerprint(given.certificate_fingerprint);
            SourceSpec::Url(UrlSpec { url, login, certificate_fingerprint })
        }
        Source::Mjpeg(mjpeg) => {
            let (url, login) = place(&mjpeg.url, mjpeg.login);
            let certificate_fingerprint = fingerprint(mjpeg.certificate_fingerprint);
            let usual = MjpegSpec::default().interval;
            let interval =
                span(mjpeg.interval, usual, "camera.mjpeg.interval", "must be from 0.1 s to 60 s")?;
            SourceSpec::Mjpeg(MjpegSpec { url, login, certificate_fingerprint, interval })
        }
        Source::Device(device) => SourceSpec::Device(DeviceSpec {
            path: device.path,
            width: device.width,
            height: device.height,
            fps: device.fps,
        }),
        Source::Opencv(opencv) => SourceSpec::OpenCv(OpenCvSpec { input: opencv.input }),
    })
}

/// An address and a login; one that stands in the address counts where no other was given.
fn place(url: &str, given: Option<pb::Login>) -> (Address, Option<LoginSpec>) {
    let (address, within) = Address::split(url);
    let given = given.filter(|login| *login != pb::Login::default());
    let login = given.map(|login| {
        let keep = login.has_password && login.password.is_empty();
        (login.username, login.password, keep)
    });
    let login = login.or(within.map(|(username, password)| (username, password, false)));
    let login = login.map(|(username, password, keep)| LoginSpec {
        username,
        given: (!password.is_empty()).then(|| ClearPassword::new(password)),
        keep,
        ..LoginSpec::default()
    });
    (address, login)
}

fn fingerprint(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn test_spec(test: &pb::TestSource) -> Result<TestSpec, Error> {
    let usual = TestSpec::default();
    let or = |value: u32, usual: u32| if value == 0 { usual } else { value };
    let field = "camera.test.key_frame_interval";
    let key_frame_interval =
        span(test.key_frame_interval, usual.key_frame_interval, field, "must be from 0.5 s to 60 s")?;
    Ok(TestSpec {
        width: or(test.width, usual.width),
        height: or(test.height, usual.height),
        fps: or(test.fps, usual.fps),
        bitrate: or(test.bitrate, usual.bitrate),
        noise: test.noise,
        key_frame_interval,
        silent: test.silent,
        ignore_key_frame_requests: test.ignore_key_frame_requests,
    })
}

/// A time, or the usual one where none was given. Bounds are looked at later; `problem` is for what is no time.
pub(super) fn span(
    given: Option<prost_types::Duration>,
    usual: Span,
    field: &'static str,
    problem: &'static str,
) -> Result<Span, Error> {
    match given {
        None => Ok(usual),
        Some(given) => Duration::try_from(given).map(Span).map_err(|_| Error::bad(field, problem)),
    }
}
