use super::*;
use patchbay_backplane::{Cursor, MemoryBackplane, SharedBackplane};
use patchbay_chassis::{Clock, Ids};
use patchbay_events::Placed;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: u64 = 1_800_000_000_000;

struct World {
    backplane: SharedBackplane,
    store: Arc<Store>,
    events: Events,
}

impl World {
    fn new() -> Self {
        let backplane: SharedBackplane =
            Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new()));
        Self {
            store: Store::new(backplane.clone(), "one", Clock::manual(NOW)),
            events: Events::with(
                backplane.clone(),
                Clock::manual(NOW),
                Ids::seeded(1),
                "/patchbay/crypto-service/one",
            ),
            backplane,
        }
    }

    async fn put(&self, change: Change) {
        self.store.commit_unrecorded(vec![change]).await.unwrap();
    }

    async fn told(&self) -> Vec<Placed> {
        self.events.reader().page(Cursor::After(0), 1000).await.unwrap().events
    }

    async fn left(&self) -> u64 {
        self.store.count(Table::Events, "").await.unwrap()
    }
}

#[tokio::test]
async fn what_was_committed_is_told_once_by_however_many() {
    let world = World::new();
    for version in 2..=250 {
        world.put(key_rotated("app", "id", version, NOW).unwrap()).await;
    }
    assert!(world.told().await.is_empty());
    let (one, other) =
        tokio::join!(tell_all(&world.store, &world.events), tell_all(&world.store, &world.events));
    assert!(one.unwrap() + other.unwrap() >= 249);
    let told = world.told().await;
    let versions: Vec<u64> = told.iter().map(|it| it.event.data["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (2..=250).collect::<Vec<u64>>(), "in the order in which they were made");
    assert_eq!((told[0].event.kind.as_str(), told[0].event.subject.as_str()), ("key.rotated", "app"));
    assert_eq!(
        told[0].event.time.as_millisecond(),
        i64::try_from(NOW).unwrap(),
        "when it was made, not when it was told"
    );
    assert_eq!(world.left().await, 0);
}

#[tokio::test]
async fn a_replica_that_dies_after_telling_tells_nothing_twice() {
    let world = World::new();
    let change = key_rotated("app", "id", 2, NOW).unwrap();
    world.put(change.clone()).await;
    tell_all(&world.store, &world.events).await.unwrap();
    // As if the row had not been removed.
    world.put(change).await;
    assert_eq!(tell_all(&world.store, &world.events).await.unwrap(), 1);
    assert_eq!(world.told().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_told_keeps_nobody_else_back() {
    let world = World::new();
    let put = |key: &str, value: &'static str| {
        Table::Events.change(format!("{ROWS}{key}"), Expect::Anything, Some(value.into()))
    };
    world.put(put("a", "no JSON")).await;
    world.put(put("b", r#"{"id":"","type":"key.rotated","subject":"k","millis":1,"data":{}}"#)).await;
    world.put(put("c", r#"{"id":"c","type":"key.melted","subject":"k","millis":1,"data":{}}"#)).await;
    world.put(key_rotated("app", "id", 2, NOW).unwrap()).await;
    tell_all(&world.store, &world.events).await.unwrap();
    assert_eq!(world.told().await.len(), 1);
    assert_eq!(world.left().await, 1, "what a newer version will understand is left for it");
}

#[tokio::test]
async fn a_commit_is_noticed_at_once() {
    let world = World::new();
    let mut follower = world.events.reader().follow(None).await.unwrap();
    let (store, events) = (Arc::clone(&world.store), world.events.clone());
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { run(&store, &events).await });
    world.put(key_rotated("first", "id", 2, NOW).unwrap()).await;
    let began = tokio::time::Instant::now();
    for name in ["first", "second"] {
        if name == "second" {
            world.put(key_rotated(name, "other", 2, NOW).unwrap()).await;
        }
        let told = tokio::time::timeout(SWEEP, follower.next()).await.unwrap().unwrap();
        let patchbay_events::Followed::Event(placed) = told else { panic!("{told:?}") };
        assert_eq!(placed.event.subject, name);
    }
    assert!(began.elapsed() < SWEEP / 2, "without waiting for the next sweep");
    drop(world.backplane);
}
