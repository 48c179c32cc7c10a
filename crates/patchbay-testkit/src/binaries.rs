//! Where the binaries under test are.

use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// Packages that this process has had built.
static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// Says that everything is built. `scripts/test` sets it after it has built the workspace as a whole: cargo gives a
/// package that is built alone fewer features, and would compile its dependencies a second time.
const BUILT_ALREADY: &str = "PATCHBAY_TESTKIT_BUILT";

/// Returns the path of a binary that is up to date: cargo is asked once per process and does nothing when it is.
/// The profile is that of the running test, and so is the target folder.
pub fn binary(package: &str) -> Result<PathBuf> {
    let mut built = BUILT.lock().expect("nobody panics while building");
    if let Some(path) = built.get(package) {
        return Ok(path.clone());
    }
    let folder = profile_folder()?;
    if env::var_os(BUILT_ALREADY).is_none() {
        build(package, &folder)?;
    }
    let path = folder.join(package);
    ensure!(path.is_file(), "{package} is built, but {} is not there", path.display());
    built.insert(package.to_owned(), path.clone());
    Ok(path)
}

/// The running test is `target/<profile>/deps/<test>-<hash>`, an example or binary one level up.
fn profile_folder() -> Result<PathBuf> {
    let test = env::current_exe().context("the running test has no path")?;
    let folder =
        test.ancestors().find(|folder| folder.join("deps").is_dir() && folder.join("build").is_dir());
    Ok(folder.context("the running test is not in a target folder")?.to_owned())
}

fn build(package: &str, folder: &Path) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--package", package]);
    cargo.arg("--target-dir").arg(folder.parent().context("the profile's folder has no parent")?);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo could not build {package}");
    Ok(())
}

/// Root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two levels down")
        .to_owned()
}
