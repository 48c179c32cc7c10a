//! What crypto-service has acknowledged survives `kill -9`, exactly once; what one replica changes holds on the others;
//! and a copy of a key is good on another node.

mod check;
mod copies;
mod replicas;
mod worker;

use anyhow::{Result, ensure};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{CreateKeyRequest, KeyType, keys_client::KeysClient};
use patchbay_testkit::redis::{Persistence, RedisServer};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, task::JoinSet};
use worker::{Clients, Course, SHARED, Worker};

/// Kills on each kind of store.
const KILLS: u64 = 100;

/// Callers that change things at the same time.
const WORKERS: usize = 4;

/// Everything is read again, not only what was changed, after this many kills.
const THOROUGH_EVERY: u64 = 25;

/// Longest time until a round has acknowledged what it is killed after.
const ROUND: Duration = Duration::from_secs(30);

/// One at a time: each needs the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Password hashes that cost nothing: they are not what is tested.
fn settings() -> Settings {
    Settings::default().set("passwords.argon2_memory", "64KiB").set("passwords.argon2_passes", "1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing_on_a_file() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let installation =
        Installation::create(folder.path(), settings().set("backplane.file", &file.display()))?;
    let mut replicas = vec![installation.start("crypto").await?];
    survive("a file", &installation, &mut replicas).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_and_doubles_nothing_on_redis_with_two_replicas() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::create(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let mut replicas = vec![installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    survive("Redis", &installation, &mut replicas).await?;
    Ok(())
}

/// Kills replicas by turns while all are worked on, and compares what is stored with what was acknowledged.
async fn survive(store: &str, installation: &Installation, replicas: &mut [Crypto]) -> Result<()> {
    let token = installation.admin()?;
    create_shared(&replicas[0], &token).await?;
    let course = Arc::new(Course::default());
    let mut workers: Vec<Worker> = (0..WORKERS).map(Worker::new).collect();
    let (began, mut restarting) = (Instant::now(), Duration::ZERO);
    for kill in 0..KILLS {
        let killed = usize::try_from(kill)? % replicas.len();
        workers = work_until_killed(workers, &course, replicas, killed, &token, kill).await?;
        let started = Instant::now();
        replicas[killed].restart().await?;
        restarting += started.elapsed();
        // By turns the one that was killed and the one that was not.
        let asked = usize::try_from(kill / 2)? % replicas.len();
        let clients = Clients::connect(&replicas[asked], &token)?;
        let thorough = (kill + 1).is_multiple_of(THOROUGH_EVERY);
        check::stored(&clients, &mut workers, &course, thorough).await?;
        if thorough {
            check::audit_chains(&clients).await?;
        }
    }
    let clients = Clients::connect(&replicas[0], &token)?;
    let (keys, ciphertexts, accounts) = check::everything_once(&clients, &workers, &course).await?;
    report(&format!(
        "{KILLS} kills on {store}: {} calls acknowledged, {} cut off; {keys} keys, {ciphertexts} ciphertexts and {accounts} \
         accounts are as acknowledged; back after {:.2} s; {:.0} s in all",
        course.acknowledged.load(Ordering::Relaxed),
        course.cut_off.load(Ordering::Relaxed),
        restarting.as_secs_f64() / f64::from(u32::try_from(KILLS)?),
        began.elapsed().as_secs_f64(),
    ));
    let cut_off = course.cut_off.load(Ordering::Relaxed);
    ensure!(cut_off >= KILLS / 4, "only {cut_off} calls were cut off: the kills came between the calls");
    Ok(())
}

async fn create_shared(replica: &Crypto, token: &str) -> Result<()> {
    let request =
        CreateKeyRequest { name: SHARED.into(), r#type: KeyType::Xaes256Gcm.into(), ..Default::default() };
    KeysClient::new(replica.client(token)?).create_key(request).await?;
    Ok(())
}

/// Lets all workers go on, kills one replica once so many more calls were acknowledged, and waits for the workers' ends.
async fn work_until_killed(
    workers: Vec<Worker>,
    course: &Arc<Course>,
    replicas: &mut [Crypto],
    killed: usize,
    token: &str,
    round: u64,
) -> Result<Vec<Worker>> {
    course.stop.store(false, Ordering::Relaxed);
    let mut running = JoinSet::new();
    for worker in workers {
        let clients = Clients::connect(&replicas[worker.number % replicas.len()], token)?;
        running.spawn(worker.run(clients, course.clone()));
    }
    let goal = course.acknowledged.load(Ordering::Relaxed) + 3 + round * 7 % 23;
    let reached = tokio::time::timeout(ROUND, async {
        while course.acknowledged.load(Ordering::Relaxed) < goal && !course.has_failed() {
            course.progress.notified().await;
        }
        // Not always at the moment of an answer.
        tokio::time::sleep(Duration::from_micros(round * 761 % 4000)).await;
    })
    .await;
    replicas[killed].process.kill()?;
    course.stop.store(true, Ordering::Relaxed);
    let mut ended = Vec::new();
    while let Some(worker) = running.join_next().await {
        ended.push(worker??);
    }
    ensure!(reached.is_ok(), "round {round}: {goal} acknowledged calls were not reached within {ROUND:?}");
    ended.sort_by_key(|worker| worker.number);
    Ok(ended)
}
