//! Encryptions with 96-bit nonces are counted over all replicas.

use super::*;
use crate::{
    keyring::{
        counter::{LIMIT, WARN_AT},
        rows::{UsageRow, usage_row},
    },
    store::Row,
};
use patchbay_backplane::Expect;

async fn usage(replica: &Replica, header: &Header) -> Option<u64> {
    let row: Option<Row<UsageRow>> = replica.store.get(Table::Keys, &usage_row(&header.id, 1)).await.unwrap();
    row.map(|row| row.value.reserved)
}

async fn set_usage(replica: &Replica, header: &Header, reserved: u64) {
    let change = Table::Keys.put(usage_row(&header.id, 1), Expect::Anything, &UsageRow { reserved }).unwrap();
    replica.store.commit_unrecorded(vec![change]).await.unwrap();
}

async fn reserve(replica: &Replica, name: &str, count: u32) -> Result<(), Error> {
    let key = replica.keyring.get(name).await?;
    replica.keyring.reserve(&key, key.encrypting(0)?, count).await
}

#[tokio::test]
async fn blocks_are_reserved_before_they_are_used_and_replicas_share_none() {
    let mut world = World::new();
    world.config.counter_block = 100;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let header = one.create("k", KeyType::Aes256Gcm96).await;
    let key = one.keyring.get("k").await.unwrap();
    assert!(!one.keyring.try_reserve(&key.versions[&1], 1), "nothing is reserved yet");
    for _ in 0..100 {
        reserve(&one, "k", 1).await.unwrap();
    }
    assert_eq!(usage(&one, &header).await, Some(100));
    reserve(&two, "k", 30).await.unwrap();
    assert_eq!(usage(&one, &header).await, Some(200));
    reserve(&one, "k", 250).await.unwrap();
    assert_eq!(usage(&one, &header).await, Some(450));
    let (_, versions) = one.keyring.describe(&named("k")).await.unwrap();
    assert_eq!(versions[0].encryptions, 450);
}

#[tokio::test]
async fn many_at_once_get_no_more_than_was_reserved() {
    let mut world = World::new();
    world.config.counter_block = 7;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let header = one.create("k", KeyType::ChaCha20Poly1305).await;
    let mut jobs = JoinSet::new();
    for index in 0..200 {
        let keyring = if index % 2 == 0 { one.keyring.clone() } else { two.keyring.clone() };
        jobs.spawn(async move {
            let key = keyring.get("k").await?;
            keyring.reserve(&key, key.encrypting(0)?, 3).await
        });
    }
    for reserved in jobs.join_all().await {
        reserved.unwrap();
    }
    let reserved = usage(&one, &header).await.unwrap();
    assert!((600..=614).contains(&reserved), "{reserved}");
}

#[tokio::test]
async fn half_way_is_told_once_and_the_end_is_refused() {
    let mut world = World::new();
    world.config.counter_block = 100;
    let replica = world.replica("one").await;
    let header = replica.create("k", KeyType::Aes256Gcm96).await;
    set_usage(&replica, &header, WARN_AT - 150).await;
    for (count, warnings) in [(100, 0), (100, 1), (100, 1)] {
        reserve(&replica, "k", count).await.unwrap();
        assert_eq!(replica.warnings.get(), warnings);
    }
    set_usage(&replica, &header, LIMIT - 30).await;
    reserve(&replica, "k", 29).await.unwrap();
    assert_eq!(usage(&replica, &header).await, Some(LIMIT), "the last block is a smaller one");
    assert!(matches!(reserve(&replica, "k", 2).await, Err(Error::KeyExhausted)));
    reserve(&replica, "k", 1).await.unwrap();
    assert!(matches!(reserve(&replica, "k", 1).await, Err(Error::KeyExhausted)));
    replica.rotate("k").await.unwrap();
    reserve(&replica, "k", 1).await.unwrap();
}

#[tokio::test]
async fn a_rotation_keeps_what_is_left_of_blocks() {
    let (_world, replica) = World::alone().await;
    let header = replica.create("k", KeyType::Aes256Gcm96).await;
    reserve(&replica, "k", 1).await.unwrap();
    replica.rotate("k").await.unwrap();
    let key = replica.keyring.get("k").await.unwrap();
    assert!(replica.keyring.try_reserve(key.encrypting(1).unwrap(), 1));
    assert_eq!(usage(&replica, &header).await, Some(1 << 16));
}

#[tokio::test]
async fn long_nonces_and_cbc_are_not_counted() {
    let (_world, replica) = World::alone().await;
    for key_type in [KeyType::Xaes256Gcm, KeyType::Aes256CbcHmacSha512, KeyType::Aes256CbcLegacy] {
        replica.create(key_type.word(), key_type).await;
        let key = replica.keyring.get(key_type.word()).await.unwrap();
        assert!(replica.keyring.try_reserve(&key.versions[&1], u32::MAX));
        reserve(&replica, key_type.word(), u32::MAX).await.unwrap();
    }
    assert!(replica.rows(Table::Keys, "usage/").await.is_empty());
}
