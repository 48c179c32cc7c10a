//! Runs the source in a hub of its own and watches what comes.

use super::{
    Findings, Found, Place, Placed, Problem,
    advice::{self, Topic},
    delivery,
    findings::{StepName, Steps},
    picture, profile,
};
use crate::{
    cameras::CameraName,
    core::{Core, spawner},
};
use patchbay_media::{
    hub::{Hub, HubConfig, Mode, NotStarted, Reason, Selected, State, StreamName, Subscription, Wanted},
    ring::Start,
    track::{Track, TrackInfo},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How long is measured at least: as long as the hub takes its rates over.
const MEASURE: Duration = Duration::from_secs(3);

/// How long a second key frame is waited for, so that the time between two is known.
const SECOND_KEY: Duration = Duration::from_secs(8);

/// Kept of the time for the picture and the answer.
const RESERVE: Duration = Duration::from_millis(1500);

/// How long the hub may take to show what a source has told.
const SHOWN: Duration = Duration::from_millis(500);

/// The source is not tried again.
const NEVER: Duration = Duration::from_hours(24);

/// Looks at one source.
pub(super) struct Look<'a> {
    core: &'a Arc<Core>,
    hub: Hub,
    source: Arc<Placed>,
    place: Place,
    /// When there must be an answer.
    deadline: Instant,
    /// When looking ends.
    end: Instant,
}

impl<'a> Look<'a> {
    pub(super) fn new(core: &'a Arc<Core>, source: Arc<Placed>, place: Place, deadline: Instant) -> Self {
        let config = HubConfig {
            linger: Duration::ZERO,
            // The deadline is ours to keep.
            start_timeout: NEVER,
            retry: vec![NEVER],
            max_streams: 1,
            max_transcoders: 0,
            ..HubConfig::default()
        };
        let end = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        Self { core, hub: Hub::new(config, spawner(&core.context)), source, place, deadline, end }
    }

    /// Until something is wrong, or all is known.
    pub(super) async fn run(
        self,
        name: &CameraName,
        steps: &mut Steps,
        findings: &mut Findings,
    ) -> Result<(), Problem> {
        let stream = crate::cameras::stream_of(name);
        let internal = |error: String| Problem::new(StepName::Open, Reason::Other, error);
        self.hub
            .add(stream.clone(), self.source.clone(), Mode::OnDemand)
            .map_err(|error| internal(error.to_string()))?;
        let subscribed = self.hub.subscribe(&stream, Wanted::anything());
        let mut subscription = subscribed.map_err(|error| internal(error.to_string()))?;

        let selected = self.opened(&mut subscription).await?;
        steps.pass(StepName::Open, "it answers, and says what it has");
        self.shown(&stream).await;
        let tracks = self.tracks(&stream);
        let Some(video) = selected.video else { return Err(no_pictures(&tracks)) };
        steps.pass(StepName::Tracks, summary(&tracks));

        let began = Instant::now();
        let video = self.key_frame(&mut subscription, video).await?;
        steps
            .pass(StepName::KeyFrame, format!("the first came after {:.1} s", began.elapsed().as_secs_f64()));

        let video = self.measured(&mut subscription, &stream, video).await?;
        self.conclude(&stream, findings);
        let pictured = picture::first(self.core, video, self.place.clone(), self.deadline).await;
        steps.pass(StepName::Pictures, rates(findings));
        match pictured {
            Ok(jpeg) => findings.picture = jpeg,
            Err(words) => findings.advice.push(Topic::NotDecoded.advice(words)),
        }
        Ok(())
    }

    /// Waits until the source has told its tracks.
    async fn opened(&self, subscription: &mut Subscription) -> Result<Selected, Problem> {
        let Ok(told) = timeout_at(self.end, subscription.tracks_or_failure()).await else {
            let words = "it did not say in time what it has; is the address right, and is the camera not overloaded? Try again with more time";
            return Err(Problem::new(StepName::Open, Reason::TimedOut, words));
        };
        told.map_err(|error| failed(&error, StepName::Open))
    }

    /// Waits until the hub shows the tracks, which is a moment after a subscription has them.
    async fn shown(&self, stream: &StreamName) {
        let Some(mut states) = self.hub.watch(stream) else { return };
        let shown = states.wait_for(|state| !state.tracks.is_empty());
        // What is not shown by then is left out of the words.
        drop(timeout(SHOWN, shown).await);
    }

