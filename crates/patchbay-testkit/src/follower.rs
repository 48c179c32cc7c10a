//! A client that stays: it follows one room, comes back after every end with the position it has reached, and
//! may publish. What it saw is in its [`View`]; what was acknowledged to it is in its acks.

use crate::{
    chat::{Closed, Lines},
    view::{Close, Position, Seen, View, Violation},
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle, time};

/// How long a command may go unanswered before the client tries again on a new connection. The server answers
/// within its own limits, so this is far beyond them.
const SILENCE: Duration = Duration::from_secs(20);

/// Longest wait before coming back, unless the server named a longer one.
const BACK_OFF: Duration = Duration::from_millis(600);

/// Wait before a publication that was refused for a while is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What all followers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Follow, and publish at the interval.
    Run,
    /// Follow, and publish only what is begun.
    Settle,
    /// Close.
    Stop,
}

/// What a follower is to do.
#[derive(Clone)]
pub struct Plan {
    /// Name, and beginning of its keys.
    pub name: String,
    /// Token; the same user must come back, since idempotency keys are each user's own.
    pub token: String,
    /// Room.
    pub room: String,
    /// Addresses to connect to; after a failure the next one.
    pub urls: Arc<Vec<String>>,
    /// Which of them is first.
    pub first: usize,
    /// Interval of its publications; `None` for one that only listens.
    pub publish: Option<Duration>,
}

/// A publication that the server accepted.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Idempotency key.
    pub key: String,
    /// Where it stands.
    pub position: Position,
    /// When it was first sent.
    pub begun: Instant,
}

/// A running follower.
pub struct Follower {
    /// Room it follows.
    pub room: String,
    shared: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Record {
    view: View,
    acks: Vec<Ack>,
    live: bool,
    unfinished: bool,
    refusals: (usize, String),
}

impl Follower {
    /// Starts.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no context to spawn through; the handle is kept"
    )]
    pub fn start(plan: Plan, phase: watch::Receiver<Phase>) -> Self {
        let shared = Arc::new(Mutex::new(Record::default()));
        let room = plan.room.clone();
        let next_url = AtomicUsize::new(plan.first);
        let runner =
            Runner { plan, phase, shared: shared.clone(), next_url, pending: None, sent: 0, awaits: None };
        Self { room, shared, task: tokio::spawn(runner.run()) }
    }

    /// Where it is.
    pub fn position(&self) -> Option<Position> {
        self.shared.lock().view.position()
    }

    /// Whether it is subscribed at this moment.
    pub fn is_live(&self) -> bool {
        self.shared.lock().live
    }

    /// Whether it waits for the answer to a publication.
    pub fn is_publishing(&self) -> bool {
        self.shared.lock().unfinished
    }

    /// What it has seen so far.
    pub fn view(&self) -> View {
        self.shared.lock().view.clone()
    }

    /// What was acknowledged to it so far.
    pub fn acks(&self) -> Vec<Ack> {
        self.shared.lock().acks.clone()
    }

    /// Temporary refusals so far, and the newest.
    pub fn refusals(&self) -> (usize, String) {
        self.shared.lock().refusals.clone()
    }

    /// Waits for its end, after [`Phase::Stop`].
    pub async fn join(self) -> anyhow::Result<()> {
        Ok(time::timeout(SILENCE, self.task).await??)
    }
}

struct Pending {
    key: String,
    begun: Instant,
    /// When it goes out, or goes out again.
    due: time::Instant,
    sent: bool,
    /// Whether it was refused for want of a subscription: once may be because the server had just ended it.
    denied: bool,
}

struct Runner {
    plan: Plan,
    phase: watch::Receiver<Phase>,
    shared: Arc<Mutex<Record>>,
    next_url: AtomicUsize,
    pending: Option<Pending>,
    sent: u64,
    /// Since when a command waits for its answer.
    awaits: Option<time::Instant>,
}

/// Ids of its commands: only one of each kind is ever on its way.
const CONNECT: u64 = 1;
const SUBSCRIBE: u64 = 2;
const PUBLISH: u64 = 3;

#[derive(Deserialize)]
struct Incoming<'a> {
    id: Option<u64>,
    result: Option<Answer>,
    error: Option<Refusal>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    epoch: String,
    offset: u64,
    recovered: bool,
    publications: Vec<Publication>,
}

#[derive(Deserialize)]
struct Refusal {
    code: u32,
    message: String,
    temporary: bool,
}

#[derive(Deserialize)]
struct Push<'a> {
    channel: &'a str,
    #[serde(rename = "pub")]
    publication: Option<Publication>,
    unsub: Option<Unsub>,
}

#[derive(Deserialize)]
struct Publication {
    offset: u64,
    #[serde(default)]
    key: String,
}

#[derive(Deserialize)]
struct Unsub {
    code: u32,
}

