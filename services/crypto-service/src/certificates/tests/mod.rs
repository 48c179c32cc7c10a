//! Monitors in one process: each is a replica, all share a store in memory, and the clock is moved.

mod telling;
mod watching;

use super::{
    config::Certificates,
    round::{Look, Monitor},
    seen::{Found, Seen},
    target::Target,
};
use crate::store::Store;
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use patchbay_backplane::{Cursor, MemoryBackplane, NodeId, NodeRecord, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use patchbay_events::Events;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first moment of the clock, in milliseconds since 1970: 2027-01-15T08:00:00Z.
const START: u64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_hours(24);

/// Hosts by name, with what each shows; and how often each was asked.
#[derive(Default)]
struct Hosts {
    shown: Mutex<HashMap<String, Result<Found, String>>>,
    asked: Mutex<Vec<String>>,
}

impl Look for Hosts {
    fn look(&self, target: &Target) -> BoxFuture<'_, Result<Found, String>> {
        let name = target.name().to_owned();
        self.asked.lock().push(name.clone());
        let found = self.shown.lock().get(&name).cloned();
        std::future::ready(found.unwrap_or_else(|| Err("nobody listens there".to_owned()))).boxed()
    }
}

/// A store that replicas share, and the hosts that they watch.
struct World {
    backplane: SharedBackplane,
    clock: Clock,
    hosts: Hosts,
}

/// One of them.
struct Replica {
    monitor: Monitor,
    looked: HashSet<String>,
}

impl World {
    fn new() -> Self {
        let backplane = MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new());
        Self { backplane: Arc::new(backplane), clock: Clock::manual(START), hosts: Hosts::default() }
    }

    fn replica(&self, watch: &[&str]) -> Replica {
        self.replica_on(self.backplane.clone(), watch)
    }

    fn replica_on(&self, backplane: SharedBackplane, watch: &[&str]) -> Replica {
        let watch = watch.iter().map(|text| text.parse().unwrap()).collect();
        let source = "/patchbay/crypto-service/test";
        let monitor = Monitor {
            store: Store::new(backplane.clone(), "one", self.clock.clone()),
            clock: self.clock.clone(),
            config: Certificates { watch, ..Certificates::default() },
            events: Events::with(backplane, self.clock.clone(), Ids::seeded(1), source),
        };
        Replica { monitor, looked: HashSet::new() }
    }

    /// A host shows a certificate that ends in so many days, of which there is one for each day and `serial`.
    fn show(&self, host: &str, days: i64, serial: u8) {
        let found = Found {
            not_after: self.now() + days * 86_400,
            sha256: hex::encode([serial; 32]),
            subject: format!("CN={host}"),
            grade: String::new(),
        };
        self.hosts.shown.lock().insert(host.to_owned(), Ok(found));
    }

    fn hide(&self, host: &str) {
        self.hosts.shown.lock().insert(host.to_owned(), Err("it does not answer".to_owned()));
    }

    /// A replica of a service tells the end of its listener's certificate.
    async fn tell_own(&self, node: &str, service: &str, not_after: i64) {
        let figures = json!({ "figures": { "certificate_expires_http": not_after } });
        let record = NodeRecord {
            id: NodeId(node.into()),
            service: service.to_owned(),
            info: figures.to_string().into(),
        };
        self.backplane.heartbeat(record, Duration::from_hours(1)).await.unwrap();
    }

    fn now(&self) -> i64 {
        super::seen::seconds(self.clock.now_millis())
    }

    /// How often each host was asked since the last time that this was asked.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.hosts.asked.lock());
        asked.sort();
        asked
    }

    /// Names and thresholds of all events, oldest first.
    async fn told(&self) -> Vec<(String, u64)> {
        let told = self.events().await.into_iter();
        told.map(|data| (data["name"].as_str().unwrap().to_owned(), data["threshold"].as_u64().unwrap()))
            .collect()
    }

    /// Data of all events.
    async fn events(&self) -> Vec<Value> {
        let reader = patchbay_events::Reader::new(self.backplane.clone());
        let page = reader.page(Cursor::After(0), 1000).await.unwrap();
        let read = |placed: patchbay_events::Placed| {
            assert_eq!(placed.event.kind, "certificate.expiring");
            assert_eq!(placed.event.subject, placed.event.data["name"].as_str().unwrap());
            placed.event.data
        };
        page.events.into_iter().map(read).collect()
    }
}

impl Replica {
    async fn round(&mut self, world: &World) {
        self.monitor.round(&world.hosts, &mut self.looked).await.unwrap();
    }

    async fn names(&self) -> Vec<String> {
        self.monitor.gather().await.unwrap().into_iter().map(|seen| seen.name).collect()
    }

    async fn seen(&self, name: &str) -> Seen {
        let seen = self.monitor.gather().await.unwrap();
        seen.into_iter().find(|seen| seen.name == name).unwrap()
    }
}

fn named(name: &str, threshold: u64) -> (String, u64) {
    (name.to_owned(), threshold)
}
