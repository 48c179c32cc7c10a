//! The operator's command line and the all-in-one, as a person meets them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::{Context, Result};
use patchbay_auth::{AuthConfig, Authenticator, Claims, IdentityKind, KeyOwner, Scope, Signer, TokenError};
use patchbay_testkit::{
    http,
    ports::free_address,
    process::{Launch, Process},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
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
        let mint = |scopes| signer.mint(Claims::new(format!("svc:{service}"), scopes)).unwrap();
        assert_eq!(authenticator.verify(&mint(Vec::new())).unwrap().kind, IdentityKind::Service);
        let too_much = authenticator.verify(&mint(vec![Scope::Admin])).map(drop);
        assert_eq!(too_much, Err(TokenError::ScopeNotAllowed), "{service} may do what it calls, and no more");
    }
    for (service, calls) in patchbay::suite().calls() {
        let owner = KeyOwner::Service(service.to_owned());
        let signer = Signer::load(&secrets.join(service).join("service.pem"), owner).unwrap();
        let scopes = calls.iter().map(|scope| scope.parse().unwrap()).collect();
        let token = signer.mint(Claims::new(format!("svc:{service}"), scopes)).unwrap();
        assert!(authenticator.verify(&token).is_ok(), "{service} may make its calls");
    }
    let root = secrets.join("crypto-service/root.key");
    assert_eq!(fs::read(&root).unwrap().len(), 32);
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o400);
    let issuer = ["--key", "secrets/issuer/token-signing.pem"];
    let create = [&["token", "create", "--sub", "me", "--scope", "admin"], &issuer[..]].concat();
    let token = String::from_utf8(patchbay(folder.path(), &create).stdout).unwrap();
    assert!(authenticator.verify(token.trim()).unwrap().is_admin());
    assert!(!folder.path().join("data").exists(), "a key that is given needs no data folder");
}

struct AllInOne {
    process: Process,
    ops: SocketAddr,
    console: SocketAddr,
    crypto: SocketAddr,
}

/// Starts everything on free ports.
async fn all_in_one(folder: &Path) -> Result<AllInOne> {
    let (ops, console, crypto) = (free_address(), free_address(), free_address());
    let mut launch = Launch::program(env!("CARGO_BIN_EXE_patchbay"), "patchbay", folder)
        .env("PATCHBAY_DATA__DIR", folder.join("data"))
        .env("PATCHBAY_OPS__LISTEN", ops.to_string())
        .env("PATCHBAY_CRYPTO_SERVICE__GRPC__LISTEN", crypto.to_string())
        .env("PATCHBAY_CONSOLE__GRPC__LISTEN", console.to_string());
    for variable in [
        "CAMERA_RELAY__LISTEN__HTTP",
        "CAMERA_RELAY__GRPC__LISTEN",
        "CAMERA_RELAY__MEDIA__UDP",
        "CAMERA_RELAY__MEDIA__TCP",
        "CHAT_GATEWAY__LISTEN__HTTP",
        "CHAT_GATEWAY__GRPC__LISTEN",
        "CONSOLE__HTTP__LISTEN",
        "CRYPTO_SERVICE__LISTEN__HTTP",
    ] {
        launch = launch.env(format!("PATCHBAY_{variable}"), "127.0.0.1:0");
    }
    let process = launch.arg("run").arg("--dev").start_ready(ops).await?;
    Ok(AllInOne { process, ops, console, crypto })
}

