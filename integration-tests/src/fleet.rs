//! Many clients over several gateways, and what must hold over all that they saw together.

use anyhow::{Result, bail, ensure};
use patchbay_testkit::{
    chat::ChatClient,
    follower::{Ack, Follower, Phase, Plan},
    keys::Keys,
    view::{Position, Seen, View},
    wait::wait_until,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Time for things that have no goal of their own.
const PATIENCE: Duration = Duration::from_mins(1);

/// How large a fleet is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients over all rooms and gateways.
    pub clients: usize,
    /// Rooms, among which clients are divided.
    pub rooms: usize,
    /// Clients in each room that publish.
    pub publishers: usize,
    /// Mean interval between the publications of one.
    pub interval: Duration,
}

/// The clients.
pub struct Fleet {
    followers: Vec<Follower>,
    phase: watch::Sender<Phase>,
    rooms: Vec<String>,
}

/// The end of a run: what was seen, what was acknowledged, what is stored.
pub struct Outcome {
    /// Views with their rooms.
    pub views: Vec<(String, View)>,
    /// What was acknowledged, by room.
    pub acks: BTreeMap<String, Vec<Ack>>,
    /// What is stored, by room: epoch, and publications oldest first.
    pub stored: BTreeMap<String, (String, Vec<Seen>)>,
}

impl Fleet {
    /// Starts all clients, and waits until each is subscribed.
    pub async fn start(urls: Vec<String>, keys: &Keys, prefix: &str, size: Size) -> Result<Self> {
        let (phase, watched) = watch::channel(Phase::Run);
        let urls = Arc::new(urls);
        let rooms: Vec<String> = (0..size.rooms).map(|room| format!("{prefix}{room}")).collect();
        let mut followers = Vec::with_capacity(size.clients);
        for number in 0..size.clients {
            let publishes = number / size.rooms < size.publishers;
            let name = format!("{prefix}c{number}");
            let plan = Plan {
                token: keys.token(&name, &["chat:subscribe:*", "chat:publish:*"])?,
                name,
                room: rooms[number % size.rooms].clone(),
                urls: urls.clone(),
                // Apart from the division into rooms, so that each room is on every gateway.
                first: number / size.rooms,
                publish: publishes.then_some(size.interval),
            };
            followers.push(Follower::start(plan, watched.clone()));
        }
        let fleet = Self { followers, phase, rooms };
        fleet.wait_live("all clients are subscribed", PATIENCE).await?;
        Ok(fleet)
    }

    /// Number of clients.
    pub fn len(&self) -> usize {
        self.followers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.followers.is_empty()
    }

    /// Rooms.
    pub fn rooms(&self) -> &[String] {
        &self.rooms
    }

    /// Waits until every client is subscribed.
    pub async fn wait_live(&self, what: &str, deadline: Duration) -> Result<Duration> {
        wait_until(what, deadline, async || self.followers.iter().all(Follower::is_live)).await
    }

    /// Waits until messages flow again: in every room a publication that was begun from now on is acknowledged and
    /// has reached every client.
    pub async fn wait_flowing(&self, what: &str, deadline: Duration) -> Result<Duration> {
        let from = Instant::now();
        wait_until(what, deadline, async || self.rooms.iter().all(|room| self.flows(room, from))).await
    }

    fn flows(&self, room: &str, from: Instant) -> bool {
        let members: Vec<&Follower> =
            self.followers.iter().filter(|follower| follower.room == room).collect();
        let fresh = members.iter().flat_map(|follower| follower.acks()).filter(|ack| ack.begun >= from);
        let Some(first) = fresh.map(|ack| ack.position).min_by_key(|position| position.offset) else {
            return false;
        };
        members.iter().all(|follower| has_reached(follower.position(), &first))
    }

    /// Stops publishing, waits until every client has seen everything, and reads what is stored.
    pub async fn finish(self, url: &str) -> Result<Outcome> {
        self.phase.send_replace(Phase::Settle);
        let settled = async || !self.followers.iter().any(Follower::is_publishing);
        if let Err(error) = wait_until("every publication is answered", PATIENCE, settled).await {
            bail!("{error}: {}", self.describe(Follower::is_publishing));
        }
        let mut reader = ChatClient::guest(url, "reader").await?;
        let mut stored = BTreeMap::new();
        for room in &self.rooms {
            stored.insert(room.clone(), read_history(&mut reader, room).await?);
        }
        reader.close().await;
        self.wait_caught_up(&stored).await?;
        self.phase.send_replace(Phase::Stop);
        let mut outcome = Outcome { views: Vec::new(), acks: BTreeMap::new(), stored };
        for follower in self.followers {
            let room = follower.room.clone();
            outcome.views.push((room.clone(), follower.view()));
            outcome.acks.entry(room).or_default().extend(follower.acks());
            follower.join().await?;
        }
        Ok(outcome)
    }

    /// Tells of the first few clients of which something is true.
    fn describe(&self, which: impl Fn(&Follower) -> bool) -> String {
        let chosen: Vec<&Follower> = self.followers.iter().filter(|follower| which(follower)).collect();
        let some = chosen.iter().take(3).map(|follower| {
            let View { violations, closes, .. } = follower.view();
            let (room, live, position) = (&follower.room, follower.is_live(), follower.position());
            format!(
                "{room}, live {live}, at {position:?}, {violations:?}, {closes:?}, {:?}",
                follower.refusals()
            )
        });
        format!("{} clients: {}", chosen.len(), some.collect::<Vec<_>>().join("; "))
    }

