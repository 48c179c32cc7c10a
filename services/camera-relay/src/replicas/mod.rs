//! The other replicas: how their cameras are, and who looks there.
//!
//! Each replica publishes a report of its cameras on the backplane, at once when something has changed and otherwise every second or two; reports
//! are kept in memory and believed for a few seconds, so that no call waits for them. Viewers are many and are not reported: whoever lists or kicks
//! them publishes a question, which those that it is for answer on the asker's own channel within [`PATIENCE`]. A replica that does not answer is left
//! out of a list, because it is most likely dead, and its viewers with it.

mod ask;
mod report;

pub use ask::{Question, SessionAct, SessionAnswer, SessionKeeper, SessionRequest};
pub use report::{CameraReport, Condition, TrackReport, merged};

use crate::{
    cameras::{CameraName, stream_of},
    core::Core,
};
use ask::{Answer, Asked};
use parking_lot::Mutex;
use patchbay_backplane::{Event, Message, Name, SharedBackplane, Subscriber};
use patchbay_chassis::Context;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Least time between two reports.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked whether there is something to report.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Least time between two reports that differ in counts and rates alone.
const COUNTS_AFTER: Duration = Duration::from_secs(1);

/// Longest time between two reports, though nothing has changed.
const REPEAT_AFTER: Duration = Duration::from_secs(2);

/// How long a report is believed.
const BELIEVED: Duration = Duration::from_secs(7);

/// Messages that may wait; more are lost: reports come again, and questions are asked again.
const QUEUE: usize = 1024;

/// How cameras are on a replica.
type Reported = BTreeMap<CameraName, CameraReport>;

/// What a replica tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Report {
    node: String,
    /// Cameras that do something, or have done since the replica began.
    cameras: Reported,
    /// It stops.
    #[serde(default)]
    farewell: bool,
}

impl Report {
    /// Whether another one says more than counts and rates.
    fn differs(&self, other: &Self) -> bool {
        let same = |(name, report): (&CameraName, &CameraReport)| {
            other.cameras.get(name).is_some_and(|other| !report.differs(other))
        };
        self.cameras.len() != other.cameras.len() || !self.cameras.iter().all(same)
    }
}

/// What is known of the others. Cheap to clone.
#[derive(Clone)]
pub struct Replicas {
    shared: Arc<Shared>,
}

struct Shared {
    node: Arc<str>,
    backplane: SharedBackplane,
    ids: patchbay_chassis::Ids,
    /// Reports of the others, and when they came.
    others: Mutex<BTreeMap<String, (Instant, Reported)>>,
    /// Who waits for answers, by the question's number.
    waiting: Mutex<HashMap<u64, mpsc::Sender<Answer>>>,
    /// Counts reports that say something new.
    changed: watch::Sender<u64>,
}

