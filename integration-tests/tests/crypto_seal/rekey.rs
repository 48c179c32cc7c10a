//! A seal key that becomes shared, and is replaced, on one replica and on two; and a copy of the store after rotations.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, is, settings},
};
use anyhow::{Context, Result};
use futures_util::stream;
use integration_tests::{
    crypto::{Crypto, Installation},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    BackupRequest, BeginRekeyRequest, ConfirmRekeyRequest, ConfirmRekeyResponse, RestoreRequest,
    RotateRootKeyRequest, SealKind,
};
use patchbay_testkit::{
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{fs, time::Duration};
use tonic::Status;

const PASSWORD: &str = "correct horse battery staple";

/// Rekeys whose caller goes away before, while and after they take effect.
const ABANDONED: u64 = 16;

impl Clients {
    async fn begin_rekey(&self) -> Result<Vec<String>, Status> {
        let request = BeginRekeyRequest { shares: 3, threshold: 2 };
        Ok(self.seal.clone().begin_rekey(request).await?.into_inner().shares)
    }

    async fn confirm(&self, share: &str) -> Result<ConfirmRekeyResponse, Status> {
        let request = ConfirmRekeyRequest { share: share.into() };
        Ok(self.seal.clone().confirm_rekey(request).await?.into_inner())
    }

    async fn rotate_root(&self) -> Result<(), Status> {
        self.seal.clone().rotate_root_key(RotateRootKeyRequest {}).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_becomes_shares() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let from_file = Installation::create(folder.path(), settings().set("backplane.file", &file.display()))?;
    let mut replica = from_file.start("crypto").await?;
    let clients = Clients::connect(&replica, &from_file.admin()?)?;
    clients.create("k").await?;
    let sealed = vec![clients.encrypt("k").await?];
    assert!(clients.status().await?.kind() == SealKind::File);
    assert!(is(&clients.confirm("pbs1-00").await, "SHARE_INVALID"));
    let abandoned = clients.begin_rekey().await?;
    assert!(is(&clients.bring(&abandoned[0]).await, "SEAL_NOT_SHARED"), "it is no share of what is in use");
    // Begun once more: the first shares are worth nothing. Nothing has changed so far.
    let shares = clients.begin_rekey().await?;
    assert!(is(&clients.confirm(&abandoned[0]).await, "SHARE_INVALID"));
    let answer = clients.confirm(&shares[0]).await?;
    let status = answer.status.context("it is told")?;
    assert!(!answer.done);
    assert_eq!((status.rekey_progress, status.rekey_threshold), (1, 2));
    replica.process.kill()?;
    replica.restart().await?;
    let clients = Clients::connect(&replica, &from_file.admin()?)?;
    clients.decrypt_all(&sealed).await?;

    let shares = clients.begin_rekey().await?;
    clients.confirm(&shares[2]).await?;
    assert!(clients.confirm(&shares[1]).await?.done);
    assert!(is(&clients.confirm(&shares[0]).await, "NO_REKEY"));
    assert!(clients.status().await?.kind() == SealKind::Shares);
    clients.decrypt_all(&sealed).await?;
    // The file opens nothing any more, and what to do is said.
    replica.process.kill()?;
    let refused = replica.restart().await.err().context("the file was taken")?.to_string();
    assert!(refused.contains("root_key.shares"), "{refused}");
    drop(replica);

    let other = folder.path().join("shared");
    fs::create_dir(&other)?;
    let people = Installation::shared(&other, settings().set("backplane.file", &file.display()))?;
    let replica = people.start("crypto").await?;
    let clients = Clients::connect(&replica, &people.admin()?)?;
    assert!(clients.status().await?.initialized);
    clients.bring(&shares[0]).await?;
    assert!(!clients.bring(&shares[2]).await?.sealed);
    clients.decrypt_all(&sealed).await?;
    clients.audit_is_whole().await?;
    clients.rotate_root().await?;
    clients.swept(Duration::from_secs(30)).await?;
    clients.decrypt_all(&sealed).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_for_a_store_with_a_key_file_are_refused_with_what_to_do() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let from_file = Installation::create(folder.path(), settings().set("backplane.file", &file.display()))?;
    drop(from_file.start("crypto").await?);
    let other = folder.path().join("shared");
    fs::create_dir(&other)?;
    let shared = Installation::shared(&other, settings().set("backplane.file", &file.display()))?;
    let refused = shared.start("shared").await.err().context("it started")?;
    assert!(format!("{refused:#}").contains("patchbay seal rekey"), "{refused:#}");
    let both = from_file.with("root_key.shares", "true");
    let refused = both.start("both").await.err().context("it started")?;
    assert!(format!("{refused:#}").contains("root_key.shares"), "{refused:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_is_confirmed_on_any_replica_and_all_go_on() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::shared(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let mut replicas = [installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    let token = installation.admin()?;
    let [one, other] = [Clients::connect(&replicas[0], &token)?, Clients::connect(&replicas[1], &token)?];
    let old = one.initialize().await?;
    for share in &old[..3] {
        one.bring(share).await?;
    }
    let is_open = async || other.status().await.is_ok_and(|status| !status.sealed);
    wait_until("both are open", Duration::from_secs(6), is_open).await?;
    one.create("k").await?;
    let sealed = vec![one.encrypt("k").await?];

    let shares = one.begin_rekey().await?;
    let answer = other.confirm(&shares[0]).await?;
    assert!(!answer.done && answer.status.is_some_and(|status| status.rekey_progress == 1));
    assert!(other.confirm(&shares[2]).await?.done);
    // Both have the new key: each can change the root keys, and the other reads them.
    other.rotate_root().await?;
    let generation = other.status().await?.root_generation;
    let follows = async || one.status().await.is_ok_and(|status| status.root_generation == generation);
    wait_until("the first replica follows", Duration::from_secs(6), follows).await?;
    one.rotate_root().await?;
    one.swept(Duration::from_secs(30)).await?;
    for clients in [&one, &other] {
        clients.decrypt_all(&sealed).await?;
        clients.audit_is_whole().await?;
    }
    for replica in &mut replicas {
        replica.process.kill()?;
        replica.restart().await?;
    }
    assert!(is(&one.bring(&old[0]).await, "SHARE_INVALID"));
    one.bring(&shares[0]).await?;
    one.bring(&shares[1]).await?;
    one.decrypt_all(&sealed).await?;
    Ok(())
}

/// Two replicas on Redis that are open, and the folder and the server that they need.
struct Two {
    replicas: [Crypto; 2],
    clients: [Clients; 2],
    _redis: RedisServer,
    _folder: tempfile::TempDir,
}

async fn two_open() -> Result<Two> {
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::shared(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let replicas = [installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    let token = installation.admin()?;
    let clients = [Clients::connect(&replicas[0], &token)?, Clients::connect(&replicas[1], &token)?];
    for share in &clients[0].initialize().await?[..3] {
        clients[0].bring(share).await?;
    }
    let is_open = async || clients[1].status().await.is_ok_and(|status| !status.sealed);
    wait_until("both are open", Duration::from_secs(6), is_open).await?;
    Ok(Two { replicas, clients, _redis: redis, _folder: folder })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rekeys_that_were_begun_on_two_replicas_the_last_counts() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut two = two_open().await?;
    let [one, other] = &two.clients;
    let first = one.begin_rekey().await?;
    let last = other.begin_rekey().await?;
    assert!(is(&one.confirm(&first[0]).await, "SHARE_INVALID"));
    // To the replica that has begun the other one.
    let answer = one.confirm(&last[0]).await?;
    assert!(!answer.done && answer.status.is_some_and(|status| status.rekey_progress == 1));
    assert!(is(&one.confirm(&first[1]).await, "SHARE_INVALID"));
    assert!(one.confirm(&last[2]).await?.done);
    one.rotate_root().await?;
    // Where the replica that made the new key is gone, so is the key, and whoever brings a share is told.
    let forgotten = other.begin_rekey().await?;
    two.replicas[1].process.kill()?;
    assert!(is(&one.confirm(&forgotten[0]).await, "NO_REKEY"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_whose_caller_goes_away_is_done_on_all_replicas_or_not_at_all() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let two = two_open().await?;
    let mut cut = 0;
    for round in 0..ABANDONED {
        let [here, there] = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        let (here, there) = (&two.clients[here], &two.clients[there]);
        let request = BeginRekeyRequest { shares: 1, threshold: 1 };
        let shares = here.seal.clone().begin_rekey(request).await?.into_inner().shares;
        let patience = Duration::from_micros(500 + round * 733 % 8_000);
        cut += u32::from(tokio::time::timeout(patience, here.confirm(&shares[0])).await.is_err());
        // A replica that does not know the seal key in use refuses every change of it, and closes in the end.
        for clients in [there, here] {
            let changes = async || {
                let Ok(shares) = clients.begin_rekey().await else { return false };
                let begun = clients.confirm(&shares[0]).await.is_ok();
                begun && clients.confirm(&shares[1]).await.is_ok_and(|answer| answer.done)
            };
            wait_until("the seal key can be changed", Duration::from_secs(6), changes)
                .await
                .with_context(|| format!("round {round}, {patience:?}"))?;
        }
    }
    report(&format!(
        "{cut} of {ABANDONED} rekeys were left by their callers; all replicas know the key that is in use"
    ));
    assert!(cut > 0, "no caller went away");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_between_rotations_is_restored_under_another_seal() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let store = |folder: &std::path::Path| {
        settings()
            .set("backplane.file", &folder.join("store.redb").display())
            .set("root_key.retire_after", "1h")
    };
    let from = Installation::create(here.path(), store(here.path()))?;
    let replica = from.start("old").await?;
    let clients = Clients::connect(&replica, &from.admin()?)?;
    let mut sealed = Vec::new();
    for round in 0..3 {
        let name = format!("k{round}");
        clients.create(&name).await?;
        sealed.push(clients.encrypt(&name).await?);
        clients.rotate_root().await?;
    }
    let request = BackupRequest { password: PASSWORD.into() };
    let mut pieces = clients.admin.clone().backup(request).await?.into_inner();
    let mut copy = Vec::new();
    while let Some(piece) = pieces.message().await? {
        copy.push(RestoreRequest { password: PASSWORD.into(), chunk: piece.chunk });
    }
    let to = Installation::shared(there.path(), store(there.path()))?;
    let mut new = to.start("new").await?;
    let clients = Clients::connect(&new, &to.admin()?)?;
    let shares = clients.initialize().await?;
    for share in &shares[..3] {
        clients.bring(share).await?;
    }
    let restored = clients.admin.clone().restore(stream::iter(copy)).await?.into_inner();
    assert_eq!(restored.keys, 3);
    clients.decrypt_all(&sealed).await?;
    clients.rotate_root().await?;
    new.process.kill()?;
    new.restart().await?;
    let clients = Clients::connect(&new, &to.admin()?)?;
    for share in &shares[2..] {
        clients.bring(share).await?;
    }
    clients.decrypt_all(&sealed).await?;
    Ok(())
}
