//! The subscription connection: the channels that local subscribers want are the channels Redis is asked for. After
//! every reconnect all of them are asked for again and every subscriber is told of a gap.

use super::{
    RedisBackplane,
    backoff::Backoff,
    command::{Command, pipeline},
    keys::{self, Ending},
    link::Limits,
    session::{Endpoint, Session, unavailable},
    vitals::{Line, Vitals},
};
use crate::{
    Answer, BackplaneError, Epoch, Message, Name, Position, PubSub, Subscriber, SubscriptionControl,
    hub::{Hub, Outlet},
};
use ::redis::{PushInfo, PushKind, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Most channels in one request.
const BATCH: usize = 512;

/// First byte of a payload that is not a stream's entry; see `append.lua` for the other kind.
const PLAIN: u8 = b'0';
const ENTRY: u8 = b'1';

impl PubSub for RedisBackplane {
    fn publish(&self, channel: &Name, payload: Bytes) -> Answer<()> {
        let framed = [&[PLAIN], &payload[..]].concat();
        let command = Command::publish().key(keys::key(channel, Ending::Channel)).arg(Bytes::from(framed));
        self.link.call(command, |_receivers| Ok(()))
    }

    fn subscriber(&self, capacity: usize) -> Subscriber {
        let (outlet, events) = self.bus.hub.outlet(capacity);
        Subscriber { events, control: Arc::new(Subscription { bus: self.bus.clone(), outlet }) }
    }
}

/// Where changes of subscriptions go.
#[derive(Clone)]
pub(super) struct Bus {
    pub(super) hub: Arc<Hub>,
    // Bounded; when it is full, calls are refused, and what was to be unsubscribed is found by the next look over all.
    changes: mpsc::Sender<Change>,
    call_timeout: std::time::Duration,
}

/// What may have changed. What is wanted is asked of the hub when the change is handled, so that changes that
/// overtake each other do no harm.
enum Change {
    Channel(Name, oneshot::Sender<()>),
    Any,
}

impl Bus {
    /// Starts the connection's task.
    pub(super) fn start(
        endpoint: Endpoint,
        limits: Limits,
        vitals: Arc<Vitals>,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let hub = Arc::new(Hub::default());
        let (changes, receiver) = mpsc::channel(limits.queue.max(1));
        let worker = Worker {
            endpoint,
            limits,
            vitals,
            tasks: tasks.clone(),
            hub: hub.clone(),
            changes: receiver,
            routes: Arc::default(),
            waiting: Vec::new(),
        };
        let ended = hub.clone();
        tasks.spawn(async move {
            shutdown.run_until_cancelled(worker.run()).await;
            ended.close();
        });
        Self { hub, changes, call_timeout: limits.call_timeout }
    }

    fn changed(&self, channel: &Name) -> Answer<()> {
        let deadline = Instant::now() + self.call_timeout;
        let (done, confirmed) = oneshot::channel();
        let queued = self.changes.try_send(Change::Channel(channel.clone(), done));
        async move {
            queued.map_err(|_| unavailable("too many subscriptions wait for Redis"))?;
            match timeout_at(deadline, confirmed).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(unavailable("the backplane is closed")),
                Err(_) => Err(unavailable("no confirmation within the call timeout")),
            }
        }
        .boxed()
    }
}

struct Subscription {
    bus: Bus,
    outlet: Arc<Outlet>,
}

impl SubscriptionControl for Subscription {
    fn subscribe(&self, channel: &Name) -> Answer<()> {
        self.bus.hub.subscribe(channel, &self.outlet);
        self.bus.changed(channel)
    }

    fn unsubscribe(&self, channel: &Name) -> Answer<()> {
        if self.bus.hub.unsubscribe(channel, &self.outlet) {
            return self.bus.changed(channel);
        }
        std::future::ready(Ok(())).boxed()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.bus.hub.remove(&self.outlet).is_empty() {
            // When the queue is full, the next look over all channels comes with the next ping.
            drop(self.bus.changes.try_send(Change::Any));
        }
    }
}

/// Redis channels and the names they stand for.
type Routes = Arc<RwLock<HashMap<String, Name>>>;

