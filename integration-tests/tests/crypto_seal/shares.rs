//! Shares that initialize, open and close a store, right and wrong ones, on one replica and on two.

use crate::{
    ONE_AT_A_TIME,
    world::{Clients, is, settings},
};
use anyhow::{Context, Result, ensure};
use integration_tests::{
    admin::reason,
    crypto::{Crypto, Installation},
    report::report,
    verdict::TestResult,
};
use patchbay_crypto::digest;
use patchbay_proto::crypto::v1::{
    CloseSealRequest, InitializeSealRequest, SealKind, UnsealRequest, seal_client::SealClient,
};
use patchbay_testkit::{
    http,
    redis::{Persistence, RedisServer},
    wait::wait_until,
};
use std::{path::Path, time::Duration};
use tonic::Code;

/// How soon what one replica was told holds on the other.
const GOAL: Duration = Duration::from_secs(2);

/// How soon everything is forgotten after a seal was closed.
const FORGOTTEN: Duration = Duration::from_secs(10);

fn on_file(folder: &Path) -> Result<Installation> {
    Installation::shared(folder, settings().set("backplane.file", &folder.join("store.redb").display()))
}

/// A share that is well-formed and of the right set, but wrong.
fn forged(share: &str, index: u8) -> Result<String> {
    let mut body = hex::decode(share.strip_prefix("pbs1-").context("a share has its prefix")?)?;
    body.truncate(body.len() - 4);
    body[4] = index;
    *body.last_mut().context("it is not empty")? ^= 1;
    let hashed = [b"patchbay share v1", &body[..]].concat();
    body.extend(&digest::Algorithm::Sha256.digest(&hashed)[..4]);
    Ok(format!("pbs1-{}", hex::encode(body)))
}

