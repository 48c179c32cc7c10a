//! Vault's client protocol, spoken by a client that we did not write: hvac as it is published. What such a client never sends is
//! sent by hand: requests of strangers, and of those who try what they may not.

use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    AuditRecord, CreateAccountRequest, CreateApiKeyRequest, ListAuditRequest,
    accounts_client::AccountsClient, admin_client::AdminClient,
};
use patchbay_testkit::binaries::workspace;
use serde_json::{Value, json};
use std::{
    process::{Command, Output},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What the script imports beside the standard library.
const IMPORTS: &str = "import hvac, cryptography";

/// A Python that has hvac.
fn python() -> Option<String> {
    let venv = workspace().join("target/tools/venv/bin/python").display().to_string();
    let has = |python: &String| {
        Command::new(python).args(["-c", IMPORTS]).output().is_ok_and(|output| output.status.success())
    };
    ["python3".to_owned(), venv].into_iter().find(has)
}

/// Makes an account that may do everything, and an API key of it.
async fn api_key(replica: &Crypto, admin: &str) -> Result<String> {
    let mut accounts = AccountsClient::new(replica.client(admin)?);
    let name = "programs".to_owned();
    let account =
        CreateAccountRequest { name: name.clone(), scopes: vec!["admin".to_owned()], ..Default::default() };
    accounts.create_account(account).await?;
    let key = CreateApiKeyRequest { account: name, description: "hvac".to_owned(), ..Default::default() };
    Ok(accounts.create_api_key(key).await?.into_inner().secret)
}

async fn run(python: String) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let installation = Installation::create(folder.path(), Settings::default())?;
    let replica = installation.start("crypto").await?;
    let admin = installation.admin()?;
    let reader = installation.keys.token("reader", &["keys:read:shared-*"])?;
    let key = api_key(&replica, &admin).await?;
    let mut command = Command::new(python);
    command
        .arg(workspace().join("integration-tests/clients/vault_hvac.py"))
        .arg(format!("http://{}", replica.http))
        .envs([("ADMIN", &admin), ("READER", &reader), ("KEY", &key)]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let log = replica.process.log();
    anyhow::ensure!(!log.contains(&key) && !log.contains(&admin), "a credential stands in the log");
    Ok(output)
}

#[tokio::test]
async fn hvac_uses_it_as_vault() -> TestResult {
    let Some(python) = python() else {
        report("skipped: Python's hvac and cryptography are not installed");
        return Ok(());
    };
    let output = run(python).await.context("the client could not be run")?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let ran = told.lines().find(|line| line.starts_with("Ran ")).context("it does not say what it ran")?;
    report(&format!("hvac: {ran}"));
    Ok(())
}

/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A replica with a key of every kind that the tests need.
struct World {
    replica: Crypto,
    installation: Installation,
    admin: String,
    _folder: TempDir,
}

/// An answer: its status and its body.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn data(&self) -> &Value {
        &self.body["data"]
    }

    fn error(&self) -> &str {
        self.body["errors"][0].as_str().unwrap_or_default()
    }
}

impl World {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let installation = Installation::create(folder.path(), Settings::default())?;
        let replica = installation.start("crypto").await?;
        let world = Self { admin: installation.admin()?, replica, installation, _folder: folder };
        for (name, kind) in [("cipher", "aes256-gcm96"), ("rsa", "rsa-2048")] {
            let made = world.admin("POST", &format!("keys/{name}"), &json!({ "type": kind })).await?;
            assert_eq!(made.status, 200, "{made:?}");
        }
        Ok(world)
    }

    async fn admin(&self, verb: &str, path: &str, body: &Value) -> Result<Answer> {
        self.send(verb, &format!("/v1/transit/{path}"), Some(&self.admin), "", text(body)).await
    }

    async fn by(&self, token: Option<&str>, verb: &str, path: &str, body: &Value) -> Result<Answer> {
        self.send(verb, &format!("/v1/transit/{path}"), token, "", text(body)).await
    }

    /// Sends one request on its own connection; `lines` are more lines of its head.
    async fn send(
        &self,
        verb: &str,
        path: &str,
        token: Option<&str>,
        lines: &str,
        body: String,
    ) -> Result<Answer> {
        let token = token.map(|token| format!("x-vault-token: {token}\r\n")).unwrap_or_default();
        let size = body.len();
        let head = format!(
            "{verb} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{token}{lines}content-length: {size}\r\n\r\n"
        );
        timeout(PATIENCE, exchange(&self.replica, head + &body)).await.context("no answer in time")?
    }

    async fn records(&self, operation: &str) -> Result<Vec<AuditRecord>> {
        let mut admin = AdminClient::new(self.replica.client(&self.admin)?);
        let asked = ListAuditRequest { operation_prefix: operation.to_owned(), ..Default::default() };
        Ok(admin.list_audit(asked).await?.into_inner().records)
    }
}

