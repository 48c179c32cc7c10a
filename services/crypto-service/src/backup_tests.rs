//! Copies of a store that is changed meanwhile, and what is left of them in memory.

use super::*;
use patchbay_backplane::memory::MemoryBackplane;
use patchbay_chassis::Clock;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Rows between the two that belong together, so that they are on different pages.
const BETWEEN: usize = 3 * PAGE;

fn put(key: &str, value: u64) -> Change {
    Table::Keys.put(key, Expect::Anything, &value).unwrap()
}

/// Two rows that are always written together, and many between them; in a file, where a reading waits for what is being
/// written.
async fn filled(folder: &Path) -> Arc<Store> {
    let (file, tasks, shutdown) = (folder.join("store.redb"), TaskTracker::new(), CancellationToken::new());
    let backplane = MemoryBackplane::open(&file, 1024, &tasks, &shutdown).unwrap();
    let store = Store::new(Arc::new(backplane), "node", Clock::manual(1));
    let between: Vec<Change> = (0..BETWEEN).map(|number| put(&format!("middle/{number}"), 0)).collect();
    store.commit_unrecorded(between).await.unwrap();
    store.commit_unrecorded(vec![put("key/a", 0), put("version/a", 0)]).await.unwrap();
    store
}

/// Commits again and again until it is dropped; tells how often.
fn changing(store: &Arc<Store>, keys: &'static [&'static str]) -> (JoinSet<()>, Arc<AtomicU64>) {
    let (store, commits) = (Arc::clone(store), Arc::new(AtomicU64::new(0)));
    let (mut tasks, counted) = (JoinSet::new(), Arc::clone(&commits));
    tasks.spawn(async move {
        loop {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let changes = keys.iter().map(|key| put(key, number)).collect();
            store.commit_unrecorded(changes).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    (tasks, commits)
}

fn value<'a>(rows: &'a [Record], key: &str) -> &'a [u8] {
    &rows.iter().find(|row| row.key == key).unwrap().value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let (writer, commits) = changing(&store, &["key/a", "version/a"]);
    while commits.load(Ordering::Relaxed) < 10 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        match snapshot(&store).await {
            Ok([keys, _]) => assert_eq!(value(&keys, "key/a"), value(&keys, "version/a")),
            Err(error) => assert!(matches!(error, Error::Conflict(_)), "{error}"),
        }
    }
    drop(writer);
    let [keys, accounts] = snapshot(&store).await.unwrap();
    assert_eq!((keys.len(), accounts.len()), (BETWEEN + 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_used_meanwhile_do_not_stop_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let (_writer, commits) = changing(&store, &["usage/a/0000000001"]);
    // The second has begun: the first is done.
    while commits.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let before = commits.load(Ordering::Relaxed);
        assert_eq!(snapshot(&store).await.unwrap()[0].len(), BETWEEN + 3);
        while commits.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
}

fn contents(key: &str) -> Contents {
    let row = || CopiedRow { key: key.to_owned(), value: RawValue::from_string("{\"a\":1}".into()).unwrap() };
    Contents {
        root: Base64::of([7; 32]),
        older_roots: vec![Base64::of([9; 32])],
        pepper: Base64::of([8; 32]),
        keys: (0..50).map(|_| row()).collect(),
        accounts: (0..50).map(|_| row()).collect(),
    }
}

#[test]
fn what_is_encrypted_is_written_without_a_copy() {
    for key in ["", "key/a", "\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}", "\"\\\"", "钥匙"] {
        let contents = contents(key);
        let written = contents.write().unwrap();
        assert!(written.expose().len() <= contents.room(), "{key:?}");
        let read: Contents = serde_json::from_slice(written.expose()).unwrap();
        assert_eq!(read.root.decode().unwrap().expose(), [7; 32]);
        assert_eq!(read.pepper.decode().unwrap().expose(), [8; 32]);
        assert_eq!(read.accounts[49].key, key);
        assert_eq!(written.into_bytes().capacity(), contents.room(), "the buffer did not grow");
    }
}
