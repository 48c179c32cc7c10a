//! `patchbay init-secrets`: the keys of services that run apart, made once and never changed.

use crate::root_key;
use anyhow::Context;
use patchbay_auth::{KeyOwner, Scope, Signer};
use patchbay_chassis::{Suite, cli};
use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

/// User and group under which the containers run.
const CONTAINER_USER: u32 = 65532;

/// Writes one folder for each reader, so that a container can be given its own alone: `issuer/token-signing.pem`,
/// `<service>/service.pem`, `crypto-service/root.key`, and `public/jwks.json` with the public halves of all.
pub(crate) fn init(folder: &Path, suite: &Suite) -> anyhow::Result<()> {
    let issuer = key(&folder.join("issuer"), "token-signing.pem", KeyOwner::Issuer)?;
    let mut jwks = issuer.jwks();
    for (service, calls) in suite.calls() {
        let owner = KeyOwner::Service(service.to_owned());
        let scopes = calls.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
        jwks.merge(key(&folder.join(service), "service.pem", owner)?.jwks().allowing(&scopes));
    }
    let root = folder.join("crypto-service/root.key");
    root_key::make(&root, 0o400)?;
    hand_over(&root).with_context(|| given(&root))?;
    let public = folder.join("public");
    make(&public)?;
    let path = public.join("jwks.json");
    jwks.write(&path).with_context(|| format!("could not write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(cli::print(&format!("secrets are in {}", folder.display()))?)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

fn key(folder: &Path, name: &str, owner: KeyOwner) -> anyhow::Result<Signer> {
    make(folder)?;
    let path = folder.join(name);
    let signer = Signer::load_or_generate(&path, owner)?;
    hand_over(&path).with_context(|| given(&path))?;
    Ok(signer)
}

fn given(path: &Path) -> String {
    format!("could not give {} to user {CONTAINER_USER}", path.display())
}

/// Gives a key to the containers' user. Whoever is not root cannot, and then is that user or runs no containers.
fn hand_over(path: &Path) -> io::Result<()> {
    match chown(path, Some(CONTAINER_USER), Some(CONTAINER_USER)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}
