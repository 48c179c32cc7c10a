//! Rotations of the root key, killed at every moment.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, Sealed, is_cut_off, settings},
};
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use integration_tests::{
    admin::reason,
    crypto::{Crypto, Installation},
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    CreateAccountRequest, RefreshRequest, RotateRootKeyRequest, SignInRequest,
    accounts_client::AccountsClient,
};
use patchbay_testkit::redis::{Persistence, RedisServer};
use std::{
    env,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Kills of each test, unless `SEAL_KILLS` says how many, and from how many on it is a long run.
const KILLS: u64 = 12;
const LONG: u64 = 36;
const KEYS: usize = 24;
const VERSIONS: usize = 60;
const PASSWORD: &str = "a password that nobody guesses";

/// Time for a sweep once nothing kills it: a second until older keys may go, and the work.
const SWEEP: Duration = Duration::from_secs(20);

/// What must survive.
struct State {
    sealed: Vec<Sealed>,
    refresh: String,
    /// Rotations that were acknowledged.
    rotated: u32,
    unknown: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_survives_kill_9_at_any_moment_on_a_file() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let settings = settings().set("backplane.file", &file.display());
    let installation = Installation::create(folder.path(), settings)?;
    let mut replicas = vec![installation.start("crypto").await?];
    survive("a file", &installation, &mut replicas).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_survives_kill_9_at_any_moment_on_redis_with_two_replicas() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::create(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let mut replicas = vec![installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    survive("Redis", &installation, &mut replicas).await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn kills() -> u64 {
    env::var("SEAL_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

async fn survive(store: &str, installation: &Installation, replicas: &mut [Crypto]) -> Result<()> {
    let (began, kills) = (Instant::now(), kills());
    let mut state = fill(installation, &replicas[0]).await?;
    let count = replicas.len();
    for kill in 0..kills {
        let killed = usize::try_from(kill)? % count;
        let clients = Clients::connect(&replicas[killed], &installation.admin()?)?;
        let mut rotating = JoinSet::new();
        rotating.spawn(async move { clients.seal.clone().rotate_root_key(RotateRootKeyRequest {}).await });
        // From before the commit to well into the sweep; now and then long enough for its end.
        let micros = if kill % 9 == 8 { 3_000_000 } else { kill * 7919 % 200_000 };
        tokio::time::sleep(Duration::from_micros(micros)).await;
        replicas[killed].process.kill()?;
        match rotating.join_next().await.context("it was spawned")?? {
            Ok(_) => state.rotated += 1,
            Err(status) if is_cut_off(&status) => state.unknown += 1,
            Err(status) => ensure!(reason(&status) == "CONFLICT", "{status:?}"),
        }
        replicas[killed].restart().await?;
        let asked = Clients::connect(&replicas[usize::try_from(kill / 2)? % count], &installation.admin()?)?;
        check(&asked, &mut state, kill).await?;
        // Now and then somebody has to do the rest; else the next rotation comes before that.
        if kill % 3 == 1 {
            asked.swept(SWEEP * 3).await?;
        }
    }
    let clients = Clients::connect(&replicas[0], &installation.admin()?)?;
    let took = clients.swept(SWEEP * 3).await?;
    check(&clients, &mut state, 0).await?;
    let sweeps: Vec<usize> = replicas.iter().flat_map(rewrapped).collect();
    let interrupted = sweeps.iter().filter(|rows| **rows < KEYS * VERSIONS).count();
    replicas[0].process.kill()?;
    replicas[0].restart().await?;
    let clients = Clients::connect(&replicas[0], &installation.admin()?)?;
    check(&clients, &mut state, 0).await?;
    let generation = clients.status().await?.root_generation;
    report(&format!(
        "{kills} kills during rotations on {store}: generation {generation}, {} rotations acknowledged, {} cut off, {interrupted} of {} sweeps had only the rest to \
         do; {} ciphertexts, the audit log and a session are whole; the last sweep took {:.1} s, everything {:.0} s",
        state.rotated,
        state.unknown,
        sweeps.len(),
        state.sealed.len(),
        took.as_secs_f64(),
        began.elapsed().as_secs_f64(),
    ));
    // Of few kills, none may have come during a sweep.
    ensure!(interrupted > 1 || kills < LONG, "no kill came during a sweep");
    Ok(())
}

/// How many rows each sweep of a replica has wrapped anew: less than all where another had done the rest.
fn rewrapped(replica: &Crypto) -> Vec<usize> {
    let log = replica.process.log();
    let lines = log.lines().filter(|line| line.contains("rows were wrapped anew"));
    lines
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?["rows"].as_u64()?.try_into().ok()
        })
        .collect()
}

/// Keys of many versions, each with a ciphertext, and a session.
async fn fill(installation: &Installation, replica: &Crypto) -> Result<State> {
    let clients = Clients::connect(replica, &installation.admin()?)?;
    let one = |number: usize| {
        let clients = clients.clone();
        async move {
            let name = format!("k{number}");
            let mut sealed = Vec::new();
            clients.create(&name).await?;
            for _ in 1..VERSIONS {
                sealed.push(clients.encrypt(&name).await?);
                clients.rotate(&name).await?;
            }
            sealed.push(clients.encrypt(&name).await?);
            Ok::<_, anyhow::Error>(sealed)
        }
    };
    let sealed = try_join_all((0..KEYS).map(one)).await?.concat();
    let request =
        CreateAccountRequest { name: "ann".into(), password: PASSWORD.into(), ..Default::default() };
    AccountsClient::new(replica.client(&installation.admin()?)?).create_account(request).await?;
    let request = SignInRequest { name: "ann".into(), password: PASSWORD.into(), device: "test".into() };
    let session = clients.tokens.clone().sign_in(request).await?.into_inner().session;
    let refresh = session.context("a session is given")?.refresh_token;
    Ok(State { sealed, refresh, rotated: 0, unknown: 0 })
}

async fn check(clients: &Clients, state: &mut State, round: u64) -> Result<()> {
    // Everything now and then; else some of each key.
    if round.is_multiple_of(6) {
        clients.decrypt_all(&state.sealed).await?;
        clients.audit_is_whole().await?;
    } else {
        let step = 7 + usize::try_from(round % 5)?;
        let some: Vec<Sealed> = state.sealed.iter().step_by(step).cloned().collect();
        clients.decrypt_all(&some).await?;
    }
    let generation = clients.status().await?.root_generation;
    let possible = state.rotated..=state.rotated + state.unknown;
    ensure!(possible.contains(&generation), "generation {generation}, not {possible:?}");
    let request = RefreshRequest { refresh_token: state.refresh.clone() };
    let session = clients.tokens.clone().refresh(request).await.context("the session has survived")?;
    state.refresh = session.into_inner().session.context("a session is given")?.refresh_token;
    // What is made now is wrapped by the newest key.
    let name = format!("new-{round}");
    match clients.create(&name).await {
        Ok(()) => state.sealed.push(clients.encrypt(&name).await?),
        Err(status) => ensure!(reason(&status) == "ALREADY_EXISTS", "{status:?}"),
    }
    Ok(())
}
