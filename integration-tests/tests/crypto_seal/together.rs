//! Rotations of the root key on one replica while the other makes keys all the time.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, Sealed, settings},
};
use anyhow::Result;
use integration_tests::{crypto::Installation, report::report, verdict::TestResult};
use patchbay_proto::crypto::v1::RotateRootKeyRequest;
use patchbay_testkit::redis::{Persistence, RedisServer};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const ROTATIONS: u32 = 6;

/// Time for a sweep: a second until older keys may go, and the work beside two replicas that are busy.
const SWEEP: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_becomes_unreadable_while_the_other_replica_writes() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::create(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let replicas = [installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    let token = installation.admin()?;
    let [one, other] = [Clients::connect(&replicas[0], &token)?, Clients::connect(&replicas[1], &token)?];
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..3 {
        writers.spawn(write(number, other.clone(), one.clone(), Arc::clone(&stop)));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..ROTATIONS {
        one.seal.clone().rotate_root_key(RotateRootKeyRequest {}).await?;
        slowest = slowest.max(one.swept(SWEEP * 3).await?);
    }
    stop.store(true, Ordering::Relaxed);
    let mut sealed = Vec::new();
    while let Some(written) = writers.join_next().await {
        sealed.extend(written??);
    }
    for clients in [&one, &other] {
        clients.decrypt_all(&sealed).await?;
        clients.audit_is_whole().await?;
        assert_eq!(clients.status().await?.root_generation, ROTATIONS);
    }
    drop(replicas);
    let fresh = installation.start("fresh").await?;
    Clients::connect(&fresh, &installation.admin()?)?.decrypt_all(&sealed).await?;
    report(&format!(
        "{ROTATIONS} rotations while another replica wrote: {} ciphertexts of new keys are readable; the slowest sweep took {:.1} s",
        sealed.len(),
        slowest.as_secs_f64()
    ));
    assert!(sealed.len() > 50, "hardly anything was written");
    Ok(())
}

/// Makes and rotates keys on one replica, and reads them on the other at once.
async fn write(number: usize, here: Clients, there: Clients, stop: Arc<AtomicBool>) -> Result<Vec<Sealed>> {
    let mut sealed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("w{number}-{}", sealed.len());
        here.create(&name).await?;
        sealed.push(here.encrypt(&name).await?);
        here.rotate(&name).await?;
        sealed.push(here.encrypt(&name).await?);
        there.decrypt_all(&sealed[sealed.len() - 2..]).await?;
    }
    Ok(sealed)
}
