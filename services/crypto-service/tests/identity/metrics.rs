//! What an operator sees of refusals, keys in memory and sessions.

use super::world::{PASSWORD, World, reason, with};
use anyhow::{Context as _, Result};
use patchbay_proto::crypto::v1 as pb;
use patchbay_testkit::http;
use std::net::SocketAddr;

/// A series as it is shown now; 0 where it is not shown yet.
async fn shown(ops: SocketAddr, series: &str) -> Result<u64> {
    let page = http::get(ops, "/metrics", &[]).await?.body;
    let series = format!("patchbay_crypto_service_{series} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&series));
    line.map_or(Ok(0), |value| value.parse().with_context(|| format!("{series}{value}")))
}

async fn refused(ops: SocketAddr, reason: &str) -> Result<u64> {
    shown(ops, &format!("refusals_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test]
async fn refusals_are_counted_by_reason_whatever_was_refused() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &["keys:read:mine-*", "keys:list:*"]).await?;
    let ada = world.sign_in("ada", PASSWORD).await?.token;
    let ops = world.process.addresses().iter().find(|address| address.name == "ops");
    let ops = ops.context("it has a port for operators")?.address;
    let page = http::get(ops, "/metrics", &[]).await?.body;
    assert!(page.contains("patchbay_crypto_service_refusals_total{reason=\"BUSY\"} 0"), "{page}");

    // Reading, which changes and records nothing, is counted too.
    let get = |name: &str| pb::GetKeyRequest { name: name.into() };
    assert_eq!(reason(world.one.keys.get_key(with(&ada, get("hers"))).await), "PERMISSION_DENIED");
    let public = pb::ExportKeyRequest {
        name: "hers".into(),
        format: pb::ExportFormat::PublicPem.into(),
        ..Default::default()
    };
    assert_eq!(reason(world.one.keys.export_key(with(&ada, public)).await), "PERMISSION_DENIED");
    let list = pb::ListKeysRequest { page_size: 100_000, ..Default::default() };
    assert_eq!(reason(world.one.keys.list_keys(with(&ada, list)).await), "BAD_REQUEST");
    // So is what changes something,
    let rotate = pb::RotateKeyRequest { name: "none".into() };
    assert_eq!(reason(world.one.keys.rotate_key(with(&admin, rotate)).await), "NOT_FOUND");
    let delete = pb::DeleteAccountRequest { name: "nobody".into() };
    assert_eq!(reason(world.one.accounts.delete_account(with(&admin, delete)).await), "NOT_FOUND");
    // and each item of a batch, once.
    let item = pb::EncryptRequest { key: "none".into(), ..Default::default() };
    let batch = pb::EncryptBatchRequest { items: vec![item; 3] };
    assert_eq!(world.one.data.encrypt_batch(with(&admin, batch)).await?.into_inner().results.len(), 3);
    let batch = pb::RandomBatchRequest { items: vec![pb::RandomRequest { size: 0 }; 2] };
    world.one.data.random_batch(with(&admin, batch)).await?;

    assert_eq!(refused(ops, "PERMISSION_DENIED").await?, 2);
    assert_eq!(refused(ops, "BAD_REQUEST").await?, 3);
    assert_eq!(refused(ops, "NOT_FOUND").await?, 5);
    assert_eq!(refused(ops, "BUSY").await?, 0);
    Ok(())
}

#[tokio::test]
async fn keys_in_memory_are_shown() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let ops = world.process.addresses().iter().find(|address| address.name == "ops");
    let ops = ops.context("it has a port for operators")?.address;
    assert_eq!(shown(ops, "cached_keys").await?, 0);
    assert_eq!(shown(ops, "queued_jobs").await?, 0);
    let create = pb::CreateKeyRequest { name: "app".into(), ..Default::default() };
    world.one.keys.create_key(with(&admin, create)).await?;
    let encrypt = || pb::EncryptRequest { key: "app".into(), ..Default::default() };
    // What was read while an event of the change is on its way is not kept.
    while shown(ops, "cached_keys").await? == 0 {
        world.one.data.encrypt(with(&admin, encrypt())).await?;
    }
    assert_eq!(shown(ops, "cached_keys").await?, 1);
    Ok(())
}
