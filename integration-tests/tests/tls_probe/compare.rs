//! The same servers, seen by our probe and by sslyze: both must find the same versions, suites, certificates and dates.

use crate::{
    authority::{Authority, NAME},
    probe::{Probed, run},
    servers::{self, Server},
};
use anyhow::{Context, Result, ensure};
use integration_tests::{report::report, verdict::TestResult};
use patchbay_testkit::binaries::workspace;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// How long a probe of a server that is near should take; it is told, and no reason to fail.
const GOAL: Duration = Duration::from_secs(2);
/// Time for sslyze to see all of them.
const PATIENCE: Duration = Duration::from_mins(2);

fn python() -> Option<PathBuf> {
    Some(workspace().join("target/tools/sslyze/bin/python")).filter(|python| python.is_file())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sslyze_finds_the_same() -> TestResult {
    let Some(python) = python() else {
        report("skipped: sslyze is not installed; scripts/test does it");
        return Ok(());
    };
    let authority = Authority::create()?;
    let servers = servers::all(&authority).await?;
    let mut ours = Vec::new();
    for server in &servers {
        let (address, root) = (server.address.to_string(), authority.root().display().to_string());
        let arguments = [&address, "--starttls", server.start_tls, "--server-name", NAME, "--roots", &root];
        ours.push(run(arguments).await.with_context(|| server.name)?);
    }
    let theirs = timeout(PATIENCE, sslyze(python, &servers)).await.context("sslyze takes too long")??;
    let mut differences = Vec::new();
    for (server, ours) in servers.iter().zip(&ours) {
        let judged = agree(server, ours, &theirs[server.name]).await;
        differences.extend(judged.err().map(|error| format!("{}: {error:#}", server.name)));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

async fn sslyze(python: PathBuf, servers: &[Server]) -> Result<Value> {
    let wanted: Vec<Value> = servers
        .iter()
        .map(|server| json!({"name": server.name, "port": server.address.port(), "server_name": NAME, "start_tls": server.start_tls}))
        .collect();
    let mut command = Command::new(python);
    command.arg(workspace().join("integration-tests/clients/tls_sslyze.py")).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("it has a standard input")?;
    input.write_all(&serde_json::to_vec(&wanted)?).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "sslyze failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn agree(server: &Server, ours: &Probed, theirs: &Value) -> Result<()> {
    ensure!(theirs["error"].is_null(), "sslyze could not tell: {}", theirs["error"]);
    ensure!(ours.text("/failure").is_empty(), "ours could not tell: {}", ours.text("/failure_message"));
    let suites = ours.suites();
    for (version, expected) in their_suites(theirs)? {
        let all = suites.get(&version).cloned().unwrap_or_default();
        let (found, beyond): (BTreeSet<String>, BTreeSet<String>) =
            all.into_iter().partition(|suite| sslyze_finds(server, &version, suite));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
            format!("{:?}", these.difference(those).collect::<Vec<_>>())
        };
        ensure!(
            found == expected,
            "{version}: we alone {}, sslyze alone {}",
            only(&found, &expected),
            only(&expected, &found)
        );
        ensure!(
            suites.contains_key(&version) != expected.is_empty(),
            "{version} is spoken for one of them alone"
        );
        for suite in beyond {
            openssl_gets(server, &suite).await?;
        }
    }
    let chain: Vec<String> = serde_json::from_value(theirs["chain"].clone())?;
    ensure!(ours.chain() == chain, "ours {:?}, sslyze {chain:?}", ours.chain());
    let ends = ours.text("/chain/certificates/0/not_after");
    ensure!(Some(ends) == theirs["ends"].as_str(), "ours ends {ends}, sslyze {}", theirs["ends"]);
    expected(server, ours)?;
    tell(server, ours, theirs);
    Ok(())
}

fn their_suites(theirs: &Value) -> Result<BTreeMap<String, BTreeSet<String>>> {
    Ok(serde_json::from_value(theirs["suites"].clone())?)
}

/// Whether sslyze 6.3.1 finds a suite where it is. What it cannot find is asked for by openssl's own client instead.
fn sslyze_finds(server: &Server, version: &str, suite: &str) -> bool {
    // It asks for most suites of TLS 1.2 with a library that is older than Ed25519, and for these alone with a newer one.
    if server.name == "ed25519" && version == "TLS 1.2" {
        return suite.contains("CHACHA20");
    }
    // Neither of its two libraries puts them into a hello.
    !["TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256", "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256"].contains(&suite)
}

async fn openssl_gets(server: &Server, suite: &str) -> Result<()> {
    let output = Command::new("openssl").args(["ciphers", "-convert", suite]).output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    let name = told.trim().trim_start_matches("OpenSSL cipher name:").trim();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-connect"]).arg(server.address.to_string());
    command.arg("-cipher").arg(format!("{name}:@SECLEVEL=0")).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(GOAL * 5, command.output()).await.context("openssl takes too long")??;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(told.contains(&format!("Cipher is {name}")), "openssl does not get {suite} ({name}): {told}");
    Ok(())
}

/// What only we say, and sslyze does not.
fn expected(server: &Server, ours: &Probed) -> Result<()> {
    let problems: BTreeSet<String> = server.problems.iter().map(|&code| code.to_owned()).collect();
    ensure!(ours.problems() == problems, "the chain has {:?}, expected {problems:?}", ours.problems());
    let grade = ours.text("/grade");
    ensure!(
        grade == server.grade,
        "the grade is {grade}, expected {}: {}",
        server.grade,
        ours.report["findings"]
    );
    let is_bad = ["F", "T", "M"].contains(&grade);
    ensure!(ours.code == Some(i32::from(is_bad)), "the exit code is {:?} for {grade}", ours.code);
    ensure!(ours.list("/incomplete").is_empty(), "not all was found out: {:?}", ours.list("/incomplete"));
    if server.name == "rustls" {
        ensure!(
            ours.groups().first().is_some_and(|group| group == "X25519MLKEM768"),
            "the groups are {:?}",
            ours.groups()
        );
        ensure!(ours.text("/negotiated/group") == "X25519MLKEM768", "{}", ours.report["negotiated"]);
    }
    if server.name == "server-order" {
        let order = [
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_AES_256_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
        ];
        let suites = ours.suites();
        ensure!(suites["TLS 1.2"] == order, "the order is {:?}", suites["TLS 1.2"]);
        let told = ours.list("/protocols").iter().find(|protocol| protocol["version"] == "TLS 1.2");
        ensure!(told.is_some_and(|protocol| protocol["has_server_order"] == true), "the server has an order");
    }
    Ok(())
}

/// One line of a table.
fn tell(server: &Server, ours: &Probed, theirs: &Value) {
    let versions: Vec<String> = ours
        .suites()
        .iter()
        .map(|(version, suites)| format!("{} ({})", version.trim_start_matches("TLS "), suites.len()))
        .collect();
    let inner = ours.report["took_milliseconds"].as_u64().unwrap_or_default();
    let late = if ours.took > GOAL { ", later than the goal" } else { "" };
    report(&format!(
        "{:<22} {:<42} {} certificates, until {}, grade {:<2} ours {} ms ({} connections{late}), sslyze {:.0} ms",
        server.name,
        versions.join(", "),
        ours.chain().len(),
        ours.text("/chain/certificates/0/not_after").get(..10).unwrap_or_default(),
        ours.text("/grade"),
        inner,
        ours.report["connections"],
        theirs["took"].as_f64().unwrap_or_default() * 1000.0,
    ));
}
