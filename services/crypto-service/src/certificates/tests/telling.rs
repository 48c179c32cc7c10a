//! What is told, and that it is told once.

use super::*;
use crate::certificates::rows;
use crate::store::Table;

const HOST: &str = "example.com:443";

#[tokio::test]
async fn each_threshold_is_told_once_as_time_goes_by() {
    let world = World::new();
    let mut replica = world.replica(&[HOST]);
    world.show(HOST, 40, 1);
    for day in 0..45_i32 {
        for _ in 0..3 {
            replica.round(&world).await;
        }
        let expected: Vec<_> = [(30, 10), (14, 26), (7, 33), (1, 39)]
            .into_iter()
            .filter(|(_, from)| *from <= day)
            .map(|(threshold, _)| named(HOST, threshold))
            .collect();
        assert_eq!(world.told().await, expected, "on day {day}");
        world.clock.advance(DAY);
    }
    let told = world.events().await;
    assert_eq!(
        told[1],
        json!({ "name": HOST, "not_after": "2027-02-24T08:00:00Z", "days_left": 14, "threshold": 14 })
    );
}

#[tokio::test]
async fn at_first_sight_only_the_smallest_is_told() {
    let world = World::new();
    let mut replica = world.replica(&[HOST, "over.example.com"]);
    world.show(HOST, 5, 1);
    world.show("over.example.com:443", -3, 1);
    replica.round(&world).await;
    let mut told = world.told().await;
    told.sort();
    assert_eq!(told, [named(HOST, 7), named("over.example.com:443", 1)]);
    assert_eq!(replica.seen("over.example.com:443").await.shown(world.clock.now_millis()).days_left, -3);
}

#[tokio::test]
async fn a_restart_and_another_replica_tell_nothing_again() {
    let world = World::new();
    world.show(HOST, 5, 1);
    for _ in 0..5 {
        world.replica(&[HOST]).round(&world).await;
    }
    let (mut one, mut two) = (world.replica(&[HOST]), world.replica(&[HOST]));
    world.clock.advance(5 * DAY);
    // Both believe that the lease is theirs.
    let (first, second) = tokio::join!(
        one.monitor.round(&world.hosts, &mut one.looked),
        two.monitor.round(&world.hosts, &mut two.looked)
    );
    first.and(second).unwrap();
    assert_eq!(world.told().await, [named(HOST, 7), named(HOST, 1)]);
}

#[tokio::test]
async fn who_dies_between_telling_and_noting_is_not_heard_twice() {
    let world = World::new();
    world.show(HOST, 5, 1);
    let mut replica = world.replica(&[HOST]);
    replica.round(&world).await;
    let store = &replica.monitor.store;
    let noted: Vec<String> =
        rows::told(store).await.unwrap().into_iter().map(|(identity, _)| identity).collect();
    assert_eq!(noted.len(), 1);
    rows::forget_told(store, &noted).await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    world.replica(&[HOST]).round(&world).await;
    assert_eq!(world.told().await, [named(HOST, 7)]);
    assert_eq!(rows::told(store).await.unwrap().len(), 1, "and now it is noted");
}

#[tokio::test]
async fn what_was_noted_is_not_told_again_though_the_stream_has_forgotten() {
    let world = World::new();
    world.show(HOST, 5, 1);
    world.replica(&[HOST]).round(&world).await;
    let stream = patchbay_events::stream();
    world.backplane.remove(&stream).await.unwrap();
    world.replica(&[HOST]).round(&world).await;
    assert_eq!(world.told().await, []);
}

