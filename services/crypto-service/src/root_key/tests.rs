//! Root keys of replicas that share a store in memory.

use super::*;
use crate::audit::Entry;
use patchbay_backplane::{SharedBackplane, memory::MemoryBackplane};
use patchbay_chassis::Clock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const PLACE: &str = "key/1/k/1/x";

fn store() -> Arc<Store> {
    let backplane = MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new());
    let backplane: SharedBackplane = Arc::new(backplane);
    Store::new(backplane, "one", Clock::manual(1_800_000_000_000))
}

fn secret(byte: u8) -> Secret {
    Secret::new(vec![byte; LENGTH])
}

async fn open(store: &Store) -> RootKey {
    RootKey::open(secret(7), store).await.unwrap()
}

fn entry() -> Entry {
    Entry::by("ada", "root.rotate", "store")
}

fn sharing() -> Sharing {
    Sharing { shares: 5, threshold: 3, set: "00000000".into(), closings: 0 }
}

fn is_unknown<T>(done: &Result<T, Error>) -> bool {
    matches!(done, Err(Error::Internal(cause)) if cause.is::<NotWrapped>())
}

#[tokio::test]
async fn a_rotation_changes_what_wraps_and_nothing_else() {
    let store = store();
    let root = open(&store).await;
    let before = root.wrap(PLACE, &secret(1)).unwrap();
    let (id, derived, pepper) = (root.id(), root.derive(Derivation::Audit), *root.pepper());
    root.rotate(10, &store, entry()).await.unwrap();
    root.rotate(20, &store, entry()).await.unwrap();
    let after = root.wrap(PLACE, &secret(1)).unwrap();
    for root in [root, open(&store).await] {
        assert_eq!(root.status(), RootStatus { id: root.id(), generation: 2, created: 20 });
        assert_ne!(root.id(), id);
        assert_eq!(root.unwrap(PLACE, &before).unwrap(), secret(1));
        assert_eq!(root.unwrap(PLACE, &after).unwrap(), secret(1));
        assert_eq!((root.derive(Derivation::Audit), *root.pepper()), (derived.clone(), pepper));
        assert!(matches!(root.rewrap(PLACE, &after), Ok(Rewrapped::Newest)));
        assert!(matches!(root.rewrap("elsewhere", &after), Ok(Rewrapped::Unknown)));
    }
}

#[tokio::test]
async fn what_another_replica_wraps_by_a_new_key_is_learnt() {
    let store = store();
    let (one, other) = (open(&store).await, open(&store).await);
    one.rotate(10, &store, entry()).await.unwrap();
    let wrapped = one.wrap(PLACE, &secret(1)).unwrap();
    let (since, first) = (other.revision(), other.unwrap(PLACE, &wrapped));
    assert!(is_unknown(&first));
    assert!(other.has_learnt(&store, since, first.as_ref().err()).await);
    assert_eq!(other.unwrap(PLACE, &wrapped).unwrap(), secret(1));
    // Somebody else has learnt of it meanwhile.
    assert!(other.has_learnt(&store, since, first.as_ref().err()).await);
    // Nothing more is to be learnt of a row that is broken.
    let (since, broken) = (other.revision(), other.unwrap("elsewhere", &wrapped));
    assert!(!other.has_learnt(&store, since, broken.as_ref().err()).await);
}

#[tokio::test]
async fn two_rotations_at_once_are_two_keys_or_a_conflict() {
    let store = store();
    let (one, other) = (open(&store).await, open(&store).await);
    let (first, second) = tokio::join!(one.rotate(10, &store, entry()), other.rotate(10, &store, entry()));
    let done = [&first, &second].into_iter().filter(|done| done.is_ok()).count();
    assert!(done >= 1);
    let root = open(&store).await;
    assert_eq!(usize::try_from(root.status().generation).unwrap(), done);
    assert_eq!(root.generations(), done + 1);
}

