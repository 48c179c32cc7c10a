//! Vault's client protocol, spoken by a client that we did not write: hvac as it is published.

use anyhow::{Context, Result};
use integration_tests::{
    crypto::{Crypto, Installation},
    gateway::Settings,
    report::report,
    verdict::TestResult,
};
use patchbay_proto::crypto::v1::{
    CreateAccountRequest, CreateApiKeyRequest, accounts_client::AccountsClient,
};
use patchbay_testkit::binaries::workspace;
use std::process::{Command, Output};

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
