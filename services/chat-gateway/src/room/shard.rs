//! The task that owns a share of the rooms.

use super::{
    fanout::Batch,
    handle::{Command, Subscribe},
    presence::Announcements,
    state::{Listener, Outcome, ReadPage, Reading, Room, RoomCount, Waiting},
    subscribing,
};
use crate::{
    connection::handle::Stage,
    gateway::Gateway,
    protocol::ids::{ConnectionId, RoomId},
};
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use patchbay_backplane::{BackplaneError, Cursor, Event, Name, Page, Position, Subscriber as BusSubscriber};
use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Events of the backplane that may wait for a shard; beyond, it is told of a gap and reads what it missed.
const BUS_QUEUE: usize = 16 * 1024;
/// What is taken from a queue before others get their turn.
const BURST: usize = 256;
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often positions are compared although nothing seems wrong: pub/sub delivers at most once.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// How soon they are compared again after a failure.
const CHECK_AGAIN: Duration = Duration::from_millis(500);
/// How long an empty room stays open, so that those who reconnect find it.
const LINGER: Duration = Duration::from_secs(15);
/// Listeners told before other tasks of the process get their turn.
const STRIDE: usize = 128;
/// A pass shorter than this is never followed by a wait.
const SHORT_PASS: Duration = Duration::from_micros(500);

/// A share of the rooms.
pub(super) struct Shard {
    pub(super) gateway: Arc<Gateway>,
    pub(super) rooms: HashMap<RoomId, Room>,
    pub(super) announcements: Announcements,
    mailbox: mpsc::Receiver<Command>,
    bus: BusSubscriber,
    by_channel: HashMap<Name, RoomId>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    dirty: HashSet<RoomId>,
    next_pass: Instant,
    check_at: Instant,
}

/// Work that was waited for.
enum Done {
    /// The room's channel is subscribed.
    Opened(RoomId, Result<Position, BackplaneError>),
    /// A part of the stream has been read; the number is the read's.
    Read(RoomId, u64, Result<Page, BackplaneError>),
    /// Positions have been compared.
    Checked(Vec<RoomId>, Result<Vec<Position>, BackplaneError>),
}

impl Shard {
    pub(super) fn new(gateway: Arc<Gateway>, mailbox: mpsc::Receiver<Command>) -> Self {
        let bus = gateway.context.backplane.subscriber(BUS_QUEUE);
        let now = Instant::now();
        Self {
            announcements: Announcements::new(&gateway),
            gateway,
            mailbox,
            bus,
            rooms: HashMap::new(),
            by_channel: HashMap::new(),
            work: FuturesUnordered::new(),
            dirty: HashSet::new(),
            next_pass: now,
            check_at: now + CHECK_EVERY,
        }
    }

