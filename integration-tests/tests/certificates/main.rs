//! Certificates are watched by one replica at a time and told of once, and rotations of keys are told; with real processes, a real Redis and OpenSSL's server.

mod world;

use anyhow::{Context, Result, ensure};
use integration_tests::{report::report, verdict::TestResult};
use patchbay_proto::crypto::v1::{
    CreateKeyRequest, KeyType, ListCertificatesRequest, RotateKeyRequest, keys_client::KeysClient,
    tls_client::TlsClient,
};
use patchbay_testkit::{
    binaries::binary,
    http,
    process::{Launch, Process},
    wait::wait_until,
};
use serde_json::Value;
use std::process::Command;
use tonic::Code;
use world::{PATIENCE, World};

/// As the replicas' own listeners are called.
const OWN: &str = "crypto-service/http";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_told_of_once_whatever_becomes_of_the_replicas() -> TestResult {
    let mut world = World::start(5, 12).await?;
    let took = world.told_becomes(&[7]).await?;
    report(&format!(
        "a certificate that ends in 5 days is told of {:.1} s after the start",
        took.as_secs_f64()
    ));
    world.shown(&[0, 1], 4).await?;
    shows_its_own(&world).await?;
    figures_are_kept(&world).await?;

    for replica in &mut world.replicas {
        replica.process.kill()?;
        replica.restart().await?;
    }
    let took = world.looked_at(0).await?;
    ensure_told(&world, &[7]).await?;
    report(&format!(
        "looked at again {:.1} s after both replicas were killed and started",
        took.as_secs_f64()
    ));

    world.host.renew(90).await?;
    world.shown(&[0, 1], 89).await?;
    world.looked_at(0).await?;
    ensure_told(&world, &[7]).await?;
    assert!(world.told(OWN).await? == [14], "the own certificate is told of once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_may_die_and_redis_may_stand_still() -> TestResult {
    let mut world = World::start(90, 90).await?;
    world.shown(&[0, 1], 89).await?;
    ensure_told(&world, &[]).await?;
    // Whoever of them has the lease: each is killed once, and the other goes on.
    for (killed, days, told) in [(0, 13, &[14][..]), (1, 6, &[14, 7])] {
        let survivor = 1 - killed;
        world.replicas[killed].process.kill()?;
        world.host.renew(days).await?;
        let took = world.told_becomes(told).await?;
        report(&format!(
            "told {:.1} s after a replica was killed and the certificate changed",
            took.as_secs_f64()
        ));
        world.shown(&[survivor], i32::try_from(days)? - 1).await?;
        world.replicas[killed].restart().await?;
    }
    world.redis.pause()?;
    world.host.renew(1).await?;
    // Until somebody has noticed that nothing goes on.
    wait_until("the list is refused", PATIENCE, async || world.certificates(0).await.is_err()).await?;
    world.redis.resume()?;
    let took = world.told_becomes(&[14, 7, 1]).await?;
    report(&format!("told {:.1} s after Redis went on", took.as_secs_f64()));
    world.looked_at(0).await?;
    ensure_told(&world, &[14, 7, 1]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_are_told_and_the_command_line_shows_them() -> TestResult {
    let mut world = World::start(90, 90).await?;
    let mut keys = KeysClient::new(world.client(0)?);
    let name = "app".to_owned();
    let create =
        CreateKeyRequest { name: name.clone(), r#type: KeyType::Xaes256Gcm.into(), ..Default::default() };
    keys.create_key(create).await?;
    let following = follow(&world)?;
    for _ in 0..3 {
        keys.rotate_key(RotateKeyRequest { name: name.clone() }).await?;
    }
    // The last one is acknowledged, and the replica that made it is gone.
    world.replicas[0].process.kill()?;
    let (versions, took) = versions_told(&world, 3).await?;
    assert!(versions == [2, 3, 4], "{versions:?}");
    report(&format!(
        "rotations are told {:.2} s after the last and the end of its replica",
        took.as_secs_f64()
    ));
    world.replicas[0].restart().await?;
    assert!(versions_told(&world, 3).await?.0 == [2, 3, 4]);

    wait_until("the follower has seen all", PATIENCE, async || following.log().contains(r#""version":4"#))
        .await?;
    let followed = following.log();
    assert!(followed.lines().count() == 3, "each once, and those alone: {followed}");

    let mut keys = KeysClient::new(world.client(1)?);
    keys.rotate_key(RotateKeyRequest { name }).await?;
    let took = wait_until("the follower sees one more", PATIENCE, async || {
        following.log().contains(r#""version":5"#)
    })
    .await?;
    report(&format!("the command line that follows shows a rotation {:.1} s after it", took.as_secs_f64()));

    let lines = on_the_command_line(&world, &["--type", "key.", "--json"])?;
    let shown: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let versions: Vec<_> = shown.iter().map(|event| event["data"]["version"].clone()).collect();
    assert!(versions == [2, 3, 4, 5], "oldest first: {lines:?}");
    let first = shown.first().context("no event")?;
    assert!(first["specversion"] == "1.0" && first["type"] == "key.rotated", "{first}");
    assert!(
        first["source"].as_str().is_some_and(|it| it.starts_with("/patchbay/crypto-service/")),
        "{first}"
    );
    let text = on_the_command_line(&world, &["--type", "key.", "--last", "1"])?.join("\n");
    assert!(text.contains("key.rotated") && text.contains(r#"{"key":"app","version":5}"#), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_is_told() -> TestResult {
    let world = World::start(90, 90).await?;
    let token = world.installation.keys.token("ada", &["keys:use:*", "tls:probe:*"])?;
    let mut client = TlsClient::new(world.replicas[0].client(&token)?);
    let refused = client.list_certificates(ListCertificatesRequest {}).await.unwrap_err();
    assert!(refused.code() == Code::PermissionDenied, "{refused}");
    let token = world.installation.keys.token("ada", &["tls:read:certificates"])?;
    let mut client = TlsClient::new(world.replicas[0].client(&token)?);
    client.list_certificates(ListCertificatesRequest {}).await?;
    Ok(())
}

async fn ensure_told(world: &World, expected: &[u64]) -> Result<()> {
    let told = world.told_of_host().await?;
    ensure!(told == expected, "{told:?} were told, and {expected:?} should have been");
    Ok(())
}

/// Both replicas show the certificate of their listener, and it is told of once.
async fn shows_its_own(world: &World) -> Result<()> {
    wait_until("both replicas show their own certificate", PATIENCE, async || {
        let list = world.certificates(0).await.unwrap_or_default();
        list.iter().any(|it| it.name == OWN && it.is_own && it.replicas == 2 && it.days_left == 11)
    })
    .await?;
    wait_until("it is told of", PATIENCE, async || world.told(OWN).await.is_ok_and(|told| told == [14]))
        .await?;
    let (one, other) = (world.certificates(0).await?, world.certificates(1).await?);
    let names = |list: &[patchbay_proto::crypto::v1::WatchedCertificate]| {
        list.iter().map(|it| (it.name.clone(), it.not_after, it.replicas)).collect::<Vec<_>>()
    };
    ensure!(names(&one) == names(&other), "every replica shows the same");
    ensure!(one.first().is_some_and(|first| !first.is_own), "the one that ends first before the others");
    Ok(())
}

/// Every replica has the figure, whoever watches.
async fn figures_are_kept(world: &World) -> Result<()> {
    let host = format!(r#"patchbay_crypto_service_certificate_days_left{{name="{}"}} 4"#, world.host.address);
    let own = format!(r#"patchbay_crypto_service_certificate_days_left{{name="{OWN}"}} 11"#);
    for replica in &world.replicas {
        wait_until("the figures are there", PATIENCE, async || {
            let metrics = http::get(replica.ops, "/metrics", &[]).await;
            metrics.is_ok_and(|metrics| metrics.body.contains(&host) && metrics.body.contains(&own))
        })
        .await?;
    }
    Ok(())
}

/// Versions of all rotations that were told, once there are so many.
async fn versions_told(world: &World, count: usize) -> Result<(Vec<u64>, std::time::Duration)> {
    let took = wait_until("rotations are told", PATIENCE, async || {
        world.events("key.").await.is_ok_and(|events| events.len() >= count)
    })
    .await?;
    let mut versions = Vec::new();
    for event in world.events("key.").await? {
        let data: Value = serde_json::from_str(&event.data)?;
        versions.push(data["version"].as_u64().context("no version")?);
    }
    Ok((versions, took))
}

/// The command line that shows what comes. It asks at its start where the stream ends: what comes later is missed by nobody.
fn follow(world: &World) -> Result<Process> {
    Launch::binary("patchbay", "follower", world.folder.path())?
        .arg("events")
        .arg("--follow")
        .arg("--json")
        .arg("--type=key.")
        .arg(format!("--url=http://{}", world.console))
        .arg("--key")
        .arg(world.folder.path().join("issuer.pem"))
        .start()
}

fn on_the_command_line(world: &World, arguments: &[&str]) -> Result<Vec<String>> {
    let output = Command::new(binary("patchbay")?)
        .arg("events")
        .args(["--url", &format!("http://{}", world.console)])
        .arg("--key")
        .arg(world.folder.path().join("issuer.pem"))
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