    async fn wait_caught_up(&self, stored: &BTreeMap<String, (String, Vec<Seen>)>) -> Result<()> {
        let caught_up = |follower: &Follower| {
            let (epoch, publications) = &stored[&follower.room];
            let top = publications.last().map_or(0, |seen| seen.offset);
            has_reached(follower.position(), &Position { epoch: epoch.clone(), offset: top })
        };
        let all =
            wait_until("all clients have caught up", PATIENCE, async || self.followers.iter().all(caught_up));
        if let Err(error) = all.await {
            bail!("{error}: {}", self.describe(|follower| !caught_up(follower)));
        }
        Ok(())
    }
}

fn has_reached(position: Option<Position>, goal: &Position) -> bool {
    position.is_some_and(|position| position.epoch == goal.epoch && position.offset >= goal.offset)
}

/// Reads a room's whole history as a client does, page by page.
pub async fn read_history(client: &mut ChatClient, room: &str) -> Result<(String, Vec<Seen>)> {
    client.call("subscribe", json!({"channel": room})).await?;
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = client.call("history", json!({"channel": room, "after": after, "limit": 300})).await?;
        let publications = page["publications"].as_array().cloned().unwrap_or_default();
        all.extend(publications.iter().map(seen));
        after = all.last().map_or(0, |last: &Seen| last.offset);
        if page["more"] != json!(true) {
            client.call("unsubscribe", json!({"channel": room})).await?;
            return Ok((page["epoch"].as_str().unwrap_or_default().to_owned(), all));
        }
    }
}

fn seen(publication: &Value) -> Seen {
    let key = publication["key"].as_str().unwrap_or_default().to_owned();
    Seen { offset: publication["offset"].as_u64().unwrap_or_default(), key }
}

impl Outcome {
    /// Recoveries that were refused, over all clients.
    pub fn lost(&self) -> usize {
        self.views.iter().map(|(_, view)| view.lost.len()).sum()
    }

    /// Recoveries that were whole, over all clients.
    pub fn recovered(&self) -> usize {
        self.views.iter().map(|(_, view)| view.recovered).sum()
    }

    /// How often each close code was seen.
    pub fn closes(&self) -> BTreeMap<u16, usize> {
        let mut counts = BTreeMap::new();
        for close in self.views.iter().flat_map(|(_, view)| &view.closes) {
            *counts.entry(close.code).or_default() += 1;
        }
        counts
    }

    /// No client saw a gap, a repeat or a partial recovery.
    pub fn check_views(&self) -> Result<()> {
        let bad = self.views.iter().filter(|(_, view)| !view.violations.is_empty());
        let bad: Vec<_> = bad.map(|(room, view)| (room, &view.violations)).collect();
        ensure!(
            bad.is_empty(),
            "{} clients have violations, such as {:?}",
            bad.len(),
            bad.iter().take(3).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// The same place holds the same publication, for all clients and in what is stored.
    pub fn check_agreement(&self) -> Result<()> {
        let mut known: HashMap<(&str, &str, u64), &str> = HashMap::new();
        for (room, (epoch, publications)) in &self.stored {
            known.extend(
                publications
                    .iter()
                    .map(|seen| ((room.as_str(), epoch.as_str(), seen.offset), seen.key.as_str())),
            );
        }
        for (room, view) in &self.views {
            for segment in &view.segments {
                for seen in &segment.seen {
                    let place = (room.as_str(), segment.start.epoch.as_str(), seen.offset);
                    let first = known.entry(place).or_insert(&seen.key);
                    ensure!(*first == seen.key, "{place:?} is {first} to one and {} to another", seen.key);
                }
            }
        }
        Ok(())
    }

    /// Every acknowledged publication is stored exactly once, where its acknowledgement said. Those of an epoch
    /// that is over are left out when `over` says that the server's data was lost.
    pub fn check_acknowledged(&self, over: DataLoss) -> Result<()> {
        for (room, acks) in &self.acks {
            let (epoch, publications) = &self.stored[room];
            let mut offsets: HashMap<&str, Vec<u64>> = HashMap::new();
            for seen in publications {
                offsets.entry(&seen.key).or_default().push(seen.offset);
            }
            for ack in acks.iter().filter(|ack| over == DataLoss::None || ack.position.epoch == *epoch) {
                let found = offsets.get(ack.key.as_str()).cloned().unwrap_or_default();
                ensure!(
                    ack.position.epoch == *epoch && found == [ack.position.offset],
                    "{} was acknowledged in {room} at {:?}, and is stored in {epoch} at {found:?}",
                    ack.key,
                    ack.position
                );
            }
        }
        Ok(())
    }

    /// A recovery was refused only where the epoch had changed or more had passed than the room keeps.
    pub fn check_lost(&self, window: u64) -> Result<()> {
        for (room, view) in &self.views {
            for lost in &view.lost {
                let exceeded = lost.to.offset.saturating_sub(lost.from.offset) > window;
                ensure!(lost.from.epoch != lost.to.epoch || exceeded, "in {room}, without need: {lost:?}");
            }
        }
        Ok(())
    }
}

/// Whether the server's data was lost on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLoss {
    /// It was not: every acknowledgement must hold.
    None,
    /// It was: acknowledgements of earlier epochs do not count.
    Told,
}
