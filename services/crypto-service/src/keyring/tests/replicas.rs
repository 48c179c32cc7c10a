//! Replicas see each other's changes, lose none, and do not trust what they know for longer than they may.

use super::*;
use crate::keyring::Configuration;

#[tokio::test]
async fn a_change_is_seen_by_the_others_and_at_once_by_the_one_that_made_it() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create("k", KeyType::Aes256Gcm96).await;
    two.remember("k").await;
    one.rotate("k").await.unwrap();
    assert_eq!(one.keyring.cached("k").unwrap().header.latest, 2);
    until(|| two.keyring.cached("k").is_none()).await;
    assert_eq!(two.keyring.get("k").await.unwrap().header.latest, 2);

    let wanted = Configuration { min_decryption: Some(2), ..Configuration::default() };
    two.keyring.configure(&named("k"), wanted, entry("key.config", "k")).await.unwrap();
    assert!(two.keyring.cached("k").unwrap().decrypting(1).is_err());
    until(|| one.keyring.cached("k").is_none()).await;
    assert!(one.keyring.get("k").await.unwrap().decrypting(1).is_err());

    one.keyring.soft_delete(&named("k"), entry("key.soft_delete", "k")).await.unwrap();
    assert!(one.keyring.cached("k").unwrap().encrypting(0).is_err());
    until(|| two.keyring.cached("k").is_none()).await;
    assert!(two.keyring.get("k").await.unwrap().encrypting(0).is_err());
}

#[tokio::test]
async fn own_changes_and_counters_cost_no_key_in_memory() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create("k", KeyType::Aes256Gcm96).await;
    one.create("other", KeyType::Aes256Gcm96).await;
    let key = one.remember("k").await;
    let there = two.keyring.get("other").await.unwrap();
    two.keyring.reserve(&there, &there.versions[&1], 1).await.unwrap();
    two.rotate("other").await.unwrap();
    until(|| one.keyring.cached("other").is_none()).await;
    assert!(Arc::ptr_eq(&key, &one.keyring.cached("k").unwrap()));
}

#[tokio::test]
async fn versions_made_at_once_are_all_there() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create("k", KeyType::Xaes256Gcm).await;
    let mut jobs = JoinSet::new();
    for index in 0..40 {
        let keyring = if index % 2 == 0 { one.keyring.clone() } else { two.keyring.clone() };
        jobs.spawn(async move { keyring.rotate(&named("k"), entry("key.rotate", "k")).await });
    }
    let rotated = jobs.join_all().await;
    let mut latest: Vec<u32> = rotated.into_iter().map(|header| header.unwrap().latest).collect();
    latest.sort_unstable();
    assert_eq!(latest, (2..=41).collect::<Vec<_>>());
    until(|| two.keyring.cached("k").is_none_or(|key| key.header.latest == 41)).await;
    for replica in [&one, &two] {
        assert_eq!(replica.keyring.get("k").await.unwrap().versions.len(), 41);
    }
}

#[tokio::test]
async fn keys_made_at_once_are_one_key() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let (first, second) = tokio::join!(one.create("k", KeyType::Hmac), two.create("k", KeyType::Hmac));
    assert_eq!(first.id, second.id);
    assert_eq!(one.rows(Table::Keys, "").await.len(), 2);
}

#[tokio::test]
async fn a_key_that_was_made_anew_is_another() {
    let world = World::new();
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create("k", KeyType::Aes256Gcm96).await;
    let old = two.remember("k").await;
    let wanted = Configuration { deletion_allowed: Some(true), ..Configuration::default() };
    one.keyring.configure(&named("k"), wanted, entry("key.config", "k")).await.unwrap();
    one.keyring.delete(&named("k"), entry("key.delete", "k")).await.unwrap();
    one.create("k", KeyType::Aes256Gcm96).await;
    until(|| two.keyring.cached("k").is_none()).await;
    let new = two.keyring.get("k").await.unwrap();
    assert_ne!(old.header.id, new.header.id);
    assert!(!Arc::ptr_eq(&old.versions[&1], &new.versions[&1]));
}

