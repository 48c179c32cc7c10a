//! How a camera is on one replica, and how it is on all of them together.

use crate::{
    cameras::{Camera, CameraName, SourceSpec},
    core::Core,
    viewers::Sent,
};
use patchbay_media::hub::{State, StreamState, TrackFigures};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// What a camera does, as it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Nobody looks.
    #[default]
    Idle,
    /// The source cannot be opened.
    Failed,
    /// There is no picture yet.
    Starting,
    /// Pictures have stopped coming.
    Stalled,
    /// Pictures come.
    Live,
}

/// How a camera is on one replica, or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CameraReport {
    /// What it does.
    pub condition: Condition,
    /// What is wrong, in words.
    pub detail: String,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Captures that run.
    pub captures: u32,
    /// Encoders that run.
    pub encoders: u32,
    /// Viewers.
    pub viewers: u32,
    /// What it carries.
    pub tracks: Vec<TrackReport>,
    /// Bytes kept for viewers that come.
    pub cached_bytes: u64,
    /// Packets sent to viewers.
    pub packets_sent: u64,
    /// Bytes sent to viewers.
    pub bytes_sent: u64,
    /// Times that the source was started.
    pub starts: u64,
    /// Key frames that were asked for.
    pub key_frame_requests: u64,
    /// What is wrong, for programs; empty when nothing is.
    pub reason: String,
    /// When a source that has failed is tried again, in milliseconds since 1970.
    pub next_try: Option<u64>,
    /// Something moves.
    pub motion: bool,
    /// Times that the source was started after a failure.
    pub retries: u64,
    /// Packets lost on the way from the source.
    pub lost_packets: u64,
    /// Units that came and could not be used.
    pub discarded: u64,
    /// Jumps of the source's clock.
    pub clock_jumps: u64,
}

impl CameraReport {
    /// Whose word counts, so that every replica comes to the same: whoever has the picture says how the camera is, first of all who captures it, and else
    /// the last one that has seen it change.
    fn standing(&self) -> (Condition, u32, u64) {
        (self.condition, self.captures, self.since)
    }

    /// Whether another one says more than counts and rates.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let shape = |report: &Self| {
            let CameraReport { condition, since, captures, encoders, viewers, motion, ref tracks, .. } =
                *report;
            (condition, since, captures, encoders, viewers, motion, tracks.len())
        };
        shape(self) != shape(other) || self.detail != other.detail || self.reason != other.reason
    }
}

/// A track of a camera.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrackReport {
    /// Coding.
    pub codec: String,
    /// Pixels across; 0 for sound.
    pub width: u32,
    /// Pixels down; 0 for sound.
    pub height: u32,
    /// Channels; 0 for pictures.
    pub channels: u32,
    /// Units since the track began.
    pub units: u64,
    /// Bytes since the track began.
    pub bytes: u64,
    /// Units a second.
    pub rate: f64,
    /// Bits a second.
    pub bitrate: u64,
    /// Time between key frames.
    pub key_frame_interval: Option<Duration>,
    /// Why it is made from another track; none for one of the source itself.
    pub transcoded: Option<String>,
    /// Pictures are shown in another order than they are sent in.
    pub reordered: bool,
}

impl Core {
    /// How a camera is on this replica.
    pub fn own_report(&self, camera: &Camera) -> CameraReport {
        let Some(state) = self.hub.state(&camera.stream()) else { return CameraReport::default() };
        self.own(camera, &state, self.viewers.of_camera(&camera.name))
    }

    /// How a camera is on all replicas together, and the replica that captures it.
    pub fn report_of(&self, camera: &Camera) -> (CameraReport, String) {
        let own = (self.context.node.to_string(), self.own_report(camera));
        let mut reports = self.replicas.reports(&camera.name);
        reports.push(own);
        let owner = reports.iter().find(|(_, report)| report.captures > 0).map(|(node, _)| node.clone());
        (merged(reports.into_iter().map(|(_, report)| report)), owner.unwrap_or_default())
    }