/// A body; null is none.
fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

async fn exchange(replica: &Crypto, request: String) -> Result<Answer> {
    let (mut reader, mut writer) = TcpStream::connect(replica.http).await?.into_split();
    // The server may answer before it has read everything.
    let sending = async {
        drop(writer.write_all(request.as_bytes()).await);
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    tokio::select! {
        read = reader.read_to_end(&mut bytes) => drop(read),
        () = sending => {}
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or_default() })
}

/// Requests whose answer depends on the type of the key, with what is wrong for some.
fn probes(key: &str) -> Vec<(&'static str, String, Value)> {
    let signature = "vault:v1:AAAA";
    vec![
        ("GET", format!("export/signing-key/{key}"), Value::Null),
        ("GET", format!("export/public-key/{key}"), Value::Null),
        ("POST", format!("sign/{key}"), json!({"input": "YQ==", "signature_algorithm": "bogus"})),
        ("POST", format!("sign/{key}"), json!({"input": "YQ==", "salt_length": "bogus"})),
        (
            "POST",
            format!("verify/{key}"),
            json!({"input": "YQ==", "signature": signature, "signature_algorithm": "bogus"}),
        ),
        (
            "POST",
            format!("verify/{key}"),
            json!({"input": "YQ==", "signature": signature, "marshaling_algorithm": "jws"}),
        ),
    ]
}

#[tokio::test]
async fn nobody_learns_which_keys_there_are_by_asking_for_what_he_may_not_have() -> TestResult {
    let world = World::new().await?;
    let elsewhere = world
        .installation
        .keys
        .token("stranger", &["keys:use:other-*", "keys:export:other-*", "keys:read:other-*"])?;
    for token in [None, Some("nonsense"), Some(elsewhere.as_str())] {
        let (missing, there) = (probes("missing"), [probes("cipher"), probes("rsa")].concat());
        for (index, (verb, path, body)) in there.iter().enumerate() {
            let (_, other, _) = &missing[index % missing.len()];
            let answer = world.by(token, verb, path, body).await?;
            let of_missing = world.by(token, verb, other, body).await?;
            assert_eq!(answer.status, 403, "{verb} {path} {body}: {answer:?}");
            let told = answer.body.to_string().replace("rsa", "missing").replace("cipher", "missing");
            assert_eq!(told, of_missing.body.to_string(), "{verb} {path}");
        }
    }
    let refused = world.records("key.export").await?;
    let refused = refused.iter().filter(|record| record.who == "stranger").count();
    assert_eq!(refused, 4, "exports that a stranger has tried are recorded");
    Ok(())
}