#[tokio::test]
async fn what_events_do_not_tell_the_poll_finds() {
    let world = World::new();
    let (one, deaf) = (world.replica("one").await, world.deaf("deaf"));
    for name in ["changed", "deleted", "same"] {
        one.create(name, KeyType::Xaes256Gcm).await;
    }
    let mut follower = follow::Follower::default();
    follower.compare(&deaf.keyring).await.unwrap();
    deaf.keyring.0.cache.confirm(tokio::time::Instant::now());
    for name in ["changed", "deleted", "same"] {
        deaf.keyring.get(name).await.unwrap();
    }
    one.rotate("changed").await.unwrap();
    let wanted = Configuration { deletion_allowed: Some(true), ..Configuration::default() };
    one.keyring.configure(&named("deleted"), wanted, entry("key.config", "deleted")).await.unwrap();
    one.keyring.delete(&named("deleted"), entry("key.delete", "deleted")).await.unwrap();
    assert!(deaf.keyring.cached("changed").is_some() && deaf.keyring.cached("deleted").is_some());
    follower.compare(&deaf.keyring).await.unwrap();
    assert!(deaf.keyring.cached("changed").is_none() && deaf.keyring.cached("deleted").is_none());
    assert!(deaf.keyring.cached("same").is_some());
}

#[tokio::test]
async fn a_read_that_began_before_a_change_brings_nothing_back() {
    let world = World::new();
    let (one, deaf) = (world.replica("one").await, world.deaf("deaf"));
    one.create("k", KeyType::Xaes256Gcm).await;
    let cache = &deaf.keyring.0.cache;
    cache.confirm(tokio::time::Instant::now());
    let generation = cache.generation();
    let old = one.keyring.get("k").await.unwrap();
    one.rotate("k").await.unwrap();
    let new = one.keyring.get("k").await.unwrap();
    cache.changed("k", new.revision);
    cache.insert(Arc::clone(&old), generation);
    assert!(deaf.keyring.cached("k").is_none(), "the read began before the change");
    cache.replace(&old);
    assert!(deaf.keyring.cached("k").is_none(), "somebody else's later change was told first");
    cache.insert(Arc::clone(&new), cache.generation());
    cache.insert(Arc::clone(&old), cache.generation());
    assert_eq!(deaf.keyring.cached("k").unwrap().header.latest, 2);
    cache.changed("k", new.revision);
    assert!(deaf.keyring.cached("k").is_some(), "it is here as it was after that change");
}

#[tokio::test(start_paused = true)]
async fn keys_are_not_trusted_when_the_store_has_long_not_confirmed_them() {
    let world = World::new();
    let mut replica = world.replica("one").await;
    replica.create("k", KeyType::Xaes256Gcm).await;
    assert!(replica.keyring.cached("k").is_some());
    replica.following.abort_all();
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(replica.keyring.cached("k").is_some());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(replica.keyring.cached("k").is_none());
    // The store is asked instead, and says that what is known is right.
    let known = replica.keyring.0.cache.known("k").unwrap();
    assert!(Arc::ptr_eq(&known, &replica.keyring.get("k").await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn keys_that_nobody_uses_leave_memory() {
    let world = World::new();
    let replica = world.replica("one").await;
    replica.create("used", KeyType::Xaes256Gcm).await;
    replica.create("idle", KeyType::Xaes256Gcm).await;
    for _ in 0..310 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        replica.keyring.get("used").await.unwrap();
    }
    until(|| replica.keyring.0.cache.known("idle").is_none()).await;
    assert!(replica.keyring.0.cache.known("used").is_some());
}

#[tokio::test]
async fn what_a_replica_writes_that_missed_a_rotation_is_readable_once_it_is_answered() {
    let world = World::new();
    // Stopped for so long that the root key it knows has gone meanwhile.
    let late = world.deaf("late");
    let seal = || Secret::new(vec![7; 32]);
    let root = RootKey::open(seal(), &late.store).await.unwrap();
    root.rotate(START, &late.store, entry("root.rotate", "store")).await.unwrap();
    root.retire(root.revision(), &late.store).await.unwrap();
    late.create("k", KeyType::Xaes256Gcm).await;
    late.rotate("k").await.unwrap();
    drop(late);
    let fresh = RootKey::open(seal(), &world.deaf("reader").store).await.unwrap();
    let reader = World { root: Arc::new(fresh), ..world }.deaf("fresh");
    assert_eq!(reader.keyring.get("k").await.unwrap().header.latest, 2);
}
