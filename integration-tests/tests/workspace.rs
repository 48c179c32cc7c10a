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

/// docs/decisions/0006-cryptography.md: one library holds the secrets, and those of `RustCrypto` that could are peers in tests.
#[test]
fn ciphers_and_signatures_come_from_one_library() -> TestResult {
    for service in ["crypto-service", "patchbay"] {
        let crates = crates_of(service, "normal")?;
        assert!(crates.contains("aws-lc-rs"), "{crates:?}");
        for peer in ["rsa", "aes-gcm", "aes", "p256", "ed25519-dalek", "ring"] {
            assert!(!crates.contains(peer), "{service} is built with {peer}");
        }
    }
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
