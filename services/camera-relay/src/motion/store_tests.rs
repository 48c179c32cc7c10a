use super::*;
use patchbay_backplane::{BackplaneConfig, MemoryBackplane};
use patchbay_testkit::redis::{Persistence, RedisServer};
use std::sync::Arc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

const NOW: u64 = 1_800_000_000_000;

const LIMITS: Limits = Limits { max_kept: 10, max_pictures: 4, keep_for: Duration::from_hours(1) };

/// A backplane, and the store of a replica there.
struct World {
    name: &'static str,
    store: Store,
    clock: Clock,
    backplane: SharedBackplane,
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
        let clock = Clock::manual(NOW);
        let store = Store::new(backplane.clone(), clock.clone(), Ids::random(), LIMITS);
        Self { name, store, clock, backplane, _redis: redis, _stop: stop.drop_guard() }
    }

    /// One of each kind: what is tried must hold on both.
    async fn all() -> [Self; 2] {
        let stop = CancellationToken::new();
        let memory = Arc::new(MemoryBackplane::volatile(&TaskTracker::new(), &stop));
        let memory = Self::with("memory", memory, None, stop);
        let stop = CancellationToken::new();
        let redis = RedisServer::start(Persistence::Always).await.unwrap();
        let config = BackplaneConfig { url: Some(redis.url()), ..BackplaneConfig::default() };
        let connected = patchbay_backplane::connect(config, TaskTracker::new(), stop.clone()).await.unwrap();
        [memory, Self::with("redis", connected, Some(redis), stop)]
    }

    fn with_limits(&self, limits: Limits) -> Store {
        Store { limits, ..self.store.clone() }
    }

    /// A motion that begins now, with a picture.
    async fn begin(&self, node: &str, at: u64) -> (MotionId, Begun) {
        let (id, mark) = seen(node, at);
        let begun = self.store.begin(&door(), (&id, &mark), &PICTURE, event).await.unwrap();
        (id, begun)
    }

    async fn listed(&self) -> Vec<Kept> {
        self.store.list(&door(), (0, u64::MAX), None, 500).await.unwrap().0
    }

    async fn told(&self) -> usize {
        self.count(&outbox()).await
    }

    async fn count(&self, table: &Name) -> usize {
        let scan = Scan { prefix: String::new(), after: None, order: Order::Ascending, limit: 10_000 };
        self.backplane.scan(table, scan).await.unwrap().records.len()
    }
}

const PICTURE: Bytes = Bytes::from_static(b"\xff\xd8 a picture \xff\xd9");

fn door() -> CameraName {
    "door".parse().unwrap()
}

fn outbox() -> Name {
    Name::new("camera", "outbox", "store")
}

fn seen(node: &str, began: u64) -> Kept {
    let mark = Mark {
        began,
        ended: None,
        seen: began,
        zones: vec!["drive".to_owned()],
        score: 0.75,
        picture: false,
        node: node.to_owned(),
    };
    (MotionId::new(began, if node == "one" { "00000001" } else { "00000002" }), mark)
}

fn event(mark: &Mark) -> Change {
    let key = format!("{}-{}", mark.node, mark.began);
    Change { table: outbox(), key, expect: Expect::Anything, value: Some("an event".into()) }
}

#[tokio::test]
async fn a_motion_is_kept_with_its_picture_and_its_end() {
    for world in World::all().await {
        let (id, begun) = world.begin("one", NOW).await;
        assert_eq!(begun, Begun::New, "{}", world.name);
        let [(found, mark)] = &world.listed().await[..] else { panic!("not one") };
        assert_eq!((found, mark.picture, mark.shown_end(NOW)), (&id, true, None));
        assert_eq!(world.store.picture(&door(), &id).await.unwrap(), Some((PICTURE, NOW)));
        world.store.end(&door(), &id, NOW + 5000).await.unwrap();
        assert_eq!(world.listed().await[0].1.ended, Some(NOW + 5000));
        // A call whose answer was lost is made again.
        let (_, mark) = seen("one", NOW);
        world.store.begin(&door(), (&id, &mark), &PICTURE, event).await.unwrap();
        assert_eq!(world.listed().await[0].1.ended, Some(NOW + 5000), "nothing has changed");
        assert_eq!(world.told().await, 1);
        let other = "other".parse().unwrap();
        assert_eq!(world.store.picture(&other, &id).await.unwrap(), None, "it is no other camera's");
    }
}