#[tokio::test]
async fn a_renewed_certificate_begins_anew() {
    let world = World::new();
    let mut replica = world.replica(&[HOST]);
    world.show(HOST, 5, 1);
    replica.round(&world).await;
    world.show(HOST, 90, 2);
    world.clock.advance(DAY / 4);
    replica.round(&world).await;
    assert_eq!(world.told().await, [named(HOST, 7)]);
    assert_eq!(replica.seen(HOST).await.shown(world.clock.now_millis()).days_left, 89);
    world.clock.advance(60 * DAY);
    replica.round(&world).await;
    assert_eq!(world.told().await, [named(HOST, 7), named(HOST, 30)]);
    // The same end with another certificate is another certificate.
    let same_end = replica.seen(HOST).await.found.unwrap();
    world.hosts.shown.lock().insert(HOST.to_owned(), Ok(Found { sha256: hex::encode([3; 32]), ..same_end }));
    world.clock.advance(DAY);
    replica.round(&world).await;
    assert_eq!(world.told().await.len(), 3);
}

#[tokio::test]
async fn a_host_is_asked_again_before_it_is_told_of() {
    let world = World::new();
    let mut replica = world.replica(&[HOST]);
    replica.monitor.config.check_every = patchbay_chassis::Span::seconds(100 * 24 * 3600);
    world.show(HOST, 31, 1);
    replica.round(&world).await;
    assert_eq!(world.asked(), [HOST]);
    world.clock.advance(DAY / 2);
    replica.round(&world).await;
    assert!(world.asked().is_empty(), "its time has not come");
    // It is renewed, and nobody has seen that yet when the old one comes under a threshold.
    world.show(HOST, 90, 2);
    world.clock.advance(DAY);
    replica.round(&world).await;
    assert_eq!(world.asked(), [HOST]);
    assert_eq!(world.told().await, []);
}

#[tokio::test]
async fn own_certificates_are_told_of_each_once() {
    let world = World::new();
    let mut replica = world.replica(&[]);
    let end = world.now() + 10 * 86_400;
    world.tell_own("a", "chat-gateway", end).await;
    world.tell_own("b", "chat-gateway", end).await;
    world.tell_own("c", "console", end).await;
    replica.round(&world).await;
    replica.round(&world).await;
    assert_eq!(world.told().await, [named("chat-gateway/http", 14), named("console/http", 14)]);
    // One replica has the new one, the other not yet.
    world.tell_own("b", "chat-gateway", end + 90 * 86_400).await;
    world.clock.advance(4 * DAY);
    replica.round(&world).await;
    assert_eq!(world.told().await[2..], [named("chat-gateway/http", 7), named("console/http", 7)]);
    world.tell_own("a", "chat-gateway", end + 90 * 86_400).await;
    world.tell_own("c", "console", end + 90 * 86_400).await;
    world.clock.advance(5 * DAY);
    replica.round(&world).await;
    assert_eq!(world.told().await.len(), 4, "nobody shows the old one any more");
}

#[tokio::test]
async fn other_thresholds_tell_what_is_under_them() {
    let world = World::new();
    let mut replica = world.replica(&[HOST]);
    replica.monitor.config.warn_days = vec![3, 60];
    world.show(HOST, 50, 1);
    replica.round(&world).await;
    assert_eq!(world.told().await, [named(HOST, 60)]);
    let mut replica = world.replica(&[HOST]);
    replica.monitor.config.warn_days = vec![100];
    replica.round(&world).await;
    assert_eq!(world.told().await.len(), 1, "a larger one says nothing new");
}

#[tokio::test]
async fn what_was_told_of_is_forgotten_long_after_it_is_gone() {
    let world = World::new();
    world.show(HOST, 5, 1);
    let mut replica = world.replica(&[HOST]);
    replica.round(&world).await;
    let noted = async || world_rows(&replica.monitor.store).await;
    assert_eq!(noted().await, 1);
    world.clock.advance(100 * DAY);
    let mut still = world.replica(&[HOST]);
    still.round(&world).await;
    assert_eq!(noted().await, 1, "it is still in use");
    world.show(HOST, 90, 2);
    world.clock.advance(DAY);
    still.round(&world).await;
    assert_eq!(noted().await, 0);
    assert_eq!(world.told().await.len(), 2);
}

async fn world_rows(store: &Store) -> u64 {
    store.count(Table::Certificates, "told/").await.unwrap()
}