#[tokio::test]
async fn a_retired_key_is_gone_from_the_store_and_stays_in_memory_until_forgotten() {
    let store = store();
    let (one, other) = (open(&store).await, open(&store).await);
    let old = other.wrap(PLACE, &secret(1)).unwrap();
    one.rotate(10, &store, entry()).await.unwrap();
    assert!(matches!(one.retire(one.revision() + 1, &store).await, Err(Error::Conflict(_))));
    one.retire(one.revision(), &store).await.unwrap();
    assert!(is_unknown(&open(&store).await.unwrap(PLACE, &old)));
    assert_eq!(other.reload(&store).await.unwrap(), Reload::Changed);
    assert!(other.has_older() && other.former_since().is_some());
    assert!(matches!(other.rewrap(PLACE, &old), Ok(Rewrapped::Anew(_))));
    other.forget_former(other.revision());
    assert!(!other.has_older() && is_unknown(&other.unwrap(PLACE, &old)));
}

#[tokio::test]
async fn a_rekey_changes_what_opens_the_store_and_no_row() {
    let store = store();
    let (one, other) = (open(&store).await, open(&store).await);
    let wrapped = one.wrap(PLACE, &secret(1)).unwrap();
    let derived = one.derive(Derivation::Refresh);
    let initial = Initial { seal: secret(9), sharing: sharing() };
    assert!(one.learn_seal(secret(9), &store).await.is_err(), "it is not in place yet");
    one.rekey(&initial, &store, entry()).await.unwrap();
    assert!(matches!(RootKey::open(secret(7), &store).await, Err(RootKeyError::Wrong)));
    let opened = RootKey::open_shared(secret(9), &store).await.unwrap().unwrap();
    assert_eq!(opened.unwrap(PLACE, &wrapped).unwrap(), secret(1));
    assert_eq!(opened.derive(Derivation::Refresh), derived);
    assert_eq!(read_sharing(&store).await.unwrap().unwrap().value, sharing());
    // The other replica cannot read what is new until it has the key, and then can.
    assert_eq!(other.reload(&store).await.unwrap(), Reload::SealChanged);
    assert!(matches!(other.rotate(10, &store, entry()).await, Err(Error::Conflict(_))));
    other.learn_seal(secret(9), &store).await.unwrap();
    other.rotate(10, &store, entry()).await.unwrap();
    assert_eq!(one.reload(&store).await.unwrap(), Reload::Changed);
    assert_eq!(one.id(), other.id());
}

#[tokio::test]
async fn of_two_that_initialize_a_store_one_does() {
    let store = store();
    let fresh = || Store::new(Arc::clone(store.backplane()), "one", Clock::manual(1));
    assert!(RootKey::open_shared(secret(1), &store).await.unwrap().is_none(), "nobody has made it");
    let initial = |byte| Initial { seal: secret(byte), sharing: sharing() };
    initialize(&initial(1), 5, &fresh(), entry()).await.unwrap();
    let second = initialize(&initial(2), 5, &fresh(), entry()).await;
    assert!(matches!(second, Err(Error::AlreadyInitialized)));
    assert!(matches!(RootKey::open_shared(secret(2), &store).await, Err(RootKeyError::Wrong)));
    let root = RootKey::open_shared(secret(1), &store).await.unwrap().unwrap();
    assert_eq!((root.status().generation, root.status().created), (1, 5));
}

#[tokio::test]
async fn no_row_holds_a_key() {
    let store = store();
    let root = open(&store).await;
    root.rotate(10, &store, entry()).await.unwrap();
    root.put_pepper(&secret(3)).unwrap();
    let scan = patchbay_backplane::Scan {
        prefix: String::new(),
        after: None,
        order: patchbay_backplane::Order::Ascending,
        limit: 100,
    };
    let rows = store.scan(Table::Root, scan).await.unwrap().records;
    assert!(rows.len() >= 2);
    let secrets = root.expose().into_iter().map(|(_, secret)| secret);
    for secret in secrets.chain([Secret::new(root.derive(Derivation::Audit).to_vec())]) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let text = STANDARD.encode(secret.expose());
        for row in &rows {
            let holds = |what: &[u8]| row.value.windows(what.len()).any(|window| window == what);
            assert!(!holds(secret.expose()) && !holds(text.as_bytes()), "{}", row.key);
        }
    }
}