async fn is_sealed(replica: &Crypto, clients: &Clients) -> Result<()> {
    let refused = clients.create("k").await;
    ensure!(is(&refused, "SEALED") && refused.is_err_and(|status| status.code() == Code::Unavailable));
    let ready = http::get(replica.ops, "/readyz", &[]).await?;
    ensure!(ready.status == 200 && ready.body.contains("patchbay seal"), "{ready:?}");
    let rest = http::get(replica.http, "/v1/keys", &[]).await?;
    ensure!(rest.status == 503 && rest.body.contains("SEALED"), "{rest:?}");
    let status = http::get(replica.http, "/v1/seal", &[]).await?;
    ensure!(status.status == 200 && status.body.contains(r#""sealed":true"#), "{status:?}");
    let health = http::get(replica.http, "/v1/sys/health", &[]).await?;
    let is_initialized = clients.status().await?.initialized;
    let wanted = if is_initialized { 503 } else { 501 };
    ensure!(health.status == wanted && health.body.contains(r#""sealed":true"#), "{health:?}");
    let vault = http::get(replica.http, "/v1/sys/seal-status", &[]).await?;
    let counts = if is_initialized { r#""t":3"# } else { r#""t":0"# };
    let told = format!(r#""initialized":{is_initialized}"#);
    ensure!(vault.status == 200 && vault.body.contains(counts) && vault.body.contains(&told), "{vault:?}");
    let metrics = http::get(replica.ops, "/metrics", &[]).await?.body;
    ensure!(metrics.contains("patchbay_crypto_service_sealed 1"), "it is measured");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_begins_with_shares_and_opens_with_them() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let installation = on_file(folder.path())?;
    let mut replica = installation.start("crypto").await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    is_sealed(&replica, &clients).await?;
    let status = clients.status().await?;
    assert!(status.sealed && !status.initialized && status.kind() == SealKind::Shares);
    let mut stranger = SealClient::new(replica.stranger()?);
    let refused = stranger.initialize_seal(InitializeSealRequest::default()).await;
    assert!(refused.is_err_and(|status| status.code() == Code::Unauthenticated));
    let token = installation.keys.token("ann", &["keys:use:*"])?;
    let mut weak = SealClient::new(replica.client(&token)?);
    let refused = weak.initialize_seal(InitializeSealRequest::default()).await;
    assert!(refused.is_err_and(|status| status.code() == Code::PermissionDenied));

    // What was given out and has not come back is worth nothing after a crash.
    let lost = clients.initialize().await?;
    clients.bring(&lost[0]).await?;
    assert_eq!(clients.bring(&lost[1]).await?.progress, 2);
    replica.process.kill()?;
    replica.restart().await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    assert!(!clients.status().await?.initialized);

    let shares = clients.initialize().await?;
    assert_eq!(shares.len(), 5);
    clients.bring(&shares[4]).await?;
    assert_eq!(clients.bring(&shares[4]).await?.progress, 1, "the same share is no progress");
    clients.bring(&shares[0]).await?;
    let open = clients.bring(&shares[2]).await?;
    assert!(!open.sealed && open.initialized && open.root_generation == 1);
    assert!(replica.setup_secret().is_some(), "the link for the first account is told");
    assert!(is(&clients.initialize().await, "ALREADY_INITIALIZED"));
    clients.create("k").await?;
    let sealed = vec![clients.encrypt("k").await?];

    replica.process.kill()?;
    replica.restart().await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    is_sealed(&replica, &clients).await?;
    assert!(is(&clients.bring(&lost[0]).await, "SHARE_INVALID"), "of another set");
    assert!(is(&clients.bring("pbs1-00").await, "SHARE_INVALID"), "cut");
    for share in &shares[1..4] {
        clients.bring(share).await?;
    }
    clients.decrypt_all(&sealed).await?;
    clients.audit_is_whole().await?;
    assert_eq!(clients.recorded("seal.").await?, 3, "one initialize, and an unseal of each start");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_shares_open_nothing_and_lock_nobody_out() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let installation = on_file(folder.path())?;
    let mut replica = installation.start("crypto").await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    let shares = clients.initialize().await?;
    // A wrong one among those that are brought back: the key is not taken into use.
    clients.bring(&shares[0]).await?;
    clients.bring(&shares[1]).await?;
    assert!(is(&clients.bring(&forged(&shares[2], 3)?).await, "SHARES_WRONG"));
    let status = clients.status().await?;
    assert!(status.sealed && !status.initialized && status.progress == 0);
    for share in &shares[..3] {
        clients.bring(share).await?;
    }
    assert!(!clients.status().await?.sealed);
    replica.process.kill()?;
    replica.restart().await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    clients.bring(&shares[0]).await?;
    clients.bring(&forged(&shares[1], 2)?).await?;
    assert!(is(&clients.bring(&shares[2]).await, "SHARES_WRONG"));
    assert_eq!(clients.status().await?.progress, 0, "all are to be brought again");
    clients.bring(&shares[3]).await?;
    let reset = UnsealRequest { share: String::new(), reset: true };
    clients.seal.clone().unseal(reset).await?;
    assert_eq!(clients.status().await?.progress, 0);
    let mut wrong = 0;
    let refused = loop {
        match clients.bring("pbs1-nonsense").await {
            Err(status) if reason(&status) == "SHARE_INVALID" => wrong += 1,
            Err(status) => break status,
            Ok(_) => return Err(anyhow::anyhow!("nonsense was taken").into()),
        }
        assert!(wrong < 20, "guessing is not slowed down");
    };
    assert_eq!(reason(&refused), "TOO_MANY_ATTEMPTS");
    // Whoever tries, here from the same address, keeps nobody out: right shares are taken all the same.
    for share in &shares[..3] {
        clients.bring(share).await?;
    }
    assert!(!clients.status().await?.sealed);
    report(&format!("{wrong} wrong shares more were refused before the next had to wait"));
    // Nor can anybody have all forget again and again what others bring.
    let resets =
        async || clients.seal.clone().unseal(UnsealRequest { share: String::new(), reset: true }).await;
    assert!(is(&resets().await, "TOO_MANY_ATTEMPTS"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_seal_forgets_everything_and_opens_again() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let installation = on_file(folder.path())?;
    let replica = installation.start("crypto").await?;
    let clients = Clients::connect(&replica, &installation.admin()?)?;
    let shares = clients.initialize().await?;
    let mut sealed = Vec::new();
    for round in 0..3 {
        for share in &shares[..3] {
            clients.bring(share).await?;
        }
        clients.decrypt_all(&sealed).await?;
        let name = format!("k{round}");
        clients.create(&name).await?;
        sealed.push(clients.encrypt(&name).await?);
        let mut weak = SealClient::new(replica.client(&installation.keys.token("ann", &["keys:use:*"])?)?);
        assert!(weak.close_seal(CloseSealRequest {}).await.is_err());
        clients.seal.clone().close_seal(CloseSealRequest {}).await?;
        is_sealed(&replica, &clients).await?;
        let gone = || replica.process.log().matches("all keys were forgotten").count() == round + 1;
        let took = wait_until("all keys are forgotten", FORGOTTEN, async || gone()).await?;
        report(&format!("all keys were forgotten {} ms after the seal was closed", took.as_millis()));
    }
    for share in &shares[2..] {
        clients.bring(share).await?;
    }
    clients.decrypt_all(&sealed).await?;
    clients.audit_is_whole().await?;
    assert_eq!(clients.recorded("seal.close").await?, 3);
    let metrics = http::get(replica.ops, "/metrics", &[]).await?.body;
    let sealed_lines = metrics.lines().filter(|line| line.starts_with("patchbay_crypto_service_sealed "));
    assert_eq!(sealed_lines.collect::<Vec<_>>(), ["patchbay_crypto_service_sealed 0"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_that_any_replica_is_given_reach_all() -> TestResult {
    let _alone = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let settings = settings().set("backplane.url", &redis.url());
    let installation = Installation::shared(folder.path(), settings)?;
    let mut replicas = [installation.start("crypto-0").await?, installation.start("crypto-1").await?];
    let token = installation.admin()?;
    let [one, other] = [Clients::connect(&replicas[0], &token)?, Clients::connect(&replicas[1], &token)?];
    let shares = one.initialize().await?;
    other.bring(&shares[0]).await?;
    one.bring(&shares[1]).await?;
    other.bring(&shares[2]).await?;
    opens("the first shares open both", &[&one, &other]).await?;
    one.create("k").await?;
    let sealed = vec![other.encrypt("k").await?];

    // A replica that comes later is opened through one that is open already.
    replicas[1].process.kill()?;
    replicas[1].restart().await?;
    assert!(other.status().await?.sealed);
    for share in &shares[2..] {
        one.bring(share).await?;
    }
    opens("a replica that was started again opens with what another was given", &[&other]).await?;
    other.decrypt_all(&sealed).await?;

    other.seal.clone().close_seal(CloseSealRequest {}).await?;
    let closed = async || one.status().await.is_ok_and(|status| status.sealed);
    let took = wait_until("both are closed", GOAL * 3, closed).await?;
    report(&format!(
        "the other replica closed {} ms after the first (goal {} s)",
        took.as_millis(),
        GOAL.as_secs()
    ));
    for (share, clients) in shares[1..4].iter().zip([&one, &other, &one]) {
        clients.bring(share).await?;
    }
    opens("both open again", &[&one, &other]).await?;
    for clients in [&one, &other] {
        clients.decrypt_all(&sealed).await?;
        clients.audit_is_whole().await?;
    }
    Ok(())
}

async fn opens(what: &str, replicas: &[&Clients]) -> Result<()> {
    let open = async || {
        for clients in replicas {
            if clients.status().await.map_or(true, |status| status.sealed) {
                return false;
            }
        }
        true
    };
    let took = wait_until(what, GOAL * 3, open).await?;
    report(&format!("{what} after {} ms (goal {} s)", took.as_millis(), GOAL.as_secs()));
    Ok(())
}