    /// All cameras of this replica that do something, or have done.
    pub(super) fn reported(&self) -> BTreeMap<CameraName, CameraReport> {
        let states: BTreeMap<_, _> =
            self.hub.states().into_iter().map(|state| (state.name.clone(), state)).collect();
        let cameras = self.cameras.all().into_iter();
        let reports = cameras.filter_map(|camera| {
            let state = states.get(&camera.stream())?;
            let looked_at = self.viewers.of_camera(&camera.name);
            let has_news = state.state != State::Idle || looked_at != Default::default() || state.starts > 0;
            has_news.then(|| (camera.name.clone(), self.own(&camera, state, looked_at)))
        });
        reports.collect()
    }

    fn own(&self, camera: &Camera, state: &StreamState, (viewers, sent): (usize, Sent)) -> CameraReport {
        let figures = self.hub.figures(&state.name);
        let health = self.hub.health(&state.name).unwrap_or_default();
        let is_captured = self.owners.captures(&camera.name);
        let drawn = usize::from(is_captured && matches!(camera.spec.source, SourceSpec::Test(_)));
        let worked_on = usize::from(is_captured && camera.spec.processing.is_some());
        CameraReport {
            condition: condition(state.state),
            detail: state.detail.clone(),
            since: self.wall_clock(state.since),
            captures: u32::from(is_captured),
            encoders: number(state.encoders + drawn + worked_on),
            viewers: number(viewers),
            cached_bytes: figures.iter().map(|track| track.figures.cached_bytes).sum(),
            key_frame_requests: figures.iter().map(|track| track.figures.key_frame_requests).sum(),
            tracks: figures.into_iter().map(track).collect(),
            packets_sent: sent.packets,
            bytes_sent: sent.bytes,
            starts: state.starts,
            reason: state.reason.map(|reason| reason.word().to_owned()).unwrap_or_default(),
            next_try: state.again_at.map(|at| self.wall_clock(at)),
            motion: self.motions.is_moving(&camera.name),
            retries: state.retries,
            lost_packets: health.lost,
            discarded: health.discarded,
            clock_jumps: health.jumps,
        }
    }

    /// By the clock as it was when the replica began, so that the same moment is told the same each time.
    fn wall_clock(&self, at: Instant) -> u64 {
        let (began, millis) = self.began;
        let since = u64::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX);
        millis.saturating_add(since)
    }
}

/// One camera on several replicas.
pub fn merged(reports: impl Iterator<Item = CameraReport>) -> CameraReport {
    reports.fold(CameraReport::default(), |all, one| {
        let (better, other) = if one.standing() > all.standing() { (one, all) } else { (all, one) };
        CameraReport {
            captures: better.captures + other.captures,
            encoders: better.encoders + other.encoders,
            viewers: better.viewers + other.viewers,
            cached_bytes: better.cached_bytes + other.cached_bytes,
            packets_sent: better.packets_sent + other.packets_sent,
            bytes_sent: better.bytes_sent + other.bytes_sent,
            starts: better.starts + other.starts,
            key_frame_requests: better.key_frame_requests + other.key_frame_requests,
            motion: better.motion || other.motion,
            retries: better.retries + other.retries,
            lost_packets: better.lost_packets + other.lost_packets,
            discarded: better.discarded + other.discarded,
            clock_jumps: better.clock_jumps + other.clock_jumps,
            since: if better.since == 0 { other.since } else { better.since },
            next_try: next_try(&better, &other),
            ..better
        }
    })
}

/// The first of both, where it has failed on both: whoever tries, the other gets what comes of it.
fn next_try(better: &CameraReport, other: &CameraReport) -> Option<u64> {
    let has_failed = |report: &&CameraReport| report.condition == Condition::Failed;
    if !has_failed(&better) {
        return better.next_try;
    }
    [better, other].into_iter().filter(has_failed).filter_map(|report| report.next_try).min()
}

fn condition(state: State) -> Condition {
    match state {
        State::Idle => Condition::Idle,
        State::Starting => Condition::Starting,
        State::Live | State::Lingering => Condition::Live,
        State::Stalled => Condition::Stalled,
        State::Failed => Condition::Failed,
    }
}

fn track(track: TrackFigures) -> TrackReport {
    let figures = track.figures;
    TrackReport {
        codec: track.codec.name().to_owned(),
        width: track.width.into(),
        height: track.height.into(),
        channels: track.channels.into(),
        units: figures.units,
        bytes: figures.bytes,
        rate: figures.rate,
        bitrate: figures.bitrate,
        key_frame_interval: figures.key_frame_interval,
        transcoded: track.transcoded,
        reordered: track.reordered,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