#[tokio::test]
async fn those_who_may_are_told_what_is_wrong() -> TestResult {
    let world = World::new().await?;
    let may = world.installation.keys.token("user", &["keys:use:*", "keys:export:*", "keys:read:*"])?;
    for (verb, path, body) in
        probes("rsa").into_iter().filter(|(_, _, body)| body.to_string().contains("bogus"))
    {
        let answer = world.by(Some(&may), verb, &path, &body).await?;
        assert!(answer.status == 400 && answer.error().contains("bogus"), "{path}: {answer:?}");
    }
    let export = world.by(Some(&may), "GET", "export/signing-key/cipher", &Value::Null).await?;
    assert!(export.status == 400 && export.error().contains("signing not supported"), "{export:?}");
    let missing = world.by(Some(&may), "GET", "export/signing-key/missing", &Value::Null).await?;
    assert_eq!(missing.status, 404, "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn batches_are_bounded_and_nothing_of_a_strangers_is_read() -> TestResult {
    let world = World::new().await?;
    let many = format!("{{\"batch_input\": [{}{{}}]}}", "{},".repeat(1_000_000));
    for operation in ["encrypt", "decrypt", "rewrap", "sign", "verify", "hmac"] {
        let path = format!("/v1/transit/{operation}/cipher");
        let stranger = world.send("POST", &path, None, "", many.clone()).await?;
        assert_eq!(stranger.status, 403, "{operation}: {:?}", stranger.error());
        let broken = world.send("POST", &path, None, "", "no JSON".to_owned()).await?;
        assert_eq!(broken.status, 403, "{operation}: {broken:?}");
        let admin = world.send("POST", &path, Some(&world.admin), "", many.clone()).await?;
        assert!(admin.status == 400 && admin.error().contains("1000"), "{operation}: {:?}", admin.error());
    }
    let stranger = world.by(None, "GET", "cache-config", &Value::Null).await?;
    assert_eq!(stranger.status, 403, "{stranger:?}");
    Ok(())
}

#[tokio::test]
async fn versions_are_destroyed_only_where_both_minimums_are_set() -> TestResult {
    let world = World::new().await?;
    world.admin("POST", "keys/cipher/rotate", &Value::Null).await?;
    world.admin("POST", "keys/cipher/config", &json!({"min_decryption_version": 2})).await?;
    let trim = json!({"min_available_version": 2});
    let refused = world.admin("POST", "keys/cipher/trim", &trim).await?;
    assert!(refused.status == 400 && refused.error().contains("min_encryption_version"), "{refused:?}");
    let record = world.records("key.trim").await?.pop().context("it is recorded")?;
    assert_eq!((record.target.as_str(), record.outcome.as_str()), ("cipher", "BAD_REQUEST"));
    world.admin("POST", "keys/cipher/config", &json!({"min_encryption_version": 2})).await?;
    let trimmed = world.admin("POST", "keys/cipher/trim", &trim).await?;
    assert_eq!(trimmed.status, 204, "{trimmed:?}");
    let stranger = world.installation.keys.token("stranger", &["keys:trim:other-*"])?;
    let denied = world.by(Some(&stranger), "POST", "keys/cipher/trim", &trim).await?;
    let missing = world.admin("POST", "keys/missing/trim", &trim).await?;
    assert_eq!((denied.status, missing.status), (403, 400), "{denied:?} {missing:?}");
    Ok(())
}

#[tokio::test]
async fn a_batch_makes_the_key_even_if_some_of_it_cannot_be_read() -> TestResult {
    let world = World::new().await?;
    let items = json!({"batch_input": [{"plaintext": "not base64!"}, {"plaintext": "YQ=="}]});
    let answer = world.admin("POST", "encrypt/made", &items).await?;
    let results = &answer.data()["batch_results"];
    assert!(results[0]["error"].is_string() && results[1]["ciphertext"].is_string(), "{answer:?}");
    let denied = world.installation.keys.token("stranger", &["keys:encrypt:other-*"])?;
    let refused = world.by(Some(&denied), "POST", "encrypt/made", &items).await?;
    assert_eq!(refused.status, 403, "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn paths_methods_and_namespaces_are_not_mistaken() -> TestResult {
    let world = World::new().await?;
    let slash = world.admin("POST", "keys/cipher%2Frotate", &json!({})).await?;
    assert!(slash.status == 400, "{slash:?}");
    let read = world.admin("GET", "keys/cipher", &Value::Null).await?;
    assert_eq!(read.data()["latest_version"], 1);
    let (path, admin) = ("/v1/transit/keys/cipher", Some(world.admin.as_str()));
    for (namespace, expected) in [("", 200), ("root", 200), ("team-a", 400), ("root/team-a/", 400)] {
        let line = format!("x-vault-namespace: {namespace}\r\n");
        let answer = world.send("GET", path, admin, &line, String::new()).await?;
        assert_eq!(answer.status, expected, "{namespace}: {answer:?}");
    }
    for (verb, expected) in [("GET", 200), ("POST", 200), ("DELETE", 405), ("LIST", 405)] {
        let answer = world.send(verb, "/v1/auth/token/lookup-self", admin, "", String::new()).await?;
        assert_eq!(answer.status, expected, "{verb}: {answer:?}");
    }
    let twice = r#"{"plaintext": "YQ==", "plaintext": "Yg=="}"#.to_owned();
    let twice = world.send("POST", "/v1/transit/encrypt/cipher", admin, "", twice).await?;
    assert!(twice.status == 400 && twice.error().contains("given twice"), "{twice:?}");
    Ok(())
}
