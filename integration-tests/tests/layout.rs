//! What ARCHITECTURE.md promises of the files themselves; what cargo knows is in `workspace.rs`.

use anyhow::{Context, Result};
use integration_tests::verdict::TestResult;
use patchbay_testkit::binaries::workspace;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Code that does no I/O, so that it can be fuzzed and replayed: folders and what must not be named in them.
const WITHOUT_IO: [&str; 5] = [
    "crates/patchbay-crypto/src",
    "crates/patchbay-media/src",
    "crates/patchbay-rtc/src/connection",
    "crates/patchbay-websocket/src",
    "services/chat-gateway/src/protocol",
];
const IO: [&str; 6] = ["tokio::net", "tokio::io", "std::net", "axum::", "tonic::", "redis::"];

/// Services that link `FFmpeg` and `OpenCV`; images of the others do without.
const LINK_MEDIA: [&str; 2] = ["camera-relay", "patchbay"];

/// Lines after which a file is split.
const LONGEST_FILE: usize = 500;

#[test]
fn every_service_has_an_image_and_runs_in_compose() -> TestResult {
    let dockerfile = read("deploy/Dockerfile")?;
    let compose = read("docker-compose.yml")?;
    let prebuilt = read("deploy/compose.prebuilt.yaml")?;
    let ignored = read(".dockerignore")?;
    for service in services()? {
        let media = LINK_MEDIA.contains(&service.as_str());
        let (base, target) =
            if media { ("runtime-media", "prebuilt-media") } else { ("runtime", "prebuilt") };
        let from_here = format!("target: {target}, args: {{ <<: *from, SERVICE: {service} }}");
        assert!(
            prebuilt.contains(&from_here),
            "{service} is not in deploy/compose.prebuilt.yaml as {target}"
        );
        let in_context = ignored.lines().any(|line| line == format!("!target/release/{service}"));
        assert!(in_context, "Docker is not given the binary of {service}: .dockerignore");
        assert!(dockerfile.contains(&format!("FROM {base} AS {service}\n")), "no image for {service}");
        assert!(compose.contains(&format!("target: {service} }}")), "{service} is not in docker-compose.yml");
    }
    Ok(())
}

#[test]
fn protocols_do_no_io() -> TestResult {
    for folder in WITHOUT_IO {
        for file in rust_files(&workspace().join(folder))? {
            let source = fs::read_to_string(&file)?;
            let found = IO.iter().find(|name| source.contains(**name));
            assert_eq!(found, None, "in {}", file.display());
        }
    }
    Ok(())
}

#[test]
fn no_file_is_too_long_to_read() -> TestResult {
    for folder in ["crates", "services", "integration-tests"] {
        for file in rust_files(&workspace().join(folder))? {
            let lines = fs::read_to_string(&file)?.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
        }
    }
    Ok(())
}

fn services() -> Result<BTreeSet<String>> {
    let folders = fs::read_dir(workspace().join("services"))?;
    folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned())).collect()
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join(path)).with_context(|| format!("could not read {path}"))
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = !path.ends_with("target") && !path.ends_with("node_modules");
        if path.is_dir() && is_ours {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
