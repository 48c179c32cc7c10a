//! One stream of the hub: what is wanted of it, what flows from it, and what can be seen of it.
//!
//! Consumers change `control` and read `flow`; the stream's task (`driver`) reads `control` and changes `flow`, as does the publisher of
//! the run that is on. Each of the two is one `watch`, so that a change is never missed and nobody waits for anybody.

use super::{
    Ended, Health, Mode, Source, SourceError, State, StreamName, StreamState, SubscribeError, TrackFigures,
    meter::Meter,
};
use crate::{
    Kind,
    ring::Caps,
    track::{KeyFrames, Track, TrackInfo, TrackWriter},
};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::watch, time::Instant};

/// What is wanted of a stream.
pub(super) struct Control {
    pub(super) source: Arc<dyn Source>,
    /// Counts the sources.
    pub(super) revision: u64,
    pub(super) mode: Mode,
    pub(super) consumers: usize,
    /// Consumers that have ever come, without those who were told at once why the source has failed.
    pub(super) joins: u64,
    /// Times that it was told, after a failure, that the source may well succeed now.
    pub(super) hints: u64,
    pub(super) ended: Option<Ended>,
}

impl Control {
    /// The source shall run.
    pub(super) fn is_wanted(&self) -> bool {
        self.ended.is_none() && (self.consumers > 0 || self.mode == Mode::AlwaysOn)
    }
}

/// What flows from a stream.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The run whose publisher may publish; 0 for none.
    pub(super) run: u64,
    pub(super) generation: Option<Generation>,
    /// Failures so far.
    pub(super) failures: u64,
    /// The last failure, until tracks are published again.
    pub(super) failure: Option<Failure>,
    pub(super) ended: Option<Ended>,
}

/// Tracks that were published together.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// Unlike that of any other generation of any stream of the hub.
    pub(super) number: u64,
    pub(super) tracks: Arc<[Arc<Track>]>,
}

/// A failure of the source.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) number: u64,
    pub(super) error: SourceError,
    /// Who comes before this is told of it, for the source is not tried for him.
    pub(super) stands_until: Option<Instant>,
}

impl Failure {
    fn stands(&self, now: Instant) -> bool {
        self.stands_until.is_some_and(|until| now < until)
    }
}

/// Where a stream comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// It was added to the hub.
    Added,
    /// A transcoder makes it; it is removed when nobody wants it.
    Made(Made),
}

impl Origin {
    /// What it was made of has ended.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Made(made) if made.from.ring().has_ended())
    }
}

/// A transcoder's stream.
#[derive(Debug)]
pub(super) struct Made {
    /// The stream that it is made for.
    pub(super) of: Weak<Stream>,
    pub(super) why: String,
    /// The track that it is made out of.
    pub(super) from: Arc<Track>,
}

/// One stream.
pub(super) struct Stream {
    pub(super) name: StreamName,
    pub(super) origin: Origin,
    pub(super) control: watch::Sender<Control>,
    pub(super) flow: watch::Sender<Flow>,
    pub(super) state: watch::Sender<StreamState>,
    /// One for each track; the stream's task and who asks for figures take turns, writers are not concerned.
    meters: Mutex<Vec<Meter>>,
    pub(super) health: Arc<Health>,
    pub(super) caps: Caps,
    generations: Arc<AtomicU64>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a new stream is made of.
pub(super) struct Parts {
    pub(super) name: StreamName,
    pub(super) origin: Origin,
    pub(super) source: Arc<dyn Source>,
    pub(super) mode: Mode,
    pub(super) caps: Caps,
    pub(super) generations: Arc<AtomicU64>,
}

impl Stream {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let state = StreamState {
            name: parts.name.clone(),
            state: State::Idle,
            detail: String::new(),
            reason: None,
            again_at: None,
            since: Instant::now(),
            consumers: 0,
            encoders: 0,
            tracks: Vec::new(),
            starts: 0,
            retries: 0,
        };
        let control = Control {
            source: parts.source,
            revision: 0,
            mode: parts.mode,
            consumers: 0,
            joins: 0,
            hints: 0,
            ended: None,
        };
        Arc::new(Self {
            name: parts.name,
            origin: parts.origin,
            control: watch::Sender::new(control),
            flow: watch::Sender::new(Flow::default()),
            state: watch::Sender::new(state),
            meters: Mutex::default(),
            health: Arc::default(),
            caps: parts.caps,
            generations: parts.generations,
        })
    }

    /// Ends it: consumers are told at once, its task stops the source.
    pub(super) fn end(&self, ended: Ended) {
        self.control.send_modify(|control| control.ended = control.ended.or(Some(ended)));
        self.flow.send_modify(|flow| {
            flow.ended = flow.ended.or(Some(ended));
            flow.run = 0;
            flow.generation = None;
        });
    }

