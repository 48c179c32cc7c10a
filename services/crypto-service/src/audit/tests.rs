//! What a verification finds, and what it must not take for an alteration.

use super::{Entry, Stored, prune, verify};
use crate::store::{Store, Table};
use patchbay_backplane::{Committed, Expect, Order, Scan, SharedBackplane, memory::MemoryBackplane};
use patchbay_chassis::Clock;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first moment of the manual clock, in milliseconds since 1970.
const START: u64 = 1_800_000_000_000;

/// Rows that several replicas share, and whoever gets at them without the root key.
struct World {
    backplane: SharedBackplane,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let backplane = MemoryBackplane::volatile(&TaskTracker::new(), &CancellationToken::new());
        Self { backplane: Arc::new(backplane), clock: Clock::manual(START) }
    }

    /// With a replica `one` that has written some records, a second apart.
    async fn with(records: u64) -> (Self, Arc<Store>) {
        let world = Self::new();
        let store = world.replica("one");
        world.write(&store, records).await;
        (world, store)
    }

    fn replica(&self, node: &str) -> Arc<Store> {
        let store = Store::new(Arc::clone(&self.backplane), node, self.clock.clone());
        store.seal_audit(&[9; 32]);
        store
    }

    async fn write(&self, store: &Store, records: u64) {
        for _ in 0..records {
            self.clock.advance(Duration::from_secs(1));
            store.record(Entry::by("ada", "key.rotate", "app")).await.unwrap();
        }
    }

    /// All rows under a prefix, in order.
    async fn rows(&self, prefix: &str) -> Vec<(String, Value)> {
        let scan = Scan { prefix: prefix.to_owned(), after: None, order: Order::Ascending, limit: 100_000 };
        let page = self.backplane.scan(&Table::Audit.name(), scan).await.unwrap();
        let rows = page.records.into_iter();
        rows.map(|row| (row.key, serde_json::from_slice(&row.value).unwrap())).collect()
    }

    async fn set(&self, key: &str, value: Option<Value>) {
        let value = value.map(|value| serde_json::to_vec(&value).unwrap().into());
        let change = Table::Audit.change(key, Expect::Anything, value);
        let done = self.backplane.commit(vec![change]).await.unwrap();
        assert!(matches!(done, Committed::Done { .. }));
    }

    /// Removes the records with these places among all.
    async fn cut(&self, places: std::ops::Range<usize>) {
        for (key, _) in &self.rows("at/").await[places] {
            self.set(key, None).await;
        }
    }

    /// Where a replica that has just been started, and remembers nothing, sees a chain broken.
    async fn broken(&self, node: &str) -> Option<u64> {
        broken(&self.replica("stranger"), node).await
    }
}

async fn broken(store: &Store, node: &str) -> Option<u64> {
    verify(store).await.unwrap()[node].broken_at
}