/// Runs a command of the operator's, with a text on its standard input.
fn patchbay_with_input(folder: &Path, arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    let command = command.current_dir(folder).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

#[tokio::test]
async fn accounts_and_keys_are_managed_from_the_command_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let AllInOne { crypto, .. } = &all_in_one(folder.path()).await?;
    let url = format!("http://{crypto}");
    let run = |arguments: &[&str], input: &str| -> Result<(Option<i32>, String)> {
        let arguments = [arguments, &["--url", &url]].concat();
        let output = patchbay_with_input(folder.path(), &arguments, input)?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(text)?))
    };
    let password = "correct horse battery\n";
    let create = ["user", "create", "anna", "--display-name", "Anna", "--scope", "chat:publish:room/*"];
    let create = [&create[..], &["--password-file", "-"]].concat();
    assert_eq!(run(&create, password)?, (Some(0), "anna is made\n".to_owned()));
    let (code, again) = run(&create, password)?;
    assert!(code == Some(1) && again.contains("ALREADY_EXISTS"), "{again}");
    let (code, weak) = run(&["user", "create", "bob", "--password-file", "-"], "short\n")?;
    assert!(code == Some(1) && weak.contains("WEAK_PASSWORD"), "{weak}");
    let listed = |state: &str| -> Result<bool> {
        let (_, text) = run(&["user", "list"], "")?;
        Ok(text.lines().any(|line| {
            line.starts_with("anna ") && line.contains(state) && line.contains("chat:publish:room/*")
        }))
    };
    assert!(listed("enabled")?);
    assert_eq!(run(&["user", "disable", "anna"], "")?.0, Some(0));
    assert!(listed("disabled")?);
    for command in [["user", "enable", "anna"], ["user", "unlock", "anna"]] {
        assert_eq!(run(&command, "")?.0, Some(0), "{command:?}");
    }
    assert!(listed("enabled")?);
    assert_eq!(
        run(&["user", "set-password", "anna", "--password-file", "-"], "another long one\n")?.0,
        Some(0)
    );
    assert_eq!(run(&["user", "delete", "anna"], "")?.0, Some(0));
    let (code, missing) = run(&["user", "delete", "anna"], "")?;
    assert!(code == Some(1) && missing.contains("NOT_FOUND"), "{missing}");
    assert_eq!(run(&["key", "list"], "")?, (Some(0), "there are no keys\n".to_owned()));
    let (code, missing) = run(&["key", "rotate", "none"], "")?;
    assert!(code == Some(1) && missing.contains("NOT_FOUND"), "{missing}");
    Ok(())
}

#[test]
fn a_password_is_no_argument_and_nobody_is_asked_without_a_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let given = patchbay_with_input(folder.path(), &["user", "create", "anna", "--password", "x"], "")?;
    assert_eq!(given.status.code(), Some(64));
    let asked = patchbay_with_input(folder.path(), &["user", "create", "anna"], "")?;
    let text = String::from_utf8(asked.stderr)?;
    assert!(asked.status.code() == Some(1) && text.contains("--password-file"), "{text}");
    let stranger = patchbay_with_input(folder.path(), &["user", "list"], "")?;
    let text = String::from_utf8(stranger.stderr)?;
    assert!(stranger.status.code() == Some(1) && text.contains("--data"), "{text}");
    assert!(!folder.path().join("data").exists(), "asking somebody else makes no keys here");
    let keys = folder.path().join("data/keys");
    fs::create_dir_all(&keys)?;
    for command in [["user", "list"].as_slice(), &["status"]] {
        let stranger = patchbay_with_input(folder.path(), command, "")?;
        assert_ne!(stranger.status.code(), Some(0));
        assert_eq!(fs::read_dir(&keys)?.count(), 0, "nor does {command:?} where there is a folder for them");
    }
    Ok(())
}

#[tokio::test]
async fn the_all_in_one_starts_tells_where_it_is_and_stops() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let AllInOne { mut process, ops, console, .. } = all_in_one(folder.path()).await?;
    let data = folder.path().join("data");
    let ready = http::get(ops, "/readyz", &[]).await?.body;
    assert!(
        ready.contains("chat-gateway") && ready.contains("console") && ready.contains("backplane"),
        "{ready}"
    );

    let key = fs::metadata(data.join("keys/root.key"))?;
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
    let log = process.log();
    let setup = log
        .split_once("Make the first account with this link, good once:")
        .context("no link for the setup")?
        .1;
    assert!(setup.trim_start().starts_with("http://localhost:8000/#setup="), "{setup}");
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