    /// Waits for a key frame, and gives the track that it came by: sources may tell others meanwhile.
    async fn key_frame(
        &self,
        subscription: &mut Subscription,
        mut video: Arc<Track>,
    ) -> Result<Arc<Track>, Problem> {
        loop {
            // As a viewer does who comes.
            video.request_key_frame();
            let mut reader = video.reader(Start::NewestKey);
            tokio::select! {
                told = subscription.tracks_or_failure() => video = pictures_of(told, StepName::KeyFrame)?,
                read = reader.next() => {
                    if read.is_ok() {
                        return Ok(video);
                    }
                    // Its writer is gone: the subscription says why, or which track follows.
                    let told = timeout_at(self.end, subscription.tracks_or_failure()).await;
                    video = pictures_of(told.map_err(|_| no_key_frame())?, StepName::KeyFrame)?;
                }
                () = sleep_until(self.end) => return Err(no_key_frame()),
            }
        }
    }

    /// Lets the hub measure until enough is known.
    async fn measured(
        &self,
        subscription: &mut Subscription,
        stream: &StreamName,
        mut video: Arc<Track>,
    ) -> Result<Arc<Track>, Problem> {
        let began = Instant::now();
        let end = (began + SECOND_KEY).min(self.end);
        let mut next = (began + MEASURE).min(end);
        loop {
            tokio::select! {
                told = subscription.tracks_or_failure() => video = pictures_of(told, StepName::Pictures)?,
                () = sleep_until(next) => {
                    let is_known = self.hub.figures(stream).iter().any(|track| track.figures.key_frame_interval.is_some());
                    if is_known || next >= end {
                        return Ok(video);
                    }
                    next = (next + Duration::from_millis(250)).min(end);
                }
            }
        }
    }

    /// Takes in what was measured.
    fn conclude(&self, stream: &StreamName, findings: &mut Findings) {
        let figures = self.hub.figures(stream);
        let found = self.tracks(stream).into_iter().map(|info| Found {
            figures: figures.iter().find(|of| of.id == info.id).map(|of| of.figures).unwrap_or_default(),
            profile: profile::of(&info),
            delivery: delivery::of(&info),
            info,
        });
        findings.tracks = found.collect();
        let health = self.hub.health(stream).unwrap_or_default();
        findings.advice = advice::on(&findings.tracks, health);
        let is_stalled = self.hub.state(stream).is_some_and(|state| state.state == State::Stalled);
        if is_stalled {
            findings.advice.push(
                Topic::Pauses.advice(
                    "no picture has come for some seconds: the source pauses, or sends pictures rarely",
                ),
            );
        }
    }

    fn tracks(&self, stream: &StreamName) -> Vec<TrackInfo> {
        self.hub.state(stream).map(|state| state.tracks).unwrap_or_default()
    }
}

fn failed(error: &NotStarted, step: StepName) -> Problem {
    match error {
        NotStarted::Failed(error) => Problem::of_source(error, step),
        NotStarted::Ended(ended) => Problem::new(step, Reason::Other, ended.to_string()),
    }
}

/// The pictures of what a source tells while it is looked at.
fn pictures_of(told: Result<Selected, NotStarted>, step: StepName) -> Result<Arc<Track>, Problem> {
    let selected = told.map_err(|error| failed(&error, step))?;
    selected.video.ok_or_else(|| no_pictures(&[]))
}

fn no_pictures(tracks: &[TrackInfo]) -> Problem {
    let has = if tracks.is_empty() { "nothing".to_owned() } else { summary(tracks) };
    let words = format!(
        "it has no pictures (but {has}): a camera needs some; look for another path, or switch the video on"
    );
    Problem::new(StepName::Tracks, Reason::NoTracks, words)
}

/// Sources hold back what cannot be decoded, so that nobody here sees whether something came before the first key frame.
fn no_key_frame() -> Problem {
    let words = "no key frame came, with which a picture can begin: set the camera's key-frame interval (GOP, I-frame interval) to 2 s; where nothing comes at all, try the other transport of RTSP (TCP or UDP), or give it more time";
    Problem::new(StepName::KeyFrame, Reason::NoKeyFrame, words)
}

/// `H264 1280x720, AAC 2 channels`.
fn summary(tracks: &[TrackInfo]) -> String {
    let each = tracks.iter().map(|info| {
        let codec = info.codec.name();
        match (info.width, info.channels) {
            (0, 0) => codec.to_owned(),
            (0, 1) => format!("{codec} 1 channel"),
            (0, channels) => format!("{codec} {channels} channels"),
            (width, _) => format!("{codec} {width}x{}", info.height),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

fn rates(findings: &Findings) -> String {
    let each = findings.tracks.iter().map(|track| {
        let (codec, figures) = (track.info.codec, track.figures);
        let what = if track.info.channels == 0 { "pictures" } else { "packets" };
        format!("{} {:.1} {what} and {} kbit a second", codec.name(), figures.rate, figures.bitrate / 1000)
    });
    each.collect::<Vec<_>>().join(", ")
}
