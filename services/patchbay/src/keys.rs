//! The keys of a lone machine: one that signs tokens, the key set that makes the services believe it, and the one with
//! which crypto-service wraps all that it keeps.

use crate::root_key;
use anyhow::Context;
use patchbay_auth::{KeyOwner, Signer};
use patchbay_chassis::Settings;
use std::path::{Path, PathBuf};

/// `<data>/keys`: `token-signing.pem` and `jwks.json`.
pub(crate) struct KeyFolder {
    signer: Signer,
    is_new: bool,
}

/// Where a data folder's key that signs tokens is.
pub(crate) fn issuer_key_file(data: &Path) -> PathBuf {
    data.join("keys/token-signing.pem")
}

/// Reads the key that signs tokens, for calls to a service that runs: one that were made here now would be believed by nobody.
pub(crate) fn issuer(file: Option<&Path>, data: &Path) -> anyhow::Result<Signer> {
    let path = file.map_or_else(|| issuer_key_file(data), Path::to_owned);
    Signer::load(&path, KeyOwner::Issuer)
        .context("there is no key to sign with: name the folder that has it with --data")
}

/// Where a data folder's root key is.
pub(crate) fn root_key_file(data: &Path) -> PathBuf {
    data.join("keys/root.key")
}

/// Makes the data folder's root key on first use, where crypto-service is configured to have it.
pub(crate) fn make_root(settings: &Settings) -> anyhow::Result<()> {
    let Some(data) = settings.shared.data.dir.as_deref() else { return Ok(()) };
    let path = root_key_file(data);
    let ours = path.display().to_string();
    let is_ours = settings
        .shown
        .iter()
        .any(|shown| shown.key == "crypto-service.root_key.file" && shown.value == ours.as_str());
    if !is_ours {
        return Ok(());
    }
    make_private(&data.join("keys"))?;
    root_key::make(&path, 0o600)
}

/// Where the key set of a data folder is.
pub(crate) fn jwks_file(data: &Path) -> PathBuf {
    data.join("keys/jwks.json")
}

/// Opens the data folder's keys, unless the configuration says to believe others.
pub(crate) fn own(settings: &Settings) -> anyhow::Result<Option<KeyFolder>> {
    let data = settings.shared.data.dir.as_deref();
    let own = data.filter(|data| settings.shared.auth.jwks_file == Some(jwks_file(data)));
    own.map(KeyFolder::open).transpose()
}

impl KeyFolder {
    /// Opens the keys of a data folder, making them on first use.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let folder = data.join("keys");
        make_private(&folder)?;
        let path = issuer_key_file(data);
        let is_new = !path.exists();
        let signer = Signer::load_or_generate(&path, KeyOwner::Issuer)?;
        let jwks = jwks_file(data);
        if is_new || !jwks.exists() {
            signer.jwks().write(&jwks).with_context(|| format!("could not write {}", jwks.display()))?;
        }
        Ok(Self { signer, is_new })
    }

    /// Whether this is the machine's first start.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The key that signs tokens.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// Makes a folder that only its owner can look into.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("could not make {}", folder.display()))
}
