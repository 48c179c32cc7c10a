//! The audit log as its readers see it, and refusals of copies of everything.

use super::world::{PASSWORD, World, reason, with};
use anyhow::{Context as _, Result};
use patchbay_backplane::{Change, Expect, Name, Order, Scan};
use patchbay_proto::crypto::v1 as pb;

#[tokio::test]
async fn a_verification_tells_of_a_record_that_was_taken_out() -> Result<()> {
    let mut world = World::start().await?;
    let root = world.set_up().await?;
    for name in ["ada", "bob", "eve"] {
        world.create(&root, name, &[]).await?;
    }
    let chains = verify(&mut world, &root).await?;
    assert!(chains.iter().all(|chain| chain.is_whole && chain.broken_at == 0), "{chains:?}");
    assert!(chains.iter().any(|chain| chain.records >= 4), "{chains:?}");

    let table = Name::new("crypto", "audit", "store");
    let scan = Scan { prefix: "at/".into(), after: None, order: Order::Ascending, limit: 100 };
    let rows = world.context.backplane.scan(&table, scan).await?.records;
    let row = rows.iter().find(|row| String::from_utf8_lossy(&row.value).contains("\"bob\""));
    let key = row.context("bob's account was recorded")?.key.clone();
    let (_, place) = key.rsplit_once('/').context("it has a place")?;
    let place: u64 = place.parse()?;
    let taken_out = Change { table, key, expect: Expect::Anything, value: None };
    world.context.backplane.commit(vec![taken_out]).await?;
    let chains = verify(&mut world, &root).await?;
    assert!(chains.iter().any(|chain| !chain.is_whole && chain.broken_at == place), "{chains:?}");
    Ok(())
}

#[tokio::test]
async fn refused_copies_of_everything_are_recorded() -> Result<()> {
    let mut world = World::start().await?;
    let root = world.set_up().await?;
    world.create(&root, "eve", &["crypto:backup:other", "crypto:restore:other"]).await?;
    let eve = world.sign_in("eve", PASSWORD).await?.token;
    let backup = || pb::BackupRequest { password: PASSWORD.into() };
    let restore = || {
        tokio_stream::once(pb::RestoreRequest {
            password: PASSWORD.into(),
            chunk: b"no copy".as_slice().into(),
        })
    };
    assert_eq!(reason(world.one.admin.backup(with(&eve, backup())).await), "PERMISSION_DENIED");
    assert_eq!(reason(world.one.admin.restore(with(&eve, restore())).await), "PERMISSION_DENIED");
    assert_eq!(reason(world.one.admin.restore(with(&root, restore())).await), "BACKUP_UNREADABLE");
    // A piece that is larger than any message may be ends the stream before its end.
    let huge =
        tokio_stream::once(pb::RestoreRequest { chunk: vec![0; 64 << 20].into(), ..Default::default() });
    assert_eq!(reason(world.one.admin.restore(with(&root, huge)).await), "");
    let recorded = world.audit(&root).await?;
    let expected = [
        ("store.backup", "store", "PERMISSION_DENIED"),
        ("store.restore", "store", "PERMISSION_DENIED"),
        ("store.restore", "store", "BACKUP_UNREADABLE"),
        ("store.restore", "store", "INTERRUPTED"),
    ];
    for (operation, target, outcome) in expected {
        let record = (operation.to_owned(), target.to_owned(), outcome.to_owned());
        assert!(recorded.contains(&record), "{record:?} in {recorded:?}");
    }
    Ok(())
}

async fn verify(world: &mut World, token: &str) -> Result<Vec<pb::AuditChain>> {
    let request = with(token, pb::VerifyAuditRequest {});
    Ok(world.one.admin.verify_audit(request).await?.into_inner().chains)
}