#[tokio::test]
async fn what_is_too_much_or_too_old_goes() {
    for world in World::all().await {
        let mut ids = Vec::new();
        for number in 0..30 {
            world.clock.advance(Duration::from_secs(1));
            let (id, _) = world.begin("one", NOW + 1000 * (number + 1)).await;
            world.store.end(&door(), &id, NOW + 1000 * (number + 1) + 500).await.unwrap();
            ids.push(id);
        }
        let listed = world.listed().await;
        let newest: Vec<_> = ids.iter().rev().take(10).cloned().collect();
        assert_eq!(listed.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), newest, "{}", world.name);
        let with_picture = listed.iter().filter(|(_, mark)| mark.picture).count();
        assert_eq!((with_picture, world.count(&pictures()).await), (4, 4));
        for (id, mark) in &listed {
            assert_eq!(world.store.picture(&door(), id).await.unwrap().is_some(), mark.picture);
        }

        // As after a change of the configuration.
        let less = Limits { max_kept: 3, max_pictures: 1, ..LIMITS };
        world.with_limits(less).trim().await.unwrap();
        assert_eq!((world.count(&motions()).await, world.count(&pictures()).await), (3, 1));
        let without = Limits { max_pictures: 0, ..less };
        world.with_limits(without).trim().await.unwrap();
        assert_eq!((world.count(&motions()).await, world.count(&pictures()).await), (3, 0));
        world.clock.advance(LIMITS.keep_for + Duration::from_secs(1));
        assert_eq!(world.listed().await, [], "what is too old is not shown, whether or not it was removed");
        world.store.trim().await.unwrap();
        assert_eq!((world.count(&motions()).await, world.count(&heads()).await), (0, 0));
    }
}

#[tokio::test]
async fn pictures_of_long_ago_go_though_most_motions_have_none() {
    for world in World::all().await {
        let store = world.with_limits(Limits { max_kept: 1000, max_pictures: 2, ..LIMITS });
        for number in 0..200_u64 {
            let (id, mark) = seen("one", NOW + number);
            let picture = if number % 50 == 0 { PICTURE } else { Bytes::new() };
            store.begin(&door(), (&id, &mark), &picture, event).await.unwrap();
        }
        assert_eq!(
            (world.count(&motions()).await, world.count(&pictures()).await),
            (200, 2),
            "{}",
            world.name
        );
        let listed = store.list(&door(), (0, u64::MAX), None, 500).await.unwrap().0;
        let shown: Vec<_> =
            listed.iter().filter(|(_, mark)| mark.picture).map(|(_, mark)| mark.began).collect();
        assert_eq!(shown, [NOW + 150, NOW + 100]);
        // One that was held up may be older than all that have pictures.
        let (late, mark) = seen("one", NOW + 75);
        let late = MotionId::new(mark.began, &late.as_str()[15..].replace('1', "9"));
        store.begin(&door(), (&late, &mark), &PICTURE, event).await.unwrap();
        assert_eq!(world.count(&pictures()).await, 2);
    }
}

#[tokio::test]
async fn pages_go_back_in_time() {
    for world in World::all().await {
        let store = world.with_limits(Limits { max_kept: 1000, ..LIMITS });
        for number in 0..250 {
            let (id, mark) = seen("one", NOW - 250 + number);
            store.begin(&door(), (&id, &mark), &Bytes::new(), event).await.unwrap();
        }
        let (mut after, mut began, mut pages) = (None, Vec::new(), 0);
        loop {
            let (page, more) = store.list(&door(), (0, NOW), after.as_ref(), 100).await.unwrap();
            after = page.last().map(|(id, _)| id.clone());
            began.extend(page.iter().map(|(_, mark)| mark.began));
            pages += 1;
            if !more {
                break;
            }
        }
        assert_eq!(
            (pages, began),
            (3, (0..250).rev().map(|number| NOW - 250 + number).collect()),
            "{}",
            world.name
        );
        let within = store.list(&door(), (NOW - 20, NOW - 11), None, 100).await.unwrap();
        let within: Vec<_> = within.0.iter().map(|(_, mark)| mark.began).collect();
        assert_eq!(within, (NOW - 20..=NOW - 11).rev().collect::<Vec<_>>());
        let exact = store.list(&door(), (NOW - 10, NOW), None, 10).await.unwrap();
        assert_eq!((exact.0.len(), exact.1), (10, false), "nothing follows");
    }
}