    /// Puts the tracks of a run in place of those before.
    pub(super) fn publish(&self, run: u64, tracks: Vec<(TrackInfo, KeyFrames)>) -> Vec<TrackWriter> {
        let (tracks, writers): (Vec<_>, Vec<_>) =
            tracks.into_iter().map(|(info, key_frames)| Track::new(info, key_frames, self.caps)).unzip();
        let number = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let generation = Generation { number, tracks: tracks.into() };
        self.flow.send_if_modified(|flow| {
            let is_on = flow.run == run;
            if is_on {
                flow.generation = Some(generation);
                flow.failure = None;
            }
            is_on
        });
        writers
    }

    /// A run begins; gives its number.
    pub(super) fn begin(&self) -> u64 {
        let run = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        self.flow.send_modify(|flow| {
            flow.run = run;
            flow.generation = None;
            // Who comes from now on waits for what this run brings.
            if let Some(failure) = &mut flow.failure {
                failure.stands_until = None;
            }
        });
        run
    }

    /// The run is over: nothing can be published by it any more, and its tracks are no longer offered.
    pub(super) fn finish(&self) {
        self.flow.send_modify(|flow| {
            flow.run = 0;
            flow.generation = None;
            flow.failure = None;
        });
        self.meters.lock().clear();
    }

    /// The run is over because of a failure; who comes before that moment is told of it too.
    pub(super) fn fail(&self, error: SourceError, stands_until: Option<Instant>) {
        self.flow.send_modify(|flow| {
            flow.run = 0;
            flow.generation = None;
            flow.failures += 1;
            flow.failure = Some(Failure { number: flow.failures, error, stands_until });
        });
        self.meters.lock().clear();
    }

    /// Begins to measure the tracks that are on offer now.
    pub(super) fn meter(&self, generation: &Generation, now: Instant) {
        let meters = generation.tracks.iter().map(|track| Meter::new(Arc::clone(track), now));
        *self.meters.lock() = meters.collect();
    }

    /// Measures; tells since when what matters most of the stream has not come: its pictures, or else its sound.
    pub(super) fn sample(&self, now: Instant) -> Option<Instant> {
        let mut meters = self.meters.lock();
        for meter in meters.iter_mut() {
            meter.sample(now);
        }
        let newest = |kind| meters.iter().filter(|meter| meter.kind() == kind).map(Meter::last_unit).max();
        newest(Kind::Video).or_else(|| newest(Kind::Audio))
    }

    /// What was measured of its tracks.
    pub(super) fn figures(&self) -> Vec<TrackFigures> {
        let why = match &self.origin {
            Origin::Added => None,
            Origin::Made(made) => Some(made.why.clone()),
        };
        let meters = self.meters.lock();
        let figures = meters.iter().map(|meter| {
            let info = meter.track().info();
            TrackFigures {
                id: info.id,
                codec: info.codec,
                width: info.width,
                height: info.height,
                channels: info.channels,
                reordered: info.reordered,
                transcoded: why.clone(),
                figures: meter.figures(),
            }
        });
        figures.collect()
    }
}

/// One who wants a stream, for as long as this exists.
#[derive(Debug)]
pub(super) struct Consumer {
    stream: Arc<Stream>,
    /// Failures up to this number are not told to it.
    failures_before: u64,
}

impl Consumer {
    /// One more, if the stream is still there and has room.
    pub(super) fn join(stream: &Arc<Stream>, most: usize) -> Result<Self, SubscribeError> {
        let (failures, is_told) = {
            let flow = stream.flow.borrow();
            (flow.failures, flow.failure.as_ref().is_some_and(|failure| failure.stands(Instant::now())))
        };
        let mut answer = Ok(());
        stream.control.send_if_modified(|control| {
            answer = match control.ended {
                Some(_) => Err(SubscribeError::NotFound(stream.name.clone())),
                None if control.consumers >= most => Err(SubscribeError::TooManyConsumers(most)),
                None => Ok(()),
            };
            if answer.is_ok() {
                control.consumers += 1;
                control.joins += u64::from(!is_told);
            }
            answer.is_ok()
        });
        answer?;
        stream.state.send_modify(|state| state.consumers += 1);
        Ok(Self { stream: Arc::clone(stream), failures_before: failures - u64::from(is_told) })
    }

    pub(super) const fn failures_before(&self) -> u64 {
        self.failures_before
    }

    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stream.control.send_modify(|control| control.consumers -= 1);
        self.stream.state.send_modify(|state| state.consumers -= 1);
    }
}