#[tokio::test]
async fn chains_of_several_replicas_are_whole_over_many_pages() {
    let (world, one) = World::with(700).await;
    let other = world.replica("other");
    for _ in 0..300 {
        world.write(&one, 1).await;
        world.write(&other, 2).await;
    }
    let chains = verify(&one).await.unwrap();
    let found: Vec<_> = chains.iter().map(|(node, c)| (node.as_str(), c.records, c.broken_at)).collect();
    assert_eq!(found, [("one", 1000, None), ("other", 600, None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_during_a_verification_are_no_alarm() {
    let (world, store) = World::with(600).await;
    let (writer, late) = (Arc::clone(&store), world.replica("late"));
    let mut writing = tokio::task::JoinSet::new();
    writing.spawn(async move {
        for _ in 0..2000 {
            writer.record(Entry::by("ada", "key.rotate", "app")).await.unwrap();
            late.record(Entry::by("ada", "key.rotate", "app")).await.unwrap();
        }
    });
    let mut verified = 0;
    while writing.try_join_next().is_none() {
        let chains = verify(&store).await.unwrap();
        let alarms: Vec<_> = chains.iter().filter(|(_, chain)| chain.broken_at.is_some()).collect();
        assert!(alarms.is_empty(), "{alarms:?}");
        verified += 1;
    }
    assert!(verified > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_during_a_verification_is_no_alarm() {
    let (world, store) = World::with(6000).await;
    let pruner = world.replica("pruner");
    let mut pruning = tokio::task::JoinSet::new();
    pruning.spawn(async move {
        for second in 1..6000 {
            prune(&pruner, START + second * 1000).await.unwrap();
        }
    });
    let mut verified = 0;
    while pruning.try_join_next().is_none() {
        assert_eq!(broken(&store, "one").await, None);
        verified += 1;
    }
    assert!(verified > 1);
}

#[tokio::test]
async fn what_is_altered_or_taken_out_is_found() {
    let (world, _) = World::with(10).await;
    let (key, row) = world.rows("at/").await.swap_remove(4);
    let mut altered = row.clone();
    altered["who"] = json!("eve");
    world.set(&key, Some(altered)).await;
    assert_eq!(world.broken("one").await, Some(5));
    world.set(&key, Some(json!("no record"))).await;
    assert_eq!(world.broken("one").await, Some(5));
    world.set(&key, None).await;
    assert_eq!(world.broken("one").await, Some(5));
    world.set(&key, Some(row)).await;
    assert_eq!(world.broken("one").await, None);
}

#[tokio::test]
async fn a_cut_at_the_front_is_found() {
    let (world, _) = World::with(10).await;
    world.cut(0..3).await;
    assert_eq!(world.broken("one").await, Some(1));
}

#[tokio::test]
async fn a_chain_without_any_record_left_is_found() {
    let (world, _) = World::with(10).await;
    world.cut(0..10).await;
    assert_eq!(world.broken("one").await, Some(1));
}

#[tokio::test]
async fn a_cut_at_the_end_is_found_also_when_the_head_is_rewritten() {
    let (world, _) = World::with(10).await;
    let records = world.rows("at/").await;
    world.cut(7..10).await;
    assert_eq!(world.broken("one").await, Some(8));
    let (key, mut head) = world.rows("head/").await.remove(0);
    head["seq"] = records[6].1["seq"].clone();
    head["hash"] = records[6].1["hash"].clone();
    head["at"] = records[6].1["at"].clone();
    world.set(&key, Some(head)).await;
    assert!(world.broken("one").await.is_some());
    world.set(&key, None).await;
    assert!(world.broken("one").await.is_some());
}

#[tokio::test]
async fn an_old_end_put_back_is_found_by_the_replica_that_wrote_on() {
    let (world, store) = World::with(7).await;
    let (key, old) = world.rows("head/").await.remove(0);
    world.write(&store, 3).await;
    world.cut(7..10).await;
    world.set(&key, Some(old)).await;
    assert_eq!(broken(&store, "one").await, Some(8));
    // It writes on in another chain, which begins with what has happened to this one.
    world.write(&store, 2).await;
    let chains = verify(&store).await.unwrap();
    assert_eq!(chains["one"].broken_at, Some(8));
    assert_eq!((chains["one.2"].records, chains["one.2"].broken_at), (3, None));
    let first = world.rows("at/").await.swap_remove(7).1;
    assert_eq!((&first["op"], &first["target"]), (&json!("audit.broken"), &json!("one")));
}

#[tokio::test]
async fn a_forged_row_is_found_wherever_it_stands() {
    let (world, _) = World::with(10).await;
    let (key, row) = world.rows("at/").await.swap_remove(4);
    let forged = |at: u64, seq: u64, hash: &str| {
        let mut row = row.clone();
        row["at"] = json!(at);
        row["seq"] = json!(seq);
        row["hash"] = json!(hash);
        (format!("at/{at:014}/one/{seq:010}"), row)
    };
    let hash = row["hash"].as_str().unwrap().to_owned();
    let rows = [
        // The same record a second time, under a key that is not its own.
        (key.replace("/0000000005", "/0000000006x"), row.clone()),
        ("at/no time".to_owned(), row.clone()),
        // Another with a number that is taken; before the first, and after the last.
        forged(START, 5, &hash),
        forged(START + 60_000, 5, &hash),
        forged(START, 1, &hash),
        forged(START + 60_000, 11, &hash),
    ];
    for (key, row) in rows {
        world.set(&key, Some(row)).await;
        let chains = verify(&world.replica("stranger")).await.unwrap();
        assert!(chains.values().any(|chain| chain.broken_at.is_some()), "{key}");
        world.set(&key, None).await;
    }
    assert_eq!(world.broken("one").await, None);
}

#[tokio::test]
async fn a_pruned_chain_is_whole_and_a_cut_after_it_is_found() {
    let (world, store) = World::with(1200).await;
    assert_eq!(prune(&store, START + 1_001_000).await.unwrap(), 1000);
    let chains = verify(&store).await.unwrap();
    assert_eq!((chains["one"].records, chains["one"].broken_at), (200, None));
    world.cut(0..5).await;
    assert_eq!(world.broken("one").await, Some(1001));
    world.cut(0..195).await;
    assert_eq!(world.broken("one").await, Some(1001));
}

#[tokio::test]
async fn a_chain_that_is_pruned_to_its_end_is_whole_and_goes_on() {
    let (world, store) = World::with(10).await;
    assert_eq!(prune(&store, START + 3_600_000).await.unwrap(), 10);
    assert_eq!(world.broken("one").await, None);
    world.write(&store, 1).await;
    assert_eq!(world.broken("one").await, None);
    world.cut(0..1).await;
    assert_eq!(world.broken("one").await, Some(11));
}

#[tokio::test]
async fn pruning_vouches_for_no_forged_row_and_keeps_it() {
    let (world, store) = World::with(10).await;
    let (key, row) = world.rows("at/").await.swap_remove(4);
    let mut altered = row.clone();
    altered["who"] = json!("eve");
    world.set(&key, Some(altered)).await;
    assert_eq!(prune(&store, START + 3_600_000).await.unwrap(), 4);
    assert_eq!(world.broken("one").await, Some(5));
    assert_eq!(prune(&store, START + 3_600_000).await.unwrap(), 0);
    world.set(&key, Some(row.clone())).await;
    assert_eq!(prune(&store, START + 3_600_000).await.unwrap(), 6);
    assert_eq!(world.broken("one").await, None);
    // Put back after it was pruned, it would be listed again.
    world.set(&key, Some(row)).await;
    assert_eq!(world.broken("one").await, Some(5));
}

#[tokio::test]
async fn an_anchor_that_was_altered_is_not_believed() {
    let (world, store) = World::with(10).await;
    prune(&store, START + 4_000).await.unwrap();
    let record = world.rows("at/").await.swap_remove(3).1;
    let (key, mut anchor) = world.rows("anchor/").await.swap_remove(0);
    anchor["seq"] = record["seq"].clone();
    anchor["hash"] = record["hash"].clone();
    anchor["at"] = record["at"].clone();
    world.cut(0..4).await;
    world.set(&key, Some(anchor)).await;
    assert!(world.broken("one").await.is_some());
}

#[tokio::test]
async fn records_stay_in_order_when_the_clock_goes_back() {
    let world = World::new();
    let store = world.replica("one");
    store.record(Entry::by("ada", "key.rotate", "app")).await.unwrap();
    let before = Store::new(Arc::clone(&world.backplane), "one", Clock::manual(START - 3_600_000));
    before.seal_audit(&[9; 32]);
    before.record(Entry::by("ada", "key.rotate", "app")).await.unwrap();
    let rows = world.rows("at/").await;
    let read = rows.into_iter().map(|(_, row)| serde_json::from_value::<Stored>(row).unwrap());
    let order: Vec<_> = read.map(|record| (record.seq, record.at)).collect();
    assert_eq!(order, [(1, START), (2, START)]);
    assert_eq!(world.broken("one").await, None);
}
