//! Keys that are not in memory, wanted by many at once.

use super::*;
use std::{pin::Pin, sync::mpsc};

/// Keeps the pool's one thread busy until what is returned first is dropped; what is returned beside it ends then.
async fn hold(pool: &Pool) -> (mpsc::Sender<()>, Pin<Box<dyn Future<Output = bool>>>) {
    let (release, held) = mpsc::channel::<()>();
    let held_by = pool.clone();
    let mut holding: Pin<Box<dyn Future<Output = bool>>> =
        Box::pin(async move { held_by.sign(move || held.recv().is_err()).await.unwrap() });
    assert!(futures_util::poll!(&mut holding).is_pending());
    until(|| pool.waiting() == 0).await;
    (release, holding)
}

#[tokio::test]
async fn a_key_that_many_want_at_once_is_parsed_once() {
    let world = World::new();
    let one = world.replica("one").await;
    one.create("slow", KeyType::Rsa2048).await;
    let cold = world.deaf("cold");
    let shared = &cold.keyring.0;
    // Nothing is parsed until all have come, who are more than the pool has places.
    let (release, holding) = hold(&shared.pool).await;
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let keyring = cold.keyring.clone();
        callers.spawn(async move { keyring.get("slow").await });
    }
    let begun = shared.cache.flight("slow");
    until(|| Arc::strong_count(&begun) > 100 && shared.pool.waiting() > 0).await;
    assert_eq!(shared.pool.waiting(), 1, "one parses for all");
    drop(release);
    assert!(holding.await);
    let keys: Vec<_> = callers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert!(keys.iter().all(|key| Arc::ptr_eq(key, &keys[0])), "somebody has parsed it again");
}

#[tokio::test]
async fn those_who_wait_get_the_error_too_and_those_after_them_ask_again() {
    let world = World::new();
    let cold = world.deaf("cold");
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let keyring = cold.keyring.clone();
        callers.spawn(async move { keyring.get("late").await });
    }
    let refused = callers.join_all().await;
    assert!(refused.iter().all(|got| matches!(got, Err(Error::NotFound(_)))), "{refused:?}");
    let one = world.replica("one").await;
    one.create("late", KeyType::Xaes256Gcm).await;
    assert!(cold.keyring.get("late").await.is_ok());
}

#[tokio::test]
async fn nobody_waits_for_a_read_that_began_before_a_change() {
    let world = World::new();
    let replica = world.deaf("one");
    replica.create("k", KeyType::Xaes256Gcm).await;
    let cache = &replica.keyring.0.cache;
    let waits = |change: &dyn Fn()| {
        let begun = cache.flight("k");
        assert!(Arc::ptr_eq(&begun, &cache.flight("k")), "nothing has changed");
        change();
        let is_same = Arc::ptr_eq(&begun, &cache.flight("k"));
        cache.forget("k");
        is_same
    };
    assert!(!waits(&|| cache.forget("k")));
    assert!(!waits(&|| cache.changed("k", 99)));
    assert!(!waits(&|| drop(cache.doubt())));
    assert!(!waits(&|| cache.clear()));
    assert!(waits(&|| cache.changed("other", 99)), "another key has changed");
}

#[tokio::test]
async fn who_goes_away_leaves_the_read_to_the_next() {
    let world = World::new();
    world.replica("one").await.create("k", KeyType::Rsa2048).await;
    let cold = world.deaf("cold");
    // Else a fast pool could have answered the first before it was looked at.
    let (release, holding) = hold(&cold.keyring.0.pool).await;
    let mut first = Box::pin(cold.keyring.get("k"));
    let mut second = Box::pin(cold.keyring.get("k"));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop((first, release));
    assert!(holding.await);
    assert_eq!(second.await.unwrap().header.latest, 1);
}
