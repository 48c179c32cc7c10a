//! Between the interface's messages and ours: how cameras and viewers are; settings stand in `settings`.

mod processing;
mod settings;
mod source;

pub(super) use settings::{Shown, settings, spec};

use crate::{
    caller::{Action, Caller},
    cameras::Camera,
    core::Core,
    replicas::{CameraReport, Condition, TrackReport},
    viewers::{ViewerKind, ViewerQuality, ViewerShown},
};
use patchbay_media::hub::Reason;
use patchbay_proto::camera::v1 as pb;
use std::time::Duration;

/// A camera and how it is. Where its pictures come from is told to those who may change it.
pub(super) fn camera(core: &Core, caller: &Caller, camera: &Camera) -> pb::Camera {
    let (report, owner) = core.report_of(camera);
    let may_change = caller.may(Action::Write, &camera.name);
    let shown = if may_change { Shown::Whole } else { Shown::WithoutPlace };
    pb::Camera { status: Some(status(told(report, caller, camera), owner)), ..settings(camera, shown) }
}

/// A report as the caller may see it.
fn told(mut report: CameraReport, caller: &Caller, camera: &Camera) -> CameraReport {
    if !report.reason.is_empty() {
        // A word of a newer replica is not known here.
        let reason = Reason::parse(&report.reason).unwrap_or_default();
        report.detail = caller.told_words(&camera.name, report.detail, Some(reason));
    }
    report
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
        reason: report.reason,
        next_try: report.next_try.map(timestamp),
        motion: report.motion,
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
        reordered: track.reordered,
    }
}

/// What a camera and its viewers do.
pub(super) fn statistics(core: &Core, caller: &Caller, camera: &Camera) -> pb::GetStatisticsResponse {
    let (report, owner) = core.report_of(camera);
    let report = told(report, caller, camera);
    let came = || report.tracks.iter().filter(|track| track.transcoded.is_none());
    pb::GetStatisticsResponse {
        units: came().map(|track| track.units).sum(),
        bytes: came().map(|track| track.bytes).sum(),
        cached_bytes: report.cached_bytes,
        packets_sent: report.packets_sent,
        bytes_sent: report.bytes_sent,
        starts: report.starts,
        key_frame_requests: report.key_frame_requests,
        retries: report.retries,
        lost_packets: report.lost_packets,
        discarded: report.discarded,
        clock_jumps: report.clock_jumps,
        status: Some(status(report, owner)),
    }
}

/// A viewer.
pub(super) fn viewer(viewer: ViewerShown) -> pb::Viewer {
    let kind = match viewer.kind {
        ViewerKind::Whep => pb::ViewerKind::Whep,
        ViewerKind::WebSocket => pb::ViewerKind::Websocket,
        ViewerKind::Mjpeg => pb::ViewerKind::Mjpeg,
        ViewerKind::Mse => pb::ViewerKind::Mse,
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
        quality: quality(figures.quality).into(),
        available_bitrate: figures.available.unwrap_or(0),
        quality_changes: u32::try_from(figures.quality_changes).unwrap_or(u32::MAX),
    }
}

fn quality(quality: Option<ViewerQuality>) -> pb::ViewerQuality {
    match quality {
        None => pb::ViewerQuality::Unspecified,
        Some(ViewerQuality::Full) => pb::ViewerQuality::Full,
        Some(ViewerQuality::Low) => pb::ViewerQuality::Low,
        Some(ViewerQuality::KeyFrames) => pb::ViewerQuality::KeyFrames,
    }
}

/// Milliseconds since 1970.
pub(super) fn timestamp(unix_millis: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(unix_millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(unix_millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}
