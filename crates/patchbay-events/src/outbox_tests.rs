use super::*;
use crate::{Followed, Placed};
use patchbay_backplane::{BackplaneConfig, Cursor, MemoryBackplane, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use patchbay_testkit::redis::{Persistence, RedisServer};
use serde_json::json;
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

const NOW: u64 = 1_800_000_000_000;

/// An outbox on a backplane, and who tells of it.
struct World {
    name: &'static str,
    backplane: SharedBackplane,
    events: Events,
    outbox: Outbox,
    _redis: Option<RedisServer>,
    _stop: DropGuard,
}

impl World {
    fn with(
        name: &'static str,
        backplane: SharedBackplane,
        redis: Option<RedisServer>,
        stop: CancellationToken,
    ) -> Self {
        let (clock, source) = (Clock::manual(NOW), "/patchbay/crypto-service/one");
        let events = Events::with(backplane.clone(), clock, Ids::seeded(1), source);
        let outbox = Outbox::new(Name::new("crypto", "events", "store"), "outbox/");
        Self { name, backplane, events, outbox, _redis: redis, _stop: stop.drop_guard() }
    }

    fn in_memory() -> Self {
        let stop = CancellationToken::new();
        let memory = Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &stop));
        Self::with("memory", memory, None, stop)
    }

    /// One of each kind: what is tried must hold on both.
    async fn all() -> [Self; 2] {
        let stop = CancellationToken::new();
        let redis = RedisServer::start(Persistence::Always).await.unwrap();
        let config = BackplaneConfig { url: Some(redis.url()), ..BackplaneConfig::default() };
        let connected = patchbay_backplane::connect(config, TaskTracker::new(), stop.clone()).await.unwrap();
        [Self::in_memory(), Self::with("redis", connected, Some(redis), stop)]
    }

    async fn commit(&self, changes: Vec<Change>) {
        self.backplane.commit(changes).await.unwrap();
    }

    async fn put(&self, version: u32) {
        self.commit(vec![self.rotated(version)]).await;
    }

    fn rotated(&self, version: u32) -> Change {
        let (id, data) = (format!("key.rotated-app-{version}"), json!({ "version": version }));
        let untold = Untold::new(EventType::KeyRotated, id, "app", NOW, data);
        self.outbox.change(&untold, &format!("app-{version:010}"))
    }

    fn row(&self, key: &str, value: &'static str) -> Change {
        let (table, expect) = (self.outbox.table.clone(), Expect::Anything);
        Change { table, key: key.to_owned(), expect, value: Some(value.into()) }
    }

    async fn told(&self) -> Vec<Placed> {
        self.events.reader().page(Cursor::After(0), 1000).await.unwrap().events
    }

    /// Versions in the order in which they were told.
    async fn versions(&self) -> Vec<u64> {
        self.told().await.iter().map(|placed| placed.event.data["version"].as_u64().unwrap()).collect()
    }

    /// Keys of the rows that are left in the whole table.
    async fn left(&self) -> Vec<String> {
        let scan = Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 1000 };
        let page = self.backplane.scan(&self.outbox.table, scan).await.unwrap();
        page.records.into_iter().map(|record| record.key).collect()
    }
}

#[tokio::test]
async fn what_was_committed_is_told_once_by_however_many() {
    for world in World::all().await {
        world.commit((1..=250).rev().map(|version| world.rotated(version)).collect()).await;
        assert!(world.told().await.is_empty());
        let (one, other) =
            tokio::join!(world.outbox.tell_all(&world.events), world.outbox.tell_all(&world.events));
        let (one, other) = (one.unwrap(), other.unwrap());
        println!("{}: {one:?} and {other:?}", world.name);
        assert_eq!(one.new + other.new, 250, "each was appended by one of them");
        assert!(one.rows + other.rows >= 250);
        assert_eq!(world.versions().await, (1..=250).collect::<Vec<u64>>(), "in the order of their keys");
        assert_eq!(world.left().await, [""; 0]);
    }
}

#[tokio::test]
async fn who_dies_after_telling_tells_nothing_twice() {
    for world in World::all().await {
        world.put(2).await;
        assert_eq!(world.outbox.tell_all(&world.events).await.unwrap(), Told { rows: 1, new: 1 });
        // As if the row had not been removed.
        world.put(2).await;
        assert_eq!(world.outbox.tell_all(&world.events).await.unwrap(), Told { rows: 1, new: 0 });
        assert_eq!(world.versions().await, [2], "{}", world.name);
    }
}

#[tokio::test]
async fn what_cannot_be_told_keeps_nothing_else_back() {
    for world in World::all().await {
        let newer = r#"{"id":"c","type":"key.melted","subject":"k","millis":1,"data":{}}"#;
        let nameless = r#"{"id":"","type":"key.rotated","subject":"k","millis":1,"data":{}}"#;
        world
            .commit(vec![
                world.row("outbox/a", "no JSON"),
                world.row("outbox/b", nameless),
                world.row("outbox/c", newer),
                world.row("elsewhere", "somebody else's"),
                world.rotated(2),
            ])
            .await;
        assert_eq!(world.outbox.tell_all(&world.events).await.unwrap(), Told { rows: 3, new: 1 });
        assert_eq!(world.versions().await, [2]);
        let left = ["elsewhere", "outbox/c"];
        assert_eq!(world.left().await, left, "{}: a newer version understands what is left", world.name);
    }
}

/// The form in which rows stand must not change: replicas of two versions run side by side during an upgrade.
#[tokio::test]
async fn rows_are_written_and_read_as_ever() {
    let world = World::in_memory();
    let written = world.rotated(2);
    assert_eq!(written.key, "outbox/00000001800000000000-app-0000000002");
    let form = r#"{"id":"key.rotated-app-2","type":"key.rotated","subject":"app","millis":1800000000000,"data":{"version":2}}"#;
    assert_eq!(written.value.as_deref(), Some(form.as_bytes()));
    world.commit(vec![world.row(&written.key, form)]).await;
    world.outbox.tell_all(&world.events).await.unwrap();
    let told = world.told().await;
    let [Placed { event, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((event.kind.as_str(), event.subject.as_str()), ("key.rotated", "app"));
    let happened = i64::try_from(NOW).unwrap();
    assert_eq!(event.time.as_millisecond(), happened, "when it happened, not when it was told");
}

#[tokio::test]
async fn a_commit_is_noticed_at_once() {
    for world in World::all().await {
        let mut follower = world.events.reader().follow(None).await.unwrap();
        let new = Cell::new(0);
        let telling = world.outbox.run(&world.events, |told| new.set(new.get() + told.new));
        let began = Instant::now();
        let writing = async {
            for version in [2, 3] {
                world.put(version).await;
                let told = timeout(Duration::from_secs(10), follower.next()).await.unwrap().unwrap();
                let Followed::Event(placed) = told else { panic!("{told:?}") };
                assert_eq!(placed.event.data["version"], version);
            }
            // The count follows the event: the row is removed in between.
            while new.get() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = telling => unreachable!("it never ends"),
            done = timeout(SWEEP / 2, writing) => done.expect("without waiting for the next sweep"),
        }
        println!("{}: two commits were told after {:?}", world.name, began.elapsed());
        assert_eq!(new.get(), 2);
    }
}
