//! Rules about the workspace itself.

use anyhow::{Context, Result};
use integration_tests::verdict::TestResult;
use patchbay_testkit::binaries::workspace;
use serde_json::Value;
use std::{collections::BTreeSet, env, fs, process::Command};

fn metadata() -> Result<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let output = Command::new(cargo).current_dir(workspace()).args(arguments).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn packages_in<'a>(metadata: &'a Value, folder: &'a str) -> impl Iterator<Item = &'a Value> {
    let root = workspace().join(folder).display().to_string();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(move |package| package["manifest_path"].as_str().is_some_and(|path| path.starts_with(&root)))
}

fn names<'a>(packages: impl Iterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    packages.filter_map(|package| package["name"].as_str()).collect()
}

fn dependencies(package: &Value) -> BTreeSet<&str> {
    names(package["dependencies"].as_array().into_iter().flatten())
}

#[test]
fn a_service_never_depends_on_another() -> TestResult {
    let metadata = metadata()?;
    let services = names(packages_in(&metadata, "services"));
    assert!(services.contains("chat-gateway"), "{services:?}");
    for package in packages_in(&metadata, "services").chain(packages_in(&metadata, "crates")) {
        let name = package["name"].as_str().context("no name")?;
        let others: Vec<_> =
            dependencies(package).into_iter().filter(|other| services.contains(other)).collect();
        assert!(name == "patchbay" || others.is_empty(), "{name} depends on {others:?}");
    }
    Ok(())
}

#[test]
fn the_libraries_depend_downwards() -> TestResult {
    let metadata = metadata()?;
    for (library, forbidden) in [
        ("patchbay-auth", &["patchbay-chassis", "patchbay-proto"][..]),
        ("patchbay-backplane", &["patchbay-chassis", "patchbay-auth", "patchbay-proto"]),
        ("patchbay-websocket", &["patchbay-chassis", "patchbay-auth", "patchbay-backplane", "tokio"]),
        ("patchbay-chassis", &["patchbay-proto", "patchbay-websocket"]),
        ("patchbay-media", &["patchbay-chassis", "patchbay-proto", "patchbay-av", "patchbay-rtc", "tonic"]),
        ("patchbay-av", &["patchbay-chassis", "patchbay-proto", "patchbay-rtc"]),
        ("patchbay-rtc", &["patchbay-chassis", "patchbay-proto", "patchbay-av"]),
    ] {
        let package = packages_in(&metadata, "crates").find(|package| package["name"] == library);
        let package = package.with_context(|| format!("{library} is gone"))?;
        let direct = package["dependencies"].as_array().into_iter().flatten().filter(|d| d["kind"].is_null());
        let direct = names(direct);
        let found: Vec<_> = forbidden.iter().filter(|name| direct.contains(*name)).collect();
        assert!(found.is_empty(), "{library} depends on {found:?}");
    }
    Ok(())
}

/// Names of the crates that a package is built from, or with `dev` that its tests are.
fn crates_of(package: &str, edges: &str) -> Result<BTreeSet<String>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["tree", "--package", package, "--edges", edges, "--prefix", "none", "--offline"];
    let output = Command::new(cargo).current_dir(workspace()).args(arguments).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect())
}

/// What WebRTC's own library of ciphers has beside aws-lc-rs: the block cipher for modes that every browser may ask for and aws-lc-rs has no calls for. It sees
/// the keys of one connection, never one that is kept.
const WEBRTC_CIPHER: Option<&str> = Some("aes");

/// The whole stacks of others are peers: they are in tests and never in a binary.
#[test]
fn webrtc_is_our_own_engine_over_components() -> TestResult {
    for service in ["camera-relay", "patchbay"] {
        let crates = crates_of(service, "normal")?;
        for component in ["rtc-dtls", "rtc-srtp", "rtc-sctp", "rtc-stun", "opencv", "ffmpeg-next"] {
            assert!(crates.contains(component), "{service} is built without {component}");
        }
        for stack in ["webrtc", "rtc", "str0m"] {
            assert!(!crates.contains(stack), "{service} is built with {stack}");
        }
    }
    let peers = crates_of("integration-tests", "all")?;
    assert!(peers.contains("webrtc") && peers.contains("str0m"), "the peers are gone: {peers:?}");
    Ok(())
}

/// Only what shows pictures pays for the libraries that do: their packages are a quarter of a gigabyte of an image.
#[test]
fn other_services_stay_lean() -> TestResult {
    for service in ["chat-gateway", "console", "crypto-service"] {
        let crates = crates_of(service, "normal")?;
        for heavy in ["opencv", "ffmpeg-next", "patchbay-av", "patchbay-rtc"] {
            assert!(!crates.contains(heavy), "{service} is built with {heavy}");
        }
    }
    Ok(())
}

/// docs/decisions/0006-cryptography.md: one library holds the secrets, and those of `RustCrypto` that could are peers in tests.
#[test]
fn ciphers_and_signatures_come_from_one_library() -> TestResult {
    for (service, exempt) in
        [("crypto-service", None), ("camera-relay", WEBRTC_CIPHER), ("patchbay", WEBRTC_CIPHER)]
    {
        let crates = crates_of(service, "normal")?;
        assert!(crates.contains("aws-lc-rs"), "{crates:?}");
        for peer in ["rsa", "aes-gcm", "aes", "p256", "ed25519-dalek", "ring"] {
            assert!(!crates.contains(peer) || exempt == Some(peer), "{service} is built with {peer}");
        }
    }
    assert!(!crates_of("patchbay-crypto", "normal")?.contains("aes"), "the exemption is WebRTC's alone");
    let peers = crates_of("patchbay-crypto", "all")?;
    assert!(peers.contains("rsa") && peers.contains("aes-gcm"), "the peers are gone: {peers:?}");
    Ok(())
}

#[test]
fn folders_are_called_as_their_packages() -> TestResult {
    let metadata = metadata()?;
    for package in packages_in(&metadata, "services").chain(packages_in(&metadata, "crates")) {
        let path = package["manifest_path"].as_str().context("no path")?;
        let folder = path.rsplit('/').nth(1).context("no folder")?;
        let nested = path.contains("/fuzz/") || path.contains("/examples/");
        assert!(nested || package["name"] == folder, "{path} is the package {}", package["name"]);
    }
    Ok(())
}

#[test]
fn every_main_is_small() -> TestResult {
    for entry in fs::read_dir(workspace().join("services"))? {
        let main = entry?.path().join("src/main.rs");
        if main.is_file() {
            let lines = fs::read_to_string(&main)?.lines().count();
            assert!(lines <= 20, "{} has {lines} lines", main.display());
        }
    }
    Ok(())
}
