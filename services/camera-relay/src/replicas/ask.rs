//! Questions to other replicas, and their answers.

use super::{PATIENCE, Replicas, answers_channel, questions_channel};
use crate::{
    cameras::CameraName,
    core::Core,
    error::Error,
    viewers::{ViewerId, ViewerShown},
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::{sync::mpsc, time::Instant};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Viewers of a camera, or all, after an id, at most so many.
    List {
        /// Of this camera.
        camera: Option<CameraName>,
        /// After this one.
        after: Option<ViewerId>,
        /// So many.
        limit: usize,
    },
    /// One viewer.
    Find {
        /// Its id.
        id: ViewerId,
    },
    /// One viewer, who is sent away.
    Kick {
        /// Its id.
        id: ViewerId,
    },
    /// A viewer's own request for its session, which came to another replica than the session's.
    Session(SessionRequest),
}

/// A request for a session of WHEP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// Camera in the request's path.
    pub camera: String,
    /// The session, with what only its viewer knows.
    pub session: String,
    /// What it asks.
    pub act: SessionAct,
}

/// What is asked of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAct {
    /// To take a fragment.
    Change {
        /// Values of `If-Match`.
        tags: Vec<String>,
        /// The fragment.
        fragment: String,
    },
    /// To end.
    End,
}

/// What came of a request for a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAnswer {
    /// It is done, and there is nothing to say.
    Done,
    /// ICE was restarted.
    Restarted {
        /// Our new credentials, as a fragment.
        fragment: String,
        /// The new entity tag.
        tag: String,
    },
    /// It is not done.
    Refused {
        /// Status of HTTP.
        status: u16,
        /// Stable word.
        reason: String,
        /// Text for people.
        message: String,
    },
}

/// Who has the sessions of this replica.
pub trait SessionKeeper: Send + Sync {
    /// Does what a session is asked for.
    fn obey(&self, request: SessionRequest) -> BoxFuture<'static, SessionAnswer>;
}

/// A question on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    number: u64,
    from: String,
    /// One replica alone; all where there is none.
    to: Option<String>,
    question: Question,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    number: u64,
    #[serde(default)]
    viewers: Vec<ViewerShown>,
    #[serde(default)]
    session: Option<SessionAnswer>,
}

/// Waits for answers, and no longer when it is dropped.
struct Waiting<'a> {
    replicas: &'a Replicas,
    number: u64,
    answers: mpsc::Receiver<Answer>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.replicas.shared.waiting.lock().remove(&self.number);
    }
}

impl Core {
    /// Viewers of all replicas by id, and whether more follow.
    pub async fn ask_all(&self, question: Question) -> Result<(Vec<ViewerShown>, bool), Error> {
        let Question::List { limit, .. } = question else {
            return Err(Error::internal("one viewer is asked of one replica"));
        };
        let mut answers = vec![self.own_answer(&question)];
        let others = self.replicas.others().len();
        if others > 0 {
            let mut waiting = self.replicas.ask(None, question, others).await?;
            let deadline = Instant::now() + PATIENCE;
            while answers.len() <= others {
                let Ok(Some(answer)) = tokio::time::timeout_at(deadline, waiting.answers.recv()).await else {
                    tracing::debug!(answers = answers.len() - 1, others, "not all replicas answered");
                    break;
                };
                answers.push(answer.viewers);
            }
        }
        Ok(merge(answers, limit))
    }

    /// One viewer of one replica; `None` when it is not there.
    pub async fn ask(&self, replica: &str, question: Question) -> Result<Option<ViewerShown>, Error> {
        if *replica == *self.context.node.0 {
            return Ok(self.own_answer(&question).pop());
        }
        let answer = self.ask_other(replica, question).await?;
        Ok(answer.and_then(|answer| answer.viewers.into_iter().next()))
    }

