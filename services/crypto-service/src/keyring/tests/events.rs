//! New versions are told of, and nothing of their material.

use super::*;
use crate::outbox;
use patchbay_backplane::Cursor;
use patchbay_chassis::Ids;
use patchbay_events::Events;
use serde_json::{Value, json};

/// Subjects and data of all events that were told.
async fn told(world: &World) -> Vec<(String, Value)> {
    let events =
        Events::with(world.backplane.clone(), world.clock.clone(), Ids::seeded(1), "/patchbay/test/one");
    outbox::outbox().tell_all(&events).await.unwrap();
    let page = events.reader().page(Cursor::After(0), 100).await.unwrap();
    let read = |placed: patchbay_events::Placed| {
        assert_eq!(placed.event.kind, "key.rotated");
        (placed.event.subject, placed.event.data)
    };
    page.events.into_iter().map(read).collect()
}

#[tokio::test]
async fn a_rotation_is_told_with_name_and_version() {
    let (world, replica) = World::alone().await;
    replica.create("app", KeyType::Xaes256Gcm).await;
    assert_eq!(told(&world).await, [], "a first version is no rotation");
    replica.rotate("app").await.unwrap();
    let second = ("app".to_owned(), json!({ "key": "app", "version": 2 }));
    assert_eq!(told(&world).await, std::slice::from_ref(&second));
    assert_eq!(told(&world).await, [second], "once");
}

#[tokio::test]
async fn a_rotation_by_itself_is_told_once_whoever_made_it() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let hourly = Creation { auto_rotate: Duration::from_hours(1), ..plain(KeyType::Xaes256Gcm) };
    one.keyring.create(&named("app"), hourly, entry("key.create", "app")).await.unwrap();
    world.clock.advance(Duration::from_hours(1));
    let (first, second) = tokio::join!(one.keyring.rotate_due(), two.keyring.rotate_due());
    first.and(second).unwrap();
    let expected = [("app".to_owned(), json!({ "key": "app", "version": 2 }))];
    assert_eq!(told(&world).await, expected);
    assert_eq!(told(&world).await, expected);
}

#[tokio::test]
async fn a_rotation_that_was_refused_is_not_told() {
    let (world, replica) = World::alone().await;
    assert!(replica.rotate("nothing").await.is_err());
    replica.create("app", KeyType::Xaes256Gcm).await;
    replica.keyring.soft_delete(&named("app"), entry("key.soft_delete", "app")).await.unwrap();
    assert!(replica.rotate("app").await.is_err());
    assert_eq!(told(&world).await, []);
}