impl Replicas {
    /// Knows nobody yet.
    pub fn new(context: &Context) -> Self {
        let shared = Shared {
            node: Arc::clone(&context.node.0),
            backplane: context.backplane.clone(),
            ids: context.ids.clone(),
            others: Mutex::default(),
            waiting: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What the other replicas say of a camera, with their names.
    pub fn reports(&self, camera: &CameraName) -> Vec<(String, CameraReport)> {
        let others = self.shared.others.lock();
        let of_camera = others.iter().filter_map(|(node, (_, cameras))| Some((node, cameras.get(camera)?)));
        of_camera.map(|(node, report)| (node.clone(), report.clone())).collect()
    }

    /// The other replicas.
    pub fn others(&self) -> Vec<String> {
        self.shared.others.lock().keys().cloned().collect()
    }

    /// Changes when another replica says something new.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    fn hear(&self, report: Report) {
        let mut others = self.shared.others.lock();
        let is_news = if report.farewell {
            others.remove(&report.node).is_some()
        } else {
            let said = (Instant::now(), report.cameras);
            let before = others.insert(report.node, said.clone());
            before.is_none_or(|(_, before)| before != said.1)
        };
        drop(others);
        if is_news {
            self.shared.tell();
        }
    }

    /// Forgets those who have not said anything for long.
    fn forget(&self) {
        let mut others = self.shared.others.lock();
        let before = others.len();
        others.retain(|_, (heard, _)| heard.elapsed() < BELIEVED);
        let some_are_gone = others.len() < before;
        drop(others);
        if some_are_gone {
            self.shared.tell();
        }
    }

    async fn publish<T: Serialize>(&self, channel: &Name, what: &T) {
        let text = serde_json::to_vec(what).expect("strings and numbers always encode");
        if let Err(error) = self.shared.backplane.publish(channel, text.into()).await {
            tracing::debug!(%error, "could not tell the other replicas");
        }
    }
}

impl Shared {
    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn reports_channel() -> Name {
    Name::new("camera", "reports", "all")
}

fn questions_channel() -> Name {
    Name::new("camera", "questions", "all")
}

fn answers_channel(node: &str) -> Name {
    Name::new("camera", "answers", node)
}

impl Core {
    /// Tells the others and listens to them until `stop`.
    pub async fn exchange(self: Arc<Self>, stop: CancellationToken) {
        let mut heard = self.subscriber().await;
        let (mut cameras, mut viewers) = (self.cameras.changes(), self.viewers.changes());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last: Option<(Instant, Report)> = None;
        loop {
            // Cancel-safe: ticks and watches only say that it is time to look, and an event is lost only if it was taken.
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {}
                _ = cameras.changed() => {}
                _ = viewers.changed() => {}
                event = heard.recv() => match event {
                    None => break,
                    Some(Event::Gap) => continue,
                    Some(Event::Message(message)) => {
                        self.heard(&message).await;
                        continue;
                    }
                },
            }
            if last.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE) {
                tokio::time::sleep(PAUSE).await;
            }
            self.replicas.forget();
            self.report(&mut last).await;
        }
        let farewell = Report { node: self.context.node.to_string(), farewell: true, ..Report::default() };
        self.replicas.publish(&reports_channel(), &farewell).await;
    }

    async fn subscriber(&self) -> Subscriber {
        let heard = self.context.backplane.subscriber(QUEUE);
        let node = &self.replicas.shared.node;
        for channel in [reports_channel(), questions_channel(), answers_channel(node)] {
            // A subscription made while the backplane is away is made again when it is back.
            if let Err(error) = heard.subscribe(&channel).await {
                tracing::debug!(%error, "could not listen to the other replicas yet");
            }
        }
        heard
    }

    async fn report(&self, last: &mut Option<(Instant, Report)>) {
        let report =
            Report { node: self.context.node.to_string(), cameras: self.reported(), farewell: false };
        let is_due = last.as_ref().is_none_or(|(at, before)| {
            let age = at.elapsed();
            age >= REPEAT_AFTER || before.differs(&report) || (age >= COUNTS_AFTER && *before != report)
        });
        if is_due {
            self.replicas.publish(&reports_channel(), &report).await;
            *last = Some((Instant::now(), report));
        }
    }

    /// Another replica tells. What it captures can be had from there, whatever was wrong here before.
    fn hear_report(&self, report: Report) {
        if *report.node == *self.context.node.0 {
            return;
        }
        let is_captured = |report: &CameraReport| report.captures > 0 && report.condition == Condition::Live;
        for (camera, _) in report.cameras.iter().filter(|(_, report)| is_captured(report)) {
            self.hub.hasten(&stream_of(camera));
        }
        self.replicas.hear(report);
    }

    async fn heard(self: &Arc<Self>, message: &Message) {
        let understood = match message.channel.kind() {
            "reports" => serde_json::from_slice(&message.payload).map(|report| self.hear_report(report)),
            "answers" => {
                serde_json::from_slice(&message.payload).map(|answer| self.replicas.answered(answer))
            }
            _ => match serde_json::from_slice::<Asked>(&message.payload) {
                Ok(asked) => {
                    self.answer(asked).await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = understood {
            tracing::debug!(%error, "a message of another replica was not understood");
        }
    }
}