struct Worker {
    endpoint: Endpoint,
    limits: Limits,
    vitals: Arc<Vitals>,
    tasks: TaskTracker,
    hub: Arc<Hub>,
    changes: mpsc::Receiver<Change>,
    routes: Routes,
    /// Whom to answer once what is wanted is subscribed.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Worker {
    /// Runs until dropped, or until nobody can ask for anything any more.
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut may_have_missed = false;
        loop {
            let (routes, hub) = (self.routes.clone(), self.hub.clone());
            let connected =
                self.endpoint.connect(&self.tasks, move |push| deliver(&routes, &hub, push)).await;
            let ended = match connected {
                Ok(session) => {
                    backoff.reset();
                    self.serve(session, may_have_missed).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            may_have_missed = true;
            self.vitals.tell(Line::PubSub, Some(error.to_string()));
            self.vitals.reconnects.fetch_add(1, Ordering::Relaxed);
            sleep(backoff.next()).await;
        }
    }

    async fn serve(&mut self, mut session: Session, may_have_missed: bool) -> Result<(), BackplaneError> {
        self.routes.write().clear();
        self.align_all(&mut session).await?;
        if may_have_missed {
            self.hub.gap_everywhere();
        }
        self.vitals.tell(Line::PubSub, None);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            // `recv_many` and `closed` are cancel-safe.
            tokio::select! {
                biased;
                () = session.closed() => return Err(unavailable("Redis closed the subscription connection")),
                taken = self.changes.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    self.handle(&mut session, batch.drain(..)).await?;
                }
                () = sleep(self.limits.ping_interval) => {
                    session.ping(self.limits.ping_interval).await?;
                    self.align_all(&mut session).await?;
                }
            }
        }
    }

    async fn handle(
        &mut self,
        session: &mut Session,
        changes: impl Iterator<Item = Change>,
    ) -> Result<(), BackplaneError> {
        let mut names = Vec::new();
        let mut look_over_all = false;
        for change in changes {
            match change {
                Change::Channel(name, done) => {
                    names.push(name);
                    self.waiting.push(done);
                }
                Change::Any => look_over_all = true,
            }
        }
        if look_over_all {
            return self.align_all(session).await;
        }
        self.align(session, names).await?;
        self.confirm();
        Ok(())
    }

    /// Brings every channel in line with the hub.
    async fn align_all(&mut self, session: &mut Session) -> Result<(), BackplaneError> {
        let mut names = self.hub.channels();
        names.extend(self.routes.read().values().cloned());
        for some in names.chunks(BATCH) {
            self.align(session, some.to_vec()).await?;
        }
        self.confirm();
        Ok(())
    }

    /// Subscribes to those of the channels that somebody wants, unsubscribes from the others.
    async fn align(&mut self, session: &mut Session, names: Vec<Name>) -> Result<(), BackplaneError> {
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        for name in names {
            let channel = keys::key(&name, Ending::Channel);
            let is_wanted = self.hub.has(&name);
            let mut routes = self.routes.write();
            if is_wanted && !routes.contains_key(&channel) {
                // The route stands before Redis is asked: messages may come before its confirmation.
                routes.insert(channel.clone(), name);
                subscribe.push(channel);
            } else if !is_wanted && routes.remove(&channel).is_some() {
                unsubscribe.push(channel);
            }
        }
        let (subscribe_verb, unsubscribe_verb) = (session.facts.subscribe(), session.facts.unsubscribe());
        self.request(session, unsubscribe_verb, unsubscribe).await?;
        self.request(session, subscribe_verb, subscribe).await
    }

    async fn request(
        &self,
        session: &mut Session,
        verb: &'static str,
        channels: Vec<String>,
    ) -> Result<(), BackplaneError> {
        if channels.is_empty() {
            return Ok(());
        }
        for confirmation in session.exchange(&pipeline(verb, channels)).await? {
            confirmation.extract_error().map_err(unavailable)?;
        }
        Ok(())
    }

    fn confirm(&mut self) {
        for done in self.waiting.drain(..) {
            // The caller may have gone.
            done.send(()).ok();
        }
    }
}

/// Hands a pushed message to the local subscribers; runs on the connection's task and never waits.
fn deliver(routes: &Routes, hub: &Hub, push: PushInfo) {
    if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
        return;
    }
    let Ok([Value::BulkString(channel), Value::BulkString(payload)]) = <[Value; 2]>::try_from(push.data)
    else {
        return;
    };
    let name = std::str::from_utf8(&channel).ok().and_then(|channel| routes.read().get(channel).cloned());
    // A channel that was unsubscribed a moment ago has no route any more.
    let Some(name) = name else { return };
    let Some((payload, position)) = read_payload(&payload.into()) else {
        return tracing::warn!(channel = %name, "a message on Redis is not from a backplane");
    };
    hub.deliver(&Message { channel: name, payload, position });
}

fn read_payload(framed: &Bytes) -> Option<(Bytes, Option<Position>)> {
    match *framed.first()? {
        PLAIN => Some((framed.slice(1..), None)),
        ENTRY => {
            let mut colons = framed.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
            let (first, second) = (colons.next()?, colons.next()?);
            let epoch = std::str::from_utf8(&framed[1..first]).ok()?;
            let offset = std::str::from_utf8(&framed[first + 1..second]).ok()?.parse().ok()?;
            Some((framed.slice(second + 1..), Some(Position { epoch: Epoch(epoch.into()), offset })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_told_apart() {
        assert_eq!(read_payload(&Bytes::from_static(b"0a:b")), Some((Bytes::from_static(b"a:b"), None)));
        let position = Position { epoch: Epoch("e1".into()), offset: 7 };
        let entry = read_payload(&Bytes::from_static(b"1e1:7:x:y"));
        assert_eq!(entry, Some((Bytes::from_static(b"x:y"), Some(position))));
        assert_eq!(read_payload(&Bytes::from_static(b"1e1")), None);
        assert_eq!(read_payload(&Bytes::new()), None);
    }
}
