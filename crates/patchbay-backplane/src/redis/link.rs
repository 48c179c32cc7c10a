//! The command connection: every call of every caller goes through one queue to one task, which sends all that
//! waits as one pipeline. Under load the batches grow by themselves, and round trips per call fall; idle, a call
//! goes out at once. One batch is in flight at a time: that keeps the order of calls plain, and the next batch
//! gathers meanwhile.

use super::{
    backoff::Backoff,
    command::Command,
    session::{Endpoint, Session, unavailable},
    vitals::{Line, Vitals},
};
use crate::{Answer, BackplaneError};
use ::redis::{Pipeline, ServerErrorKind, Value};
use futures_util::{FutureExt, future::join_all};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where calls go.
#[derive(Clone)]
pub(super) struct Link {
    // Bounded; when it is full, calls are refused. While Redis is away calls wait here until their deadline.
    queue: mpsc::Sender<Call>,
    timeout: Duration,
}

struct Call {
    command: Command,
    deadline: Instant,
    answer: oneshot::Sender<Result<Value, BackplaneError>>,
}

/// Limits of the connection.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) call_timeout: Duration,
    pub(super) ping_interval: Duration,
}

impl Link {
    /// Starts the connection's task.
    pub(super) fn start(
        endpoint: Endpoint,
        limits: Limits,
        vitals: Arc<Vitals>,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (queue, calls) = mpsc::channel(limits.queue.max(1));
        let worker = Worker { endpoint, limits, vitals, tasks: tasks.clone(), shutdown, calls };
        tasks.spawn(worker.run());
        Self { queue, timeout: limits.call_timeout }
    }

    /// Queues a command now and answers with what `read` makes of the reply.
    pub(super) fn call<T: Send + 'static>(
        &self,
        command: Command,
        read: impl FnOnce(Value) -> Result<T, BackplaneError> + Send + 'static,
    ) -> Answer<T> {
        let reply = self.queue(command);
        async move { read(reply.await?) }.boxed()
    }

    /// Queues several commands now and answers with all replies, or with the first failure.
    pub(super) fn call_all<T: Send + 'static>(
        &self,
        commands: impl IntoIterator<Item = Command>,
        read: impl Fn(Value) -> Result<T, BackplaneError> + Send + 'static,
    ) -> Answer<Vec<T>> {
        let replies: Vec<_> = commands.into_iter().map(|command| self.queue(command)).collect();
        async move { join_all(replies).await.into_iter().map(|reply| read(reply?)).collect() }.boxed()
    }

    fn queue(&self, command: Command) -> impl Future<Output = Result<Value, BackplaneError>> + Send + use<> {
        let deadline = Instant::now() + self.timeout;
        let (answer, reply) = oneshot::channel();
        let queued = self.queue.try_send(Call { command, deadline, answer });
        async move {
            queued.map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => unavailable("too many calls wait for Redis"),
                mpsc::error::TrySendError::Closed(_) => unavailable("the backplane is closed"),
            })?;
            match timeout_at(deadline, reply).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => Err(unavailable("the backplane is closed")),
                Err(_) => Err(unavailable("no answer within the call timeout")),
            }
        }
    }
}

struct Worker {
    endpoint: Endpoint,
    limits: Limits,
    vitals: Arc<Vitals>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    calls: mpsc::Receiver<Call>,
}