impl From<Publication> for Seen {
    fn from(publication: Publication) -> Self {
        Self { offset: publication.offset, key: publication.key }
    }
}

impl Runner {
    async fn run(mut self) {
        while *self.phase.borrow() != Phase::Stop {
            let wait = match self.connection().await {
                Ok(_) if *self.phase.borrow() == Phase::Stop => return,
                Ok(closed) => self.note_close(&closed),
                Err(_) => BACK_OFF,
            };
            self.next_url.fetch_add(1, Ordering::Relaxed);
            let jitter = wait.mul_f64(0.2 + 0.8 * rand::random::<f64>());
            tokio::select! {
                () = time::sleep(jitter) => {}
                () = stopped(self.phase.clone()) => {}
            }
        }
    }

    fn note_close(&self, closed: &Closed) -> Duration {
        let close = Close { code: closed.code, at: Instant::now() };
        self.shared.lock().view.closes.push(close);
        let named: serde_json::Value = serde_json::from_str(&closed.reason).unwrap_or_default();
        named["reconnect_after_ms"].as_u64().map_or(BACK_OFF, Duration::from_millis)
    }

    /// One connection, from its opening to its end.
    async fn connection(&mut self) -> anyhow::Result<Closed> {
        let urls = &self.plan.urls;
        let url = &urls[self.next_url.load(Ordering::Relaxed) % urls.len()];
        let mut lines = Lines::open(url, Some("patchbay.v1.json"), None).await?;
        if let Some(pending) = &mut self.pending {
            pending.sent = false;
        }
        let hello = json!({"id": CONNECT, "connect": {"token": self.plan.token}});
        let end = match self.command(&mut lines, hello).await {
            Ok(()) => self.follow(&mut lines).await,
            Err(closed) => closed,
        };
        self.shared.lock().live = false;
        lines.close().await;
        Ok(end)
    }

    async fn follow(&mut self, lines: &mut Lines) -> Closed {
        let phase = self.phase.clone();
        loop {
            let awaits = self.awaits;
            let step = tokio::select! {
                line = lines.next() => match line {
                    Ok(line) => self.receive(&line, lines).await,
                    Err(closed) => Err(closed),
                },
                () = self.publication_due() => self.publish(lines).await,
                () = overdue(awaits) => Err(self.unanswered()),
                () = stopped(phase.clone()) => Err(Closed { code: 1000, reason: String::new() }),
            };
            if let Err(closed) = step {
                return closed;
            }
        }
    }

    fn unanswered(&self) -> Closed {
        let violation = Violation::Other(format!("a command was not answered within {SILENCE:?}"));
        self.shared.lock().view.violations.push(violation);
        Closed { code: 1006, reason: "no answer".to_owned() }
    }

    /// Sends a command that must be answered.
    async fn command(&mut self, lines: &mut Lines, command: serde_json::Value) -> Result<(), Closed> {
        self.awaits = Some(time::Instant::now());
        lines.send(command.to_string()).await
    }

    /// Waits until a publication is to be sent; for ever where there is none. Cancel-safe.
    async fn publication_due(&mut self) {
        if self.pending.is_none() && *self.phase.borrow() == Phase::Run {
            self.begin_publication();
        }
        match &self.pending {
            Some(pending) if !pending.sent && self.is_live() => time::sleep_until(pending.due).await,
            _ => std::future::pending().await,
        }
    }

    fn is_live(&self) -> bool {
        self.shared.lock().live
    }

    fn begin_publication(&mut self) {
        let Some(interval) = self.plan.publish else { return };
        self.sent += 1;
        let key = format!("{}-{}", self.plan.name, self.sent);
        let wait = interval.mul_f64(0.5 + rand::random::<f64>());
        self.pending = Some(Pending {
            key,
            begun: Instant::now(),
            due: time::Instant::now() + wait,
            sent: false,
            denied: false,
        });
    }

    async fn publish(&mut self, lines: &mut Lines) -> Result<(), Closed> {
        let Some(key) = self.mark_sent() else { return Ok(()) };
        let fields = json!({"channel": self.plan.room, "data": key, "key": key});
        self.command(lines, json!({"id": PUBLISH, "publish": fields})).await
    }

    /// Marks the publication as begun and returns its key; drops one that is not begun once no more may begin.
    /// The phase is read under the record's lock, so that whoever set it and then looks sees what is begun.
    fn mark_sent(&mut self) -> Option<String> {
        let mut record = self.shared.lock();
        if !record.unfinished && *self.phase.borrow() != Phase::Run {
            self.pending = None;
            return None;
        }
        let pending = self.pending.as_mut()?;
        if !record.unfinished {
            pending.begun = Instant::now();
        }
        pending.sent = true;
        record.unfinished = true;
        Some(pending.key.clone())
    }

