//! The task of one stream: starts its source when it is wanted, watches it, stops it, and tries again after failures.

use super::{
    HubConfig, Inner, Publisher, Source, SourceError, State,
    retry::{Counts, Failed, Failure},
    source::Reason,
    stream::{Control, Flow, Generation, Origin, Stream},
};
use futures_util::FutureExt;
use std::{
    any::Any,
    collections::hash_map::RandomState,
    future::Future,
    hash::BuildHasher,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// A source that ran for so long has recovered: its next failure is again the first in a row.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);
/// Time between two measurements.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// The state of the task.
pub(super) struct Driver {
    stream: Arc<Stream>,
    control: watch::Receiver<Control>,
    flow: watch::Receiver<Flow>,
    config: Arc<HubConfig>,
    hub: Weak<Inner>,
    failed: Option<Failed>,
    randomness: RandomState,
}

/// How a run came to its end.
enum Ending {
    /// It is not wanted any more, or not this source; it has to be stopped.
    Unwanted,
    /// It has not published in time; it has to be stopped.
    TooSlow,
    /// It has ended by itself.
    Finished(SourceError),
}

/// What is known of a run that is on.
struct Watched {
    begun: Instant,
    revision: u64,
    live_since: Option<Instant>,
    generation: u64,
    linger_until: Option<Instant>,
    is_stalled: bool,
}

/// What to do with a run that is on.
enum Wish {
    Go,
    Linger,
    Stop,
}

type Run<'a> = Pin<&'a mut (dyn Future<Output = Result<(), SourceError>> + Send)>;

impl Driver {
    pub(super) fn new(stream: Arc<Stream>, config: Arc<HubConfig>, hub: Weak<Inner>) -> Self {
        let (control, flow) = (stream.control.subscribe(), stream.flow.subscribe());
        Self { stream, control, flow, config, hub, failed: None, randomness: RandomState::new() }
    }

    /// Until the stream is removed.
    pub(super) async fn run(mut self) {
        while self.turn().await {
            self.attempt().await;
        }
        self.show(State::Idle, String::new());
    }

    /// Waits for the time of the next attempt; false when there is none.
    async fn turn(&mut self) -> bool {
        loop {
            // Seen first, then read: what changes in between is read twice, not missed.
            self.control.mark_unchanged();
            let (due, ended) = {
                let control = self.control.borrow();
                (self.due(&control), control.ended.is_some())
            };
            if ended || self.is_superfluous() {
                return false;
            }
            self.show_due(due.filter(|due| !self.is_rare(*due)));
            match due {
                Some(due) if due <= Instant::now() => return true,
                Some(due) => tokio::select! {
                    _ = self.control.changed() => {}
                    () = sleep_until(due) => return true,
                },
                None => drop(self.control.changed().await),
            }
        }
    }

    /// When to start the source; none while it is not wanted.
    fn due(&self, control: &Control) -> Option<Instant> {
        if !control.is_wanted() {
            return None;
        }
        match self.failed.as_ref().filter(|failed| failed.is_of(control.revision)) {
            Some(failed) => failed.due(control),
            None => Some(Instant::now()),
        }
    }

    fn is_rare(&self, due: Instant) -> bool {
        self.failed.as_ref().is_some_and(|failed| failed.is_rare(due))
    }

    /// A transcoder that nobody wants is not kept.
    fn is_superfluous(&self) -> bool {
        if !matches!(self.stream.origin, Origin::Made(_)) {
            return false;
        }
        self.hub.upgrade().is_none_or(|hub| hub.remove_made(&self.stream))
    }

    /// Runs the source once.
    async fn attempt(&mut self) {
        let (source, revision) = {
            let control = self.control.borrow_and_update();
            (Arc::clone(&control.source), control.revision)
        };
        let number = self.stream.begin();
        self.stream.state.send_modify(|state| {
            state.starts += 1;
            state.retries += u64::from(self.failed.is_some());
        });
        self.show(State::Starting, String::new());
        let encoder = Encoder::of(&self.stream);
        let stop = CancellationToken::new();
        // Tells threads of the source to end even when this task is dropped.
        let guard = stop.clone().drop_guard();
        let publisher = Publisher::new(Arc::clone(&self.stream), number);
        let mut run = Box::pin(guarded(source, publisher, stop));
        let mut watched = Watched {
            begun: Instant::now(),
            revision,
            live_since: None,
            generation: 0,
            linger_until: None,
            is_stalled: false,
        };
        let ending = self.watch(run.as_mut(), &mut watched).await;
        drop(guard);
        if self.control.borrow().revision != revision {
            // However long it takes to stop: what it still brings is of settings that count no more, and may lack the masks of now.
            self.stream.finish();
        }
        if !matches!(ending, Ending::Finished(_)) && timeout(self.config.stop_timeout, run).await.is_err() {
            tracing::warn!(stream = %self.stream.name, "a source did not stop in time and was dropped");
        }
        drop(encoder);
        self.conclude(ending, &watched);
    }

    /// Watches a run until it ends or has to be stopped.
    async fn watch(&mut self, mut run: Run<'_>, watched: &mut Watched) -> Ending {
        let mut tick = interval(SAMPLE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.take_in(watched);
            match self.wish(watched.revision) {
                Wish::Stop => return Ending::Unwanted,
                Wish::Go => watched.linger_until = None,
                Wish::Linger => {
                    let until = Instant::now() + self.config.linger;
                    watched.linger_until.get_or_insert(until);
                }
            }
            self.show_running(watched);
            let start_until = watched.live_since.is_none().then(|| watched.begun + self.config.start_timeout);
            tokio::select! {
                biased;
                result = &mut run => {
                    return Ending::Finished(result.err().unwrap_or_else(SourceError::ended));
                }
                _ = self.control.changed() => {}
                _ = self.flow.changed() => {}
                () = until(start_until) => return Ending::TooSlow,
                () = until(watched.linger_until) => return Ending::Unwanted,
                now = tick.tick() => self.measure(watched, now),
            }
        }
    }

    /// Takes in a new generation of tracks.
    fn take_in(&mut self, watched: &mut Watched) {
        let generation = self.flow.borrow_and_update().generation.clone();
        let Some(generation) = generation.filter(|generation| generation.number != watched.generation) else {
            return;
        };
        let now = Instant::now();
        watched.generation = generation.number;
        watched.live_since.get_or_insert(now);
        self.stream.meter(&generation, now);
        self.show_tracks(&generation);
    }

    fn wish(&mut self, revision: u64) -> Wish {
        let control = self.control.borrow_and_update();
        if control.ended.is_some() || control.revision != revision {
            return Wish::Stop;
        }
        if control.is_wanted() { Wish::Go } else { Wish::Linger }
    }

    fn measure(&self, watched: &mut Watched, now: Instant) {
        let newest = self.stream.sample(now);
        watched.is_stalled = newest.is_some_and(|at| now.duration_since(at) >= self.config.stall_after);
    }

    /// The run is over.
    fn conclude(&mut self, ending: Ending, watched: &Watched) {
        // Read before consumers hear of the failure: who joins after that is new.
        let counts = Counts::of(&self.control.borrow()).with_revision(watched.revision);
        let error = match ending {
            Ending::Finished(_) if self.stream.origin.is_gone() => {
                self.stream.finish();
                return;
            }
            Ending::Unwanted => {
                self.stream.finish();
                self.failed = None;
                self.show(State::Idle, String::new());
                return;
            }
            Ending::TooSlow => {
                let patience = self.config.start_timeout.as_secs_f64();
                SourceError::temporary(format!("the source did not start within {patience} s"))
                    .because(Reason::TimedOut)
            }
            Ending::Finished(error) => error,
        };
        tracing::info!(stream = %self.stream.name, %error, "a source failed");
        let failed = self.failed(&error, counts, watched);
        self.stream.fail(error.clone(), failed.stands_until());
        self.show_problem(State::Failed, error.to_string(), Some(error.reason()));
        self.failed = Some(failed);
    }

    /// When to try again after a failure.
    fn failed(&self, error: &SourceError, counts: Counts, watched: &Watched) -> Failed {
        let now = Instant::now();
        let has_recovered = watched.live_since.is_some_and(|at| now.duration_since(at) >= RECOVERED_AFTER);
        let before = self.failed.as_ref().filter(|failed| !has_recovered && failed.is_of(watched.revision));
        let in_a_row = before.map_or(0, Failed::in_a_row) + 1;
        let percent = self.jittered(in_a_row);
        Failed::new(now, &Failure { error, counts, in_a_row, percent }, &self.config)
    }

    /// Between 100 - jitter and 100 + jitter percent.
    fn jittered(&self, in_a_row: usize) -> u32 {
        let jitter = u32::from(self.config.jitter.min(100));
        let part =
            self.randomness.hash_one((self.stream.name.as_str(), in_a_row)) % u64::from(2 * jitter + 1);
        100 - jitter + u32::try_from(part).unwrap_or(jitter)
    }

    fn show_running(&self, watched: &Watched) {
        let is_lingering = watched.linger_until.is_some();
        match watched.live_since {
            None => self.show(State::Starting, String::new()),
            Some(_) if is_lingering => self.show(State::Lingering, String::new()),
            Some(_) if watched.is_stalled => {
                let time = self.config.stall_after.as_secs_f64();
                self.show(State::Stalled, format!("nothing has come from the source for {time} s or more"));
            }
            Some(_) => self.show(State::Live, String::new()),
        }
    }

    fn show(&self, to: State, detail: String) {
        let reason = (to == State::Stalled).then_some(Reason::TimedOut);
        self.show_problem(to, detail, reason);
    }

    fn show_problem(&self, to: State, detail: String, reason: Option<Reason>) {
        self.stream.state.send_if_modified(|state| {
            if !to.is_running() {
                state.tracks.clear();
            }
            if state.state == to && state.detail == detail && state.reason == reason {
                return false;
            }
            state.state = to;
            state.detail = detail;
            state.reason = reason;
            state.again_at = None;
            state.since = Instant::now();
            true
        });
    }

    /// Known a moment after the failure itself, which must be seen even where nothing follows, and anew whenever somebody comes or goes.
    fn show_due(&self, due: Option<Instant>) {
        self.stream.state.send_if_modified(|state| {
            let is_news = state.state == State::Failed && state.again_at != due;
            if is_news {
                state.again_at = due;
            }
            is_news
        });
    }

    fn show_tracks(&self, generation: &Generation) {
        let tracks = generation.tracks.iter().map(|track| track.info().clone()).collect();
        self.stream.state.send_modify(|state| state.tracks = tracks);
    }
}

/// Waits until then; for ever without a time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Runs a source, whose panics are failures like others.
async fn guarded(
    source: Arc<dyn Source>,
    publisher: Publisher,
    stop: CancellationToken,
) -> Result<(), SourceError> {
    let run = AssertUnwindSafe(async move { source.run(publisher, stop).await }).catch_unwind().await;
    run.unwrap_or_else(|panic| {
        tracing::error!(panic = words(&*panic), "a source panicked");
        Err(SourceError::temporary("the source failed unexpectedly; the log of the service says more"))
    })
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Counts a transcoder that runs, at the stream for which it does.
struct Encoder(Option<Arc<Stream>>);

impl Encoder {
    fn of(stream: &Stream) -> Self {
        let Origin::Made(made) = &stream.origin else { return Self(None) };
        let of = made.of.upgrade();
        if let Some(of) = &of {
            of.state.send_modify(|state| state.encoders += 1);
        }
        Self(of)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(of) = &self.0 {
            of.state.send_modify(|state| state.encoders -= 1);
        }
    }
}