impl Worker {
    async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        let mut backoff = Backoff::default();
        loop {
            let connecting = self.endpoint.connect(&self.tasks, drop);
            let Some(connected) = shutdown.run_until_cancelled(connecting).await else { return };
            let ended = match connected {
                Ok(session) => {
                    backoff.reset();
                    self.vitals.tell(Line::Commands, None);
                    self.serve(session).await
                }
                Err(error) => Err(error),
            };
            // `Ok` means that no more calls will come.
            let Err(error) = ended else { return };
            self.vitals.tell(Line::Commands, Some(error.to_string()));
            self.vitals.reconnects.fetch_add(1, Ordering::Relaxed);
            if shutdown.run_until_cancelled(sleep(backoff.next())).await.is_none() {
                return;
            }
        }
    }

    /// Serves calls until the connection fails, or until shutdown and all that was queued before it is done.
    async fn serve(&mut self, mut session: Session) -> Result<(), BackplaneError> {
        let mut batch = Vec::with_capacity(self.limits.batch);
        loop {
            // `recv_many`, `closed` and `cancelled` are cancel-safe.
            tokio::select! {
                biased;
                taken = self.calls.recv_many(&mut batch, self.limits.batch) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    self.exchange(&mut session, &mut batch).await?;
                }
                () = session.closed() => return Err(unavailable("Redis closed the connection")),
                () = self.shutdown.cancelled(), if !self.calls.is_closed() => self.calls.close(),
                () = sleep(self.limits.ping_interval) => session.ping(self.limits.ping_interval).await?,
            }
        }
    }

    async fn exchange(&self, session: &mut Session, batch: &mut Vec<Call>) -> Result<(), BackplaneError> {
        let now = Instant::now();
        batch.retain(|call| call.deadline > now);
        let replies = match self.send(session, batch).await {
            Ok(replies) => replies,
            Err(error) => {
                for call in batch.drain(..) {
                    // The caller may have gone; so below.
                    drop(call.answer.send(Err(error.clone())));
                }
                return Err(error);
            }
        };
        for (call, reply) in batch.drain(..).zip(replies) {
            drop(call.answer.send(checked(reply)));
        }
        Ok(())
    }

    /// Sends a batch; those whose script the server had forgotten are sent again, in their order.
    async fn send(&self, session: &mut Session, batch: &[Call]) -> Result<Vec<Value>, BackplaneError> {
        let mut replies = self.send_once(session, batch.iter()).await?;
        let forgotten: Vec<usize> =
            (0..replies.len()).filter(|index| has_no_script(&replies[*index])).collect();
        if forgotten.is_empty() {
            return Ok(replies);
        }
        session.load_scripts().await?;
        let again = self.send_once(session, forgotten.iter().map(|index| &batch[*index])).await?;
        for (index, reply) in forgotten.into_iter().zip(again) {
            replies[index] = reply;
        }
        Ok(replies)
    }

    async fn send_once<'a>(
        &self,
        session: &mut Session,
        calls: impl Iterator<Item = &'a Call>,
    ) -> Result<Vec<Value>, BackplaneError> {
        let mut pipeline = Pipeline::new();
        for call in calls {
            pipeline.add_command(call.command.build(&session.facts));
        }
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        self.vitals.commands.fetch_add(pipeline.len() as u64, Ordering::Relaxed);
        self.vitals.round_trips.fetch_add(1, Ordering::Relaxed);
        let stalled = sleep(self.limits.ping_interval);
        tokio::pin!(stalled);
        let exchange = session.exchange(&pipeline);
        tokio::pin!(exchange);
        // A server that stands still is told as down long before its calls are given up.
        tokio::select! {
            replies = &mut exchange => return replies,
            () = &mut stalled => self.vitals.tell(Line::Commands, Some("no answer from Redis".into())),
        }
        let replies = exchange.await;
        if replies.is_ok() {
            self.vitals.tell(Line::Commands, None);
        }
        replies
    }
}

/// Tells a server that cannot serve now from one that does not like the command.
fn checked(reply: Value) -> Result<Value, BackplaneError> {
    let Value::ServerError(error) = reply else { return Ok(reply) };
    let reason = format!("{} {}", error.code(), error.details().unwrap_or_default());
    Err(match error.kind() {
        Some(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::TryAgain,
        ) => BackplaneError::Unavailable(reason),
        _ => BackplaneError::Refused(reason),
    })
}

fn has_no_script(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}