    async fn receive(&mut self, line: &str, lines: &mut Lines) -> Result<(), Closed> {
        if line == "{}" {
            return lines.send("{}").await;
        }
        match serde_json::from_str::<Incoming<'_>>(line) {
            Ok(Incoming { push: Some(push), .. }) => self.pushed(push, lines).await,
            Ok(Incoming { id: Some(id), result: Some(answer), .. }) => self.answered(id, answer, lines).await,
            Ok(Incoming { id: Some(id), error: Some(refusal), .. }) => {
                self.refused(id, &refusal, lines).await
            }
            _ => self.violation(format!("not understood: {line}")),
        }
    }

    async fn pushed(&mut self, push: Push<'_>, lines: &mut Lines) -> Result<(), Closed> {
        if push.channel != self.plan.room {
            return self.violation(format!("a push for {}", push.channel));
        }
        if let Some(publication) = push.publication {
            let mut record = self.shared.lock();
            if record.live {
                record.view.published(publication.into());
            } else {
                record
                    .view
                    .violations
                    .push(Violation::Other("a publication without a subscription".to_owned()));
            }
        }
        match push.unsub {
            Some(unsub) if unsub.code >= 2500 => {
                self.shared.lock().live = false;
                self.subscribe(lines).await
            }
            Some(unsub) => self.violation(format!("unsubscribed for good: {}", unsub.code)),
            None => Ok(()),
        }
    }

    async fn answered(&mut self, id: u64, answer: Answer, lines: &mut Lines) -> Result<(), Closed> {
        let position = Position { epoch: answer.epoch, offset: answer.offset };
        self.awaits = None;
        match id {
            CONNECT => self.subscribe(lines).await,
            SUBSCRIBE => {
                let mut record = self.shared.lock();
                let publications = answer.publications.into_iter().map(Into::into).collect();
                record.view.subscribed(position, answer.recovered, publications);
                record.live = true;
                Ok(())
            }
            PUBLISH => {
                let mut record = self.shared.lock();
                if let Some(Pending { key, begun, .. }) = self.pending.take() {
                    record.acks.push(Ack { key, position, begun });
                }
                record.unfinished = false;
                Ok(())
            }
            _ => self.violation(format!("an answer to command {id}")),
        }
    }

    async fn refused(&mut self, id: u64, refusal: &Refusal, lines: &mut Lines) -> Result<(), Closed> {
        self.awaits = None;
        let what = format!("command {id}: {} {}", refusal.code, refusal.message);
        if !refusal.temporary && !self.was_unsubscribed(id, refusal) {
            self.give_up();
            return self.violation(what);
        }
        self.note_refusal(what);
        match (id, &mut self.pending) {
            (PUBLISH, Some(pending)) => {
                pending.sent = false;
                pending.due = time::Instant::now() + RETRY;
                Ok(())
            }
            (SUBSCRIBE, _) => {
                time::sleep(RETRY).await;
                self.subscribe(lines).await
            }
            // Coming back is the way to try `connect` again.
            _ => Err(Closed { code: 1000, reason: refusal.message.clone() }),
        }
    }

    /// Whether a publication crossed the server's word that the subscription has ended.
    fn was_unsubscribed(&mut self, id: u64, refusal: &Refusal) -> bool {
        const DENIED: u32 = 103;
        let Some(pending) = &mut self.pending else { return false };
        id == PUBLISH && refusal.code == DENIED && !std::mem::replace(&mut pending.denied, true)
    }

    fn give_up(&mut self) {
        self.pending = None;
        self.shared.lock().unfinished = false;
    }

    fn note_refusal(&self, what: String) {
        let (count, newest) = &mut self.shared.lock().refusals;
        *count += 1;
        *newest = what;
    }

    async fn subscribe(&mut self, lines: &mut Lines) -> Result<(), Closed> {
        let mut fields = json!({"channel": self.plan.room});
        let position = self.shared.lock().view.position();
        if let Some(Position { epoch, offset }) = position {
            fields["recover"] = json!({"epoch": epoch, "offset": offset});
        }
        self.command(lines, json!({"id": SUBSCRIBE, "subscribe": fields})).await
    }

    #[expect(clippy::unnecessary_wraps, reason = "so that it can stand at the end of a step")]
    fn violation(&self, what: String) -> Result<(), Closed> {
        self.shared.lock().view.violations.push(Violation::Other(what));
        Ok(())
    }
}

async fn stopped(mut phase: watch::Receiver<Phase>) {
    // A sender that is gone is an end too.
    drop(phase.wait_for(|phase| *phase == Phase::Stop).await);
}

async fn overdue(awaits: Option<time::Instant>) {
    match awaits {
        Some(since) => time::sleep_until(since + SILENCE).await,
        None => std::future::pending().await,
    }
}
