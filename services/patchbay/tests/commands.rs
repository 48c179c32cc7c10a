//! The operator's command line and the all-in-one, as a person meets them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::{Context, Result};
use patchbay_auth::{AuthConfig, Authenticator, IdentityKind, KeyOwner, Signer};
use patchbay_testkit::{http, ports::free_address, process::Launch};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

/// Three times the longest drain of `--dev`.
const DEADLINE: Duration = Duration::from_secs(20);

fn patchbay(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn authenticator(jwks: &Path) -> Authenticator {
    let config = AuthConfig { jwks_file: Some(jwks.to_owned()), ..AuthConfig::default() };
    Authenticator::new(&config).unwrap()
}

#[test]
fn a_token_is_alone_on_the_last_line_and_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["token", "create", "--sub", "anna", "--name", "Anna", "--scope", "chat:publish:room/lobby"];
    let first = patchbay(folder.path(), &arguments);
    assert!(first.status.success(), "{first:?}");
    let output = String::from_utf8(first.stdout).unwrap();
    let identity = authenticator(&folder.path().join("data/keys/jwks.json"))
        .verify(output.trim_end().lines().last().unwrap())
        .unwrap();
    assert_eq!((&*identity.subject, identity.name.as_deref()), ("anna", Some("Anna")));
    assert!(
        identity.allows("chat", "publish", "room/lobby") && !identity.allows("chat", "publish", "room/x")
    );
    let key = fs::metadata(folder.path().join("data/keys/token-signing.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_wrong_scope_or_lifetime_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let create = |more: &[&str]| {
        let arguments = [&["token", "create", "--sub", "anna"], more].concat();
        patchbay(folder.path(), &arguments).status.code()
    };
    assert_eq!(create(&["--scope", "everything"]), Some(64));
    assert_eq!(create(&["--scope", "admin", "--ttl", "soon"]), Some(64));
    assert_eq!(create(&["--scope", "admin", "--ttl", "25h"]), Some(1));
    assert_eq!(create(&["--scope", "admin", "--ttl", "24h"]), Some(0));
}

#[test]
fn secrets_are_made_once_and_believed() {
    let folder = tempfile::tempdir().unwrap();
    let contents = || -> BTreeMap<_, _> {
        let readers = fs::read_dir(folder.path().join("secrets")).unwrap();
        let files = readers.flat_map(|reader| fs::read_dir(reader.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    assert!(patchbay(folder.path(), &["init-secrets", "--out", "secrets"]).status.success());
    let first = contents();
    assert!(patchbay(folder.path(), &["init-secrets", "--out", "secrets"]).status.success());
    assert_eq!(first, contents(), "a second run changes nothing");
    let secrets = folder.path().join("secrets");
    let authenticator = authenticator(&secrets.join("public/jwks.json"));
    for service in patchbay::suite().services() {
        let owner = KeyOwner::Service(service.to_owned());
        let signer = Signer::load(&secrets.join(service).join("service.pem"), owner).unwrap();
        let token = signer.mint(patchbay_auth::Claims::new(format!("svc:{service}"), Vec::new())).unwrap();
        assert_eq!(authenticator.verify(&token).unwrap().kind, IdentityKind::Service);
    }
    let issuer = ["--key", "secrets/issuer/token-signing.pem"];
    let create = [&["token", "create", "--sub", "me", "--scope", "admin"], &issuer[..]].concat();
    let token = String::from_utf8(patchbay(folder.path(), &create).stdout).unwrap();
    assert!(authenticator.verify(token.trim()).unwrap().is_admin());
    assert!(!folder.path().join("data").exists(), "a key that is given needs no data folder");
}

#[tokio::test]
async fn the_all_in_one_starts_tells_where_it_is_and_stops() -> Result<()> {
    let (folder, ops, console) = (tempfile::tempdir()?, free_address(), free_address());
    let data = folder.path().join("data");
    let mut launch = Launch::program(env!("CARGO_BIN_EXE_patchbay"), "patchbay", folder.path())
        .env("PATCHBAY_DATA__DIR", &data)
        .env("PATCHBAY_OPS__LISTEN", ops.to_string())
        .env("PATCHBAY_CONSOLE__GRPC__LISTEN", console.to_string());
    for variable in ["CHAT_GATEWAY__LISTEN__HTTP", "CHAT_GATEWAY__GRPC__LISTEN", "CONSOLE__HTTP__LISTEN"] {
        launch = launch.env(format!("PATCHBAY_{variable}"), "127.0.0.1:0");
    }
    let mut process = launch.arg("run").arg("--dev").start_ready(ops).await?;
    let ready = http::get(ops, "/readyz", &[]).await?.body;
    assert!(
        ready.contains("chat-gateway") && ready.contains("console") && ready.contains("backplane"),
        "{ready}"
    );

    let log = process.log();
    let token = log.lines().find_map(|line| line.split_once("/#token=")).context("no link to the console")?.1;
    let identity = authenticator(&data.join("keys/jwks.json")).verify(token)?;
    assert!(identity.is_admin());

    let status = ["status", "--url", &format!("http://{ops}"), "--console", &format!("http://{console}")];
    let output = patchbay(folder.path(), &status);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("backplane: memory, answers"), "{text}");
    assert!(text.contains("connections=0"), "figures of the chat gateway: {text}");

    process.terminate()?;
    assert_eq!(process.wait_exit(DEADLINE).await?, Some(0));
    Ok(())
}
