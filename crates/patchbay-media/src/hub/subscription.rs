//! A consumer of a stream: counts it, and tells it which tracks to read as they change.

use super::{
    Hub,
    stream::{Consumer, Failure, Flow, Generation},
};
use crate::{
    Codec, Kind, TrackId,
    negotiate::{Choice, How, Wanted},
    track::Track,
};
use std::sync::Arc;
use tokio::sync::watch;

/// Why there will be no more tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The stream was removed.
    #[error("the stream was removed")]
    Removed,
    /// The hub is closing.
    #[error("the service is stopping")]
    Closed,
}

/// Why there are no tracks yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// The source could not be opened, or did not start in time. The subscription goes on: the source is tried again, unless that makes no sense.
    #[error("{0}")]
    Failed(super::SourceError),
    /// The subscription is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// What a consumer reads, until it is told anew.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Pictures.
    pub video: Option<Arc<Track>>,
    /// Sound.
    pub audio: Option<Arc<Track>>,
    /// How that came about, for each kind that was wanted.
    pub how: Vec<How>,
}

impl Selected {
    /// Nothing of what was wanted is there; `how` says why.
    pub fn is_empty(&self) -> bool {
        self.video.is_none() && self.audio.is_none()
    }

    /// Why something that was wanted is missing, in words; empty when nothing is.
    pub fn missing(&self) -> String {
        let reasons = self.how.iter().filter_map(|how| match how {
            How::Missing { why, .. } => Some(why.as_str()),
            How::AsItCame { .. } | How::Transcoded { .. } => None,
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}

/// A consumer's hold on a stream: while it exists, the source runs. Dropping it lets go.
#[derive(Debug)]
pub struct Subscription {
    hub: Hub,
    consumer: Consumer,
    flow: watch::Receiver<Flow>,
    wanted: Wanted,
    /// Failures up to this number were before this consumer, or were told to it.
    failures: u64,
    plan: Option<Plan>,
    given: Option<[Option<(u64, TrackId)>; 2]>,
}

/// What is done for the consumer with one generation of tracks.
#[derive(Debug)]
struct Plan {
    generation: u64,
    parts: [Part; 2],
}

/// What is done for one kind.
#[derive(Debug)]
enum Part {
    NotWanted,
    AsItCame(Arc<Track>),
    Made(Box<Made>),
    Missing(How),
}

/// A track that a transcoder makes.
#[derive(Debug)]
pub(super) struct Made {
    /// Keeps the transcoder running.
    pub(super) _hold: Consumer,
    pub(super) flow: watch::Receiver<Flow>,
    pub(super) from: Codec,
    pub(super) to: Codec,
    pub(super) why: String,
}

/// What has come of one kind.
enum Progress {
    /// It will come, or fail, soon.
    Waiting,
    /// It is decided.
    Settled { track: Option<(u64, Arc<Track>)>, how: Option<How> },
}

impl Subscription {
    pub(super) fn new(hub: Hub, consumer: Consumer, wanted: Wanted) -> Self {
        let (flow, failures) = (consumer.stream().flow.subscribe(), consumer.failures_before());
        Self { hub, consumer, flow, wanted, failures, plan: None, given: None }
    }

    /// Name of the stream.
    pub fn name(&self) -> &super::StreamName {
        &self.consumer.stream().name
    }

    /// The tracks to read: waits for the first ones, then for others. A source that fails and comes back brings others; a track that is
    /// given again goes on ([`Arc::ptr_eq`]). Waits as long as the source takes. Cancel safe.
    pub async fn tracks(&mut self) -> Result<Selected, Ended> {
        loop {
            if let Some(selected) = self.update()? {
                return Ok(selected);
            }
            self.changed().await;
        }
    }

    /// As [`tracks`](Self::tracks), but tells when an attempt to start the source has failed, which takes at most the hub's `start_timeout`
    /// and the shortest of its retry times. Each failure is told once; one that stands, because only a change can mend it, is told at once. Cancel safe.
    pub async fn tracks_or_failure(&mut self) -> Result<Selected, NotStarted> {
        loop {
            if let Some(selected) = self.update()? {
                return Ok(selected);
            }
            if let Some(failure) = self.new_failure() {
                return Err(NotStarted::Failed(failure.error));
            }
            self.changed().await;
        }
    }

    fn new_failure(&mut self) -> Option<Failure> {
        let failure = self.flow.borrow().failure.clone().filter(|failure| failure.number > self.failures)?;
        self.failures = failure.number;
        Some(failure)
    }

    /// Takes in what has changed; gives a selection when it is another one.
    fn update(&mut self) -> Result<Option<Selected>, Ended> {
        let (generation, ended) = {
            let flow = self.flow.borrow_and_update();
            (flow.generation.clone(), flow.ended)
        };
        if let Some(ended) = ended {
            self.plan = None;
            return Err(ended);
        }
        self.follow(generation);
        Ok(self.select())
    }

    /// Makes the plan fit the generation.
    fn follow(&mut self, generation: Option<Generation>) {
        let Some(generation) = generation else {
            self.plan = None;
            return;
        };
        if self.plan.as_ref().is_some_and(|plan| plan.generation == generation.number) {
            return;
        }
        let parts = [Kind::Video, Kind::Audio].map(|kind| self.part(kind, &generation));
        self.plan = Some(Plan { generation: generation.number, parts });
    }

    fn part(&self, kind: Kind, generation: &Generation) -> Part {
        match self.wanted.choose(kind, &generation.tracks) {
            Choice::NotWanted => Part::NotWanted,
            Choice::AsItCame(track) => Part::AsItCame(track),
            Choice::Nothing(why) => Part::Missing(How::Missing { kind, why }),
            Choice::Make { from, to, why } => {
                let made = self.hub.make(self.consumer.stream(), generation.number, &from, &to, &why);
                match made {
                    Ok(made) => Part::Made(Box::new(made)),
                    Err(problem) => {
                        Part::Missing(How::Missing { kind, why: format!("{why}, and {problem}") })
                    }
                }
            }
        }
    }

    fn select(&mut self) -> Option<Selected> {
        let plan = self.plan.as_mut()?;
        let generation = plan.generation;
        let [video, audio] = plan.parts.each_mut().map(|part| part.progress(generation));
        let (Progress::Settled { track: video, how: first }, Progress::Settled { track: audio, how: second }) =
            (video, audio)
        else {
            return None;
        };
        let identity = [&video, &audio]
            .map(|track| track.as_ref().map(|(generation, track)| (*generation, track.info().id)));
        if self.given == Some(identity) {
            return None;
        }
        self.given = Some(identity);
        let how = first.into_iter().chain(second).collect();
        Some(Selected { video: video.map(|(_, track)| track), audio: audio.map(|(_, track)| track), how })
    }

    /// Waits until something may have changed. The senders live as long as this subscription, so that no receiver is ever left alone.
    async fn changed(&mut self) {
        let Self { flow, plan, .. } = self;
        let [video, audio] = match plan {
            Some(plan) => plan.parts.each_mut().map(Part::flow),
            None => [None, None],
        };
        tokio::select! {
            _ = flow.changed() => {}
            () = change_of(video) => {}
            () = change_of(audio) => {}
        }
    }
}

async fn change_of(flow: Option<&mut watch::Receiver<Flow>>) {
    match flow {
        Some(flow) => drop(flow.changed().await),
        None => std::future::pending().await,
    }
}

impl Part {
    fn flow(&mut self) -> Option<&mut watch::Receiver<Flow>> {
        match self {
            Self::Made(made) => Some(&mut made.flow),
            Self::NotWanted | Self::AsItCame(_) | Self::Missing(_) => None,
        }
    }

    fn progress(&mut self, generation: u64) -> Progress {
        match self {
            Self::NotWanted => Progress::Settled { track: None, how: None },
            Self::AsItCame(track) => {
                let codec = track.info().codec;
                let how = How::AsItCame { kind: codec.kind(), codec };
                Progress::Settled { track: Some((generation, Arc::clone(track))), how: Some(how) }
            }
            Self::Made(made) => made.progress(),
            Self::Missing(how) => Progress::Settled { track: None, how: Some(how.clone()) },
        }
    }
}

impl Made {
    fn progress(&mut self) -> Progress {
        let (generation, failure) = {
            let flow = self.flow.borrow_and_update();
            (flow.generation.clone(), flow.failure.clone())
        };
        match (generation, failure) {
            (Some(generation), _) => self.made(&generation),
            (None, Some(failure)) => self.missing(&failure.error.to_string()),
            (None, None) => Progress::Waiting,
        }
    }

    fn made(&self, generation: &Generation) -> Progress {
        let Some(track) = generation.tracks.iter().find(|track| track.info().codec == self.to) else {
            return self.missing("the transcoder gave something else");
        };
        let how =
            How::Transcoded { kind: self.to.kind(), from: self.from, to: self.to, why: self.why.clone() };
        Progress::Settled { track: Some((generation.number, Arc::clone(track))), how: Some(how) }
    }

    fn missing(&self, problem: &str) -> Progress {
        let why = format!("{}, and {} cannot be made of it: {problem}", self.why, self.to.name());
        Progress::Settled { track: None, how: Some(How::Missing { kind: self.to.kind(), why }) }
    }
}