    pub(super) async fn run(mut self) {
        let hard = self.gateway.context.shutdown.hard();
        let mut stopped = pin!(hard.cancelled());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next_pass = self.next_pass;
            // Every branch is cancel-safe: receivers, streams of futures that are kept, and timers.
            tokio::select! {
                () = &mut stopped => return,
                Some(event) = self.bus.recv() => self.on_events(event),
                Some(command) = self.mailbox.recv() => self.on_commands(command),
                Some(done) = self.work.next() => self.on_done(done),
                Some(()) = self.announcements.next() => {}
                () = tokio::time::sleep_until(next_pass.into()), if !self.dirty.is_empty() => {}
                _ = tick.tick() => self.on_tick(),
            }
            if !self.dirty.is_empty() && Instant::now() >= self.next_pass {
                self.pass().await;
            }
        }
    }

    fn on_events(&mut self, first: Event) {
        self.on_event(first);
        for _ in 1..BURST {
            let Some(event) = self.bus.try_recv() else { break };
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        let message = match event {
            Event::Gap => return self.check_at = Instant::now(),
            Event::Message(message) => message,
        };
        let Some(id) = self.by_channel.get(&message.channel) else { return };
        let Some(room) = self.rooms.get_mut(id) else { return };
        let outcome = room.message(message);
        let id = id.clone();
        self.after(&id, outcome);
    }

    fn on_commands(&mut self, first: Command) {
        self.on_command(first);
        for _ in 1..BURST {
            let Ok(command) = self.mailbox.try_recv() else { break };
            self.on_command(command);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Subscribe(subscribe) => self.subscribe(subscribe),
            Command::Leave { room, connection } => self.leave(&room, connection),
            Command::Renamed { room, subscriber } => self.rename(&room, subscriber),
            Command::Count(answer) => drop(answer.send(self.count())),
            Command::RenewPresence => self.announcements.renew(self.rooms.values()),
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Opened(id, Ok(top)) => {
                let Some(room) = self.rooms.get_mut(&id) else { return };
                let outcome = room.opened(top);
                self.after(&id, outcome);
                self.serve_waiting(&id, None);
            }
            Done::Opened(id, Err(error)) => {
                tracing::warn!(room = %id, %error, "could not open a room");
                self.refuse_waiting(&id);
                self.close(&id);
            }
            Done::Read(id, number, Ok(page)) => {
                let Some(room) = self.rooms.get_mut(&id) else { return };
                room.reading = Reading::Idle;
                let outcome = room.fill(&page);
                if outcome == Outcome::Lost {
                    self.lose(&id, page.top.clone());
                } else {
                    self.after(&id, outcome);
                }
                self.serve_waiting(&id, Some(&ReadPage { number, page }));
            }
            Done::Read(id, _, Err(error)) => {
                tracing::debug!(room = %id, %error, "could not read a room's stream");
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.reading = Reading::Idle;
                }
                self.refuse_waiting(&id);
                self.check_soon();
            }
            Done::Checked(ids, Ok(tops)) => {
                for (id, top) in ids.into_iter().zip(tops) {
                    self.checked(&id);
                    self.compare(&id, top);
                }
            }
            Done::Checked(ids, Err(error)) => {
                for id in &ids {
                    self.checked(id);
                }
                tracing::debug!(%error, "could not compare positions");
                self.check_soon();
            }
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if now >= self.check_at {
            self.check_at = now + CHECK_EVERY;
            let ids = self.rooms.values().filter(|room| room.timeline.is_some()).map(|room| room.id.clone());
            self.check(ids.collect());
        }
        let idle = self.rooms.values_mut().filter_map(|room| Some((room.idle_for(now)?, &room.id)));
        let idle: Vec<RoomId> = idle.filter(|(time, _)| *time > LINGER).map(|(_, id)| id.clone()).collect();
        for id in idle {
            self.close(&id);
        }
    }

    /// Acts on what a room made of something.
    pub(super) fn after(&mut self, id: &RoomId, outcome: Outcome) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if !room.pending.is_empty() && !self.dirty.contains(id) {
            self.dirty.insert(id.clone());
        }
        match outcome {
            Outcome::Fine => {}
            Outcome::Gap => self.read(id),
            Outcome::Check | Outcome::Lost => self.check(vec![id.clone()]),
        }
    }

    /// Finds a room, or opens it.
    pub(super) fn open(&mut self, id: &RoomId) -> &mut Room {
        if !self.rooms.contains_key(id) {
            let channel = Name::new("chat", "room", id.shared().clone());
            let policy = self.gateway.config.rooms.policy(id.as_str()).clone();
            self.by_channel.insert(channel.clone(), id.clone());
            let subscribed = self.bus.subscribe(&channel);
            let backplane = self.gateway.context.backplane.clone();
            let (opening, name) = (id.clone(), channel.clone());
            let work = async move {
                let top = match subscribed.await {
                    Ok(()) => backplane.tops(&[name]).await,
                    Err(error) => Err(error),
                };
                let top = top.and_then(|tops| {
                    tops.into_iter()
                        .next()
                        .ok_or_else(|| BackplaneError::Refused("no top was given".to_owned()))
                });
                Done::Opened(opening, top)
            };
            self.work.push(work.boxed());
            self.rooms.insert(id.clone(), Room::new(id.clone(), channel, policy));
            self.gateway.metrics.rooms.inc();
        }
        self.rooms.get_mut(id).expect("it was there or has just been inserted")
    }

    /// Reads what a gap or a waiting recovery needs, one read at a time for each room.
    pub(super) fn read(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Some(timeline) = &room.timeline else { return };
        if room.reading == Reading::UnderWay {
            return;
        }
        room.reading = Reading::UnderWay;
        room.reads += 1;
        let number = room.reads;
        let recovering = room.waiting.iter().filter_map(|waiting| waiting.subscribe.recover.as_ref());
        let wanted = recovering.map(|position| position.offset);
        let after = wanted.chain([timeline.position().offset]).min().unwrap_or(0);
        // One more than the room keeps, since a bound by length is approximate; a longer answer is no recovery.
        let limit = room.policy.history + 1;
        let page = self.gateway.context.backplane.read(&room.channel, Cursor::After(after), limit);
        let id = id.clone();
        self.work.push(async move { Done::Read(id, number, page.await) }.boxed());
    }

    /// Compares the positions of rooms with the backplane's, unless that is under way.
    fn check(&mut self, mut ids: Vec<RoomId>) {
        let mut names = Vec::with_capacity(ids.len());
        ids.retain(|id| match self.rooms.get_mut(id) {
            Some(room) if !room.checking => {
                room.checking = true;
                names.push(room.channel.clone());
                true
            }
            _ => false,
        });
        if names.is_empty() {
            return;
        }
        let tops = self.gateway.context.backplane.tops(&names);
        self.work.push(async move { Done::Checked(ids, tops.await) }.boxed());
    }

    fn checked(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.get_mut(id) {
            room.checking = false;
        }
    }

    fn check_soon(&mut self) {
        self.check_at = self.check_at.min(Instant::now() + CHECK_AGAIN);
    }

    fn compare(&mut self, id: &RoomId, top: Position) {
        let Some(room) = self.rooms.get(id) else { return };
        let Some(timeline) = &room.timeline else { return };
        if top.epoch != *timeline.epoch() {
            self.lose(id, top);
            self.serve_waiting(id, None);
        } else if top.offset > timeline.position().offset || room.has_gap {
            self.read(id);
        }
    }

    /// The stream moved on in a way that cannot be followed: everybody is asked to subscribe again, which tells them that
    /// nothing was recovered.
    fn lose(&mut self, id: &RoomId, top: Position) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        tracing::info!(room = %id, epoch = %top.epoch, offset = top.offset, "a room starts anew");
        self.gateway.metrics.rooms_lost.inc();
        room.tell_pending();
        room.restart(top);
        let leaving: Vec<ConnectionId> = (room.subscribers().values())
            .filter(|subscriber| !matches!(subscriber.listener, Listener::Classic { .. }))
            .map(|subscriber| subscriber.id)
            .collect();
        for connection in leaving {
            if let Some(subscriber) = room.remove(connection) {
                subscribing::tell_lost(room, &subscriber);
                self.announcements.forget(room, &subscriber);
            }
        }
    }

    fn leave(&mut self, id: &RoomId, connection: ConnectionId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.waiting.retain(|waiting| waiting.subscribe.subscriber.id != connection);
        let Some(subscriber) = room.remove(connection) else { return };
        self.announcements.left(room, &subscriber);
    }

    fn close(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        if !room.subscribers().is_empty() || !room.waiting.is_empty() {
            return;
        }
        // Answered when it is done; nothing hangs on it.
        drop(self.bus.unsubscribe(&room.channel));
        self.by_channel.remove(&room.channel);
        self.rooms.remove(id);
        self.dirty.remove(id);
        self.gateway.metrics.rooms.dec();
    }

    fn count(&self) -> Vec<RoomCount> {
        let occupied = self.rooms.values().filter(|room| !room.subscribers().is_empty());
        let count = |room: &Room| RoomCount {
            name: room.id.shared().clone(),
            clients: room.subscribers().values().filter(|s| s.profile.is_some()).count() as u64,
        };
        occupied.map(count).collect()
    }

    /// Tells everybody what is pending, and decides when that may happen again.
    async fn pass(&mut self) {
        let mut spent = Duration::ZERO;
        let mut delivered = 0;
        for id in std::mem::take(&mut self.dirty) {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            let items = std::mem::take(&mut room.pending);
            let mut batch = Batch::new(&room.id, &items);
            let mut started = cpu_time();
            for (index, subscriber) in room.subscribers().values().enumerate() {
                delivered += batch.tell(subscriber);
                if index % STRIDE == STRIDE - 1 {
                    spent += cpu_time().saturating_sub(started);
                    tokio::task::yield_now().await;
                    started = cpu_time();
                }
            }
            spent += cpu_time().saturating_sub(started);
            for watcher in batch.overrun() {
                room.remove(watcher);
            }
            room.settle();
        }
        self.gateway.metrics.delivered.inc_by(delivered as u64);
        let fanout = &self.gateway.config.fanout;
        let wait = if spent < SHORT_PASS {
            Duration::ZERO
        } else {
            (spent * (100 - fanout.duty_percent) / fanout.duty_percent).min(fanout.max_wait.duration())
        };
        self.next_pass = Instant::now() + wait;
    }

    fn subscribe(&mut self, subscribe: Subscribe) {
        // A connection that has ended meanwhile leaves no room that it was not in: nobody would take it out again.
        if subscribe.subscriber.connection().is_some_and(|connection| connection.stage() == Stage::Ending) {
            return subscribing::refuse(subscribe);
        }
        let id = subscribe.room.clone();
        let room = self.open(&id);
        room.waiting.push(Waiting { subscribe, after_read: room.reads });
        self.serve_waiting(&id, None);
    }
}

/// CPU time of this thread: unlike the clock it does not count the time in which others had the processor.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
