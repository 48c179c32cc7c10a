//! Between the interface's messages and ours.

use crate::{
    cameras::{Camera, CameraSpec, Capture, FileSpec, Origin, SourceSpec, TestSpec},
    core::Core,
    error::Error,
    replicas::{CameraReport, Condition, TrackReport},
    viewers::{ViewerKind, ViewerShown},
};
use patchbay_chassis::Span;
use patchbay_proto::camera::v1 as pb;
use std::time::Duration;

/// A camera and how it is.
pub(super) fn camera(core: &Core, camera: &Camera) -> pb::Camera {
    let (report, owner) = core.report_of(camera);
    pb::Camera { status: Some(status(report, owner)), ..settings(camera) }
}

/// A camera without how it is.
pub(super) fn settings(camera: &Camera) -> pb::Camera {
    let CameraSpec { title, source, capture } = &camera.spec;
    let source = match source {
        SourceSpec::Test(test) => pb::camera::Source::Test(pb::TestSource {
            width: test.width,
            height: test.height,
            fps: test.fps,
            bitrate: test.bitrate,
            noise: test.noise,
            key_frame_interval: Some(duration(test.key_frame_interval.duration())),
            silent: test.silent,
            ignore_key_frame_requests: test.ignore_key_frame_requests,
        }),
        SourceSpec::File(file) => pb::camera::Source::File(pb::FileSource { path: file.path.clone() }),
    };
    pb::Camera {
        name: camera.name.to_string(),
        title: title.clone(),
        source: Some(source),
        always_on: *capture == Capture::Always,
        configured: camera.origin == Origin::Configured,
        revision: match camera.origin {
            Origin::Configured => 0,
            Origin::Added { revision } => revision,
        },
        status: None,
    }
}

/// Settings as a caller gives them; what is left at zero takes its default. Bounds are looked at later.
pub(super) fn spec(camera: pb::Camera) -> Result<CameraSpec, Error> {
    let source = match camera.source {
        Some(pb::camera::Source::Test(test)) => SourceSpec::Test(test_spec(&test)?),
        Some(pb::camera::Source::File(file)) => SourceSpec::File(FileSpec { path: file.path }),
        None => return Err(Error::bad("camera.test", "or `camera.file` must be set")),
    };
    let capture = if camera.always_on { Capture::Always } else { Capture::OnDemand };
    Ok(CameraSpec { title: camera.title, source, capture })
}

fn test_spec(test: &pb::TestSource) -> Result<TestSpec, Error> {
    let usual = TestSpec::default();
    let or = |value: u32, usual: u32| if value == 0 { usual } else { value };
    let interval = match test.key_frame_interval {
        None => usual.key_frame_interval,
        Some(interval) => Duration::try_from(interval)
            .map(Span)
            .map_err(|_| Error::bad("camera.test.key_frame_interval", "must be from 0.5 s to 60 s"))?,
    };
    Ok(TestSpec {
        width: or(test.width, usual.width),
        height: or(test.height, usual.height),
        fps: or(test.fps, usual.fps),
        bitrate: or(test.bitrate, usual.bitrate),
        noise: test.noise,
        key_frame_interval: interval,
        silent: test.silent,
        ignore_key_frame_requests: test.ignore_key_frame_requests,
    })
}

fn status(report: CameraReport, owner: String) -> pb::CameraStatus {
    let state = match report.condition {
        Condition::Idle => pb::CameraState::Idle,
        Condition::Failed => pb::CameraState::Failed,
        Condition::Starting => pb::CameraState::Starting,
        Condition::Stalled => pb::CameraState::Stalled,
        Condition::Live => pb::CameraState::Live,
    };
    pb::CameraStatus {
        state: state.into(),
        detail: report.detail,
        since: (report.since != 0).then(|| timestamp(report.since)),
        captures: report.captures,
        encoders: report.encoders,
        viewers: report.viewers,
        owner,
        tracks: report.tracks.into_iter().map(track).collect(),
    }
}

fn track(track: TrackReport) -> pb::CameraTrack {
    pb::CameraTrack {
        codec: track.codec,
        width: track.width,
        height: track.height,
        channels: track.channels,
        rate: track.rate,
        bitrate: track.bitrate,
        key_frame_interval: track.key_frame_interval.map(duration),
        transcoded: track.transcoded.is_some(),
        why: track.transcoded.unwrap_or_default(),
    }
}

/// What a camera and its viewers do.
pub(super) fn statistics(core: &Core, camera: &Camera) -> pb::GetStatisticsResponse {
    let (report, owner) = core.report_of(camera);
    let came = || report.tracks.iter().filter(|track| track.transcoded.is_none());
    pb::GetStatisticsResponse {
        units: came().map(|track| track.units).sum(),
        bytes: came().map(|track| track.bytes).sum(),
        cached_bytes: report.cached_bytes,
        packets_sent: report.packets_sent,
        bytes_sent: report.bytes_sent,
        starts: report.starts,
        key_frame_requests: report.key_frame_requests,
        status: Some(status(report, owner)),
    }
}

/// A viewer.
pub(super) fn viewer(viewer: ViewerShown) -> pb::Viewer {
    let kind = match viewer.kind {
        ViewerKind::Whep => pb::ViewerKind::Whep,
        ViewerKind::WebSocket => pb::ViewerKind::Websocket,
        ViewerKind::Mjpeg => pb::ViewerKind::Mjpeg,
    };
    let figures = viewer.figures;
    pb::Viewer {
        replica: viewer.id.replica().to_owned(),
        id: viewer.id.as_str().to_owned(),
        camera: viewer.camera.to_string(),
        kind: kind.into(),
        user: viewer.user,
        address: viewer.address.to_string(),
        since: Some(timestamp(viewer.since)),
        connected: figures.connected,
        transport: figures.transport,
        packets_sent: figures.packets_sent,
        bytes_sent: figures.bytes_sent,
        packets_resent: figures.packets_resent,
        loss: figures.loss,
        jitter: Some(duration(figures.jitter)),
        round_trip: figures.round_trip.map(duration),
        skips: figures.skips,
        connect_time: figures.connect_time.map(duration),
    }
}

/// Milliseconds since 1970.
pub(super) fn timestamp(unix_millis: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(unix_millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(unix_millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}