    /// Hands a request to the replica that has the session; `None` when there is no such replica.
    pub async fn ask_session(
        &self,
        replica: &str,
        request: SessionRequest,
    ) -> Result<Option<SessionAnswer>, Error> {
        let answer = self.ask_other(replica, Question::Session(request)).await?;
        Ok(answer.and_then(|answer| answer.session))
    }

    async fn ask_other(&self, replica: &str, question: Question) -> Result<Option<Answer>, Error> {
        if !self.replicas.others().iter().any(|other| other == replica) {
            return Ok(None);
        }
        let mut waiting = self.replicas.ask(Some(replica), question, 1).await?;
        match tokio::time::timeout(PATIENCE, waiting.answers.recv()).await {
            Ok(Some(answer)) => Ok(Some(answer)),
            _ => Err(Error::ReplicaSilent(replica.to_owned())),
        }
    }

    /// Answers another replica.
    pub(super) async fn answer(self: &Arc<Self>, asked: Asked) {
        let node = &*self.context.node.0;
        if asked.from == node || asked.to.as_ref().is_some_and(|to| to != node) {
            return;
        }
        let Asked { number, from, question, .. } = asked;
        if let Question::Session(request) = question {
            self.answer_session(number, from, request);
            return;
        }
        let answer = Answer { number, viewers: self.own_answer(&question), session: None };
        self.replicas.publish(&answers_channel(&from), &answer).await;
    }

    /// A session may take a while, and other questions do not wait for it.
    fn answer_session(self: &Arc<Self>, number: u64, from: String, request: SessionRequest) {
        let Some(obeyed) = self.sessions.get().map(|keeper| keeper.obey(request)) else { return };
        let core = Arc::clone(self);
        let answering = async move {
            let answer = Answer { number, viewers: Vec::new(), session: Some(obeyed.await) };
            core.replicas.publish(&answers_channel(&from), &answer).await;
        };
        drop(self.context.tasks.spawn("answer-session", answering));
    }

    fn own_answer(&self, question: &Question) -> Vec<ViewerShown> {
        let viewers = &self.viewers;
        match question {
            Question::List { camera, after, limit } => viewers.list(camera.as_ref(), after.as_ref(), *limit),
            Question::Find { id } => viewers.find(id).into_iter().collect(),
            // Answered by whoever keeps the sessions.
            Question::Session(_) => Vec::new(),
            Question::Kick { id } => viewers.find(id).filter(|_| viewers.kick(id)).into_iter().collect(),
        }
    }
}

impl Replicas {
    async fn ask(&self, to: Option<&str>, question: Question, most: usize) -> Result<Waiting<'_>, Error> {
        let number = self.shared.ids.random_u64();
        // Room for one answer of each that is asked; what comes beyond is nobody's.
        let (sender, answers) = mpsc::channel(most.max(1));
        self.shared.waiting.lock().insert(number, sender);
        let waiting = Waiting { replicas: self, number, answers };
        let asked = Asked { number, from: self.shared.node.to_string(), to: to.map(str::to_owned), question };
        let text = serde_json::to_vec(&asked).map_err(Error::internal)?;
        self.shared.backplane.publish(&questions_channel(), text.into()).await?;
        Ok(waiting)
    }

    pub(super) fn answered(&self, answer: Answer) {
        let waiting = self.shared.waiting.lock().get(&answer.number).cloned();
        if let Some(waiting) = waiting {
            // Full means that more have answered than were asked.
            drop(waiting.try_send(answer));
        }
    }
}

/// Merges lists that are each ordered by id. Where one was cut at the limit, nothing beyond its end is certain.
fn merge(answers: Vec<Vec<ViewerShown>>, limit: usize) -> (Vec<ViewerShown>, bool) {
    let cut = answers.iter().filter(|answer| answer.len() >= limit).filter_map(|answer| answer.last());
    let bound = cut.map(|viewer| viewer.id.clone()).min();
    let mut all: Vec<_> = answers.into_iter().flatten().collect();
    if let Some(bound) = &bound {
        all.retain(|viewer| viewer.id <= *bound);
    }
    all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    (all, bound.is_some())
}
