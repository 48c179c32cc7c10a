//! No secret comes out of crypto-service where nobody asked for it: everything is done once with marked secrets, rightly and
//! wrongly, at the most talkative log level, and then they are looked for in all that it wrote and told.

mod search;
mod sign_in;
mod use_keys;

use anyhow::{Context, Result, ensure};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    verdict::TestResult,
};
use patchbay_testkit::{
    http,
    redis::{Persistence, RedisServer},
};
use search::{Canaries, Place, search};
use std::{fs, path::Path, time::Duration};

/// No secret: it must be found where keys are named.
pub(crate) const KEY: &str = "a-name-that-may-be-seen";
pub(crate) const PRIVATE: &str = "a-private-key-s-name";
pub(crate) const ACCOUNT: &str = "ada";

fn settings() -> Settings {
    Settings::default()
        .set("log.level", "trace")
        .set("passwords.argon2_memory", "64KiB")
        .set("passwords.argon2_passes", "1")
}

#[tokio::test]
async fn no_secret_is_seen_on_a_file() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store.redb");
    let installation =
        Installation::create(folder.path(), settings().set("backplane.file", &file.display()))?;
    let mut crypto = installation.start("crypto").await?;
    let (canaries, mut places) = exercise(&installation, &crypto, folder.path()).await?;
    crypto.process.terminate()?;
    crypto.process.wait_exit(Duration::from_secs(20)).await?;
    places.push(log(&crypto));
    places.push(Place { name: "the store's file", content: fs::read(file)?, known: KEY });
    search(&places, &canaries)?;
    Ok(())
}

#[tokio::test]
async fn no_secret_is_seen_on_redis() -> TestResult {
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start(Persistence::Always).await?;
    let installation = Installation::create(folder.path(), settings().set("backplane.url", &redis.url()))?;
    let mut crypto = installation.start("crypto").await?;
    let (canaries, mut places) = exercise(&installation, &crypto, folder.path()).await?;
    places.push(Place { name: "Redis", content: redis.contents().await?, known: KEY });
    crypto.process.terminate()?;
    crypto.process.wait_exit(Duration::from_secs(20)).await?;
    places.push(log(&crypto));
    search(&places, &canaries)?;
    Ok(())
}

fn log(crypto: &Crypto) -> Place {
    let content = crypto.process.log();
    assert!(content.contains(r#""level":"TRACE""#), "everything is logged");
    Place { name: "the log", content: content.into_bytes(), known: KEY }
}

/// Does everything, and reads what is told to operators.
async fn exercise(
    installation: &Installation,
    crypto: &Crypto,
    folder: &Path,
) -> Result<(Canaries, Vec<Place>)> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", crypto.process.pid()))?;
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    let words: Vec<&str> = cores.split_whitespace().collect();
    ensure!(words.get(4..6) == Some(&["0", "0"]), "core dumps are allowed: {cores}");
    let mut canaries = Canaries::default();
    canaries.add("the root key", &fs::read(folder.join("root.key"))?);
    let issuer = fs::read_to_string(folder.join("issuer.pem"))?;
    let issuer = issuer.lines().nth(1).context("no issuer's key")?;
    canaries.add("the issuer's key", issuer.as_bytes());
    let token = installation.admin()?;
    canaries.add("the operator's token", token.as_bytes());
    let client = crypto.client(&token)?;
    use_keys::keys(&client, &mut canaries).await?;
    use_keys::private_keys(&client, &mut canaries).await?;
    use_keys::data(&client, &mut canaries).await?;
    use_keys::passwords_and_hashes(&client, &mut canaries).await?;
    sign_in::accounts(crypto, &client, &mut canaries).await?;
    sign_in::api_keys_and_credentials(&client, &mut canaries).await?;
    sign_in::tokens(&client, &mut canaries).await?;
    sign_in::copies(&client, &mut canaries).await?;
    sign_in::wrong_credentials(crypto, &token, &mut canaries).await?;
    let mut places = Vec::new();
    for (path, known) in [("/metrics", "patchbay_crypto"), ("/config", "root.key")] {
        let answer = http::get(crypto.ops, path, &[]).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        places.push(Place { name: path, content: answer.body.into_bytes(), known });
    }
    let content = canaries.refusals.clone().into_bytes();
    places.push(Place { name: "what callers were told", content, known: "SIGN_IN_FAILED" });
    Ok((canaries, places))
}