#[tokio::test]
async fn what_two_replicas_see_is_one_motion() {
    for world in World::all().await {
        let (first, _) = world.begin("one", NOW).await;
        let (second, begun) = world.begin("two", NOW - 1500).await;
        assert_eq!(begun, Begun::Joined(first.clone()), "{}", world.name);
        assert_ne!(first, second);
        world.store.end(&door(), &first, NOW + 4000).await.unwrap();
        world.store.end(&door(), &first, NOW + 3000).await.unwrap();
        assert_eq!((world.told().await, world.listed().await.len()), (1, 1));
        assert_eq!(world.listed().await[0].1.ended, Some(NOW + 4000), "whoever sees it longest is right");
        // What begins later is another one, though it comes after it in the same outage.
        let (_, begun) = world.begin("two", NOW + 4001).await;
        assert_eq!((begun, world.told().await), (Begun::New, 2));
    }
}

#[tokio::test]
async fn a_motion_whose_replica_died_has_ended_with_its_last_sign() {
    for world in World::all().await {
        let (id, _) = world.begin("one", NOW).await;
        world.clock.advance(Duration::from_mins(1));
        world.store.is_seen(&door(), &id).await.unwrap();
        let shown = async |world: &World| world.listed().await[0].1.shown_end(world.clock.now_millis());
        assert_eq!(shown(&world).await, None, "{}: it goes on", world.name);
        world.clock.advance(Duration::from_secs(16));
        assert_eq!(shown(&world).await, Some(NOW + 60_000));
        let (_, begun) = world.begin("two", world.clock.now_millis()).await;
        assert_eq!(begun, Begun::New, "what moves later is another motion");
    }
}

#[tokio::test]
async fn a_camera_that_was_removed_leaves_nothing() {
    for world in World::all().await {
        let store = world.with_limits(Limits { max_kept: 1000, max_pictures: 1000, ..LIMITS });
        let mut last = None;
        for number in 0..120 {
            let (id, mark) = seen("one", NOW + number);
            store.begin(&door(), (&id, &mark), &PICTURE, event).await.unwrap();
            last = Some(id);
        }
        let other: CameraName = "door2".parse().unwrap();
        let (id, mark) = seen("one", NOW);
        store.begin(&other, (&id, &mark), &PICTURE, event).await.unwrap();
        store.forget(&door()).await.unwrap();
        let left = [motions(), pictures(), heads()];
        for table in left {
            assert_eq!(world.count(&table).await, 1, "{}: {table} has the other camera's", world.name);
        }
        store.end(&door(), &last.unwrap(), NOW + 999).await.unwrap();
        assert_eq!(world.count(&motions()).await, 1, "an end that comes late brings nothing back");
    }
}

#[tokio::test]
async fn replicas_that_write_at_the_same_time_lose_nothing() {
    for world in World::all().await {
        let store = world.with_limits(Limits { max_kept: 1000, max_pictures: 10, ..LIMITS });
        let write = |node: &'static str| {
            let store = store.clone();
            async move {
                for number in 0..20_u64 {
                    // Minutes apart, so that they are different ones.
                    let offset = number * 120_000 + if node == "one" { 0 } else { 60_000 };
                    let (id, mark) = seen(node, NOW + offset);
                    let mark = Mark { ended: Some(mark.began + 1000), ..mark };
                    store.begin(&door(), (&id, &mark), &PICTURE, event).await.unwrap();
                }
            }
        };
        tokio::join!(write("one"), write("two"));
        let counts = (world.count(&motions()).await, world.told().await);
        assert_eq!(counts, (40, 40), "{}", world.name);
        let (head, _) = store.head(&door()).await.unwrap();
        assert_eq!((head.kept, head.pictures), (40, world.count(&pictures()).await));
        assert_eq!(head.pictures, 10);
        let listed = store.list(&door(), (0, u64::MAX), None, 500).await.unwrap().0;
        assert_eq!(listed.iter().filter(|(_, mark)| mark.picture).count(), head.pictures);
    }
}
