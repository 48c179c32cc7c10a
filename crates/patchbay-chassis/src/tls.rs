//! TLS for services that end it themselves: certificates that are read again when they change, and a local authority
//! for development. Behind the edge, services speak plain text and do not need this.

use crate::{Context, Mode};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A section that services with TLS ports have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// File with the certificate chain (PEM), read again when it changes. With `--dev` one is made in the data folder.
    pub certificate_file: Option<PathBuf>,
    /// File with the private key (PEM).
    pub key_file: Option<PathBuf>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Files are not configured, and there is no development folder to make them in.
    #[error("a certificate and a key must be configured")]
    NotConfigured,
    /// A PEM file cannot be used.
    #[error("could not read {path}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("could not use the certificate")]
    Unusable(#[from] rustls::Error),
    /// A development certificate cannot be made.
    #[error("could not make a certificate")]
    Make(#[from] rcgen::Error),
    /// A development certificate cannot be written.
    #[error("could not write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Makes an acceptor for the protocols given (ALPN, most wanted first), and spawns the task that looks at its files.
pub fn acceptor(tls: &Tls, protocols: &[&[u8]], context: &Context) -> Result<TlsAcceptor, TlsError> {
    let development = context.data_dir.as_deref().filter(|_| context.mode == Mode::Development);
    let files = match (&tls.certificate_file, &tls.key_file, development) {
        (Some(certificate), Some(key), _) => Files { certificate: certificate.clone(), key: key.clone() },
        (None, None, Some(data)) => development_files(&data.join("tls"))?,
        _ => return Err(TlsError::NotConfigured),
    };
    let current = Arc::new(Current::read(files)?);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<_>);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stop = context.shutdown.hard();
    context.tasks.spawn("certificates", async move {
        stop.run_until_cancelled(current.keep_fresh()).await;
    });
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| TlsError::Pem { path, source }
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(failed(&self.key))?;
        Ok(Arc::new(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?))
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
    }
}

/// The certificate in use.
#[derive(Debug)]
struct Current {
    files: Files,
    certified: RwLock<Arc<CertifiedKey>>,
}

impl Current {
    fn read(files: Files) -> Result<Self, TlsError> {
        Ok(Self { certified: RwLock::new(files.read()?), files })
    }

    async fn keep_fresh(&self) {
        let mut seen = self.files.modified();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.files.modified();
            if now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    /// Files that cannot be used, such as one half of a pair that is being replaced, change nothing.
    fn reload(&self) {
        match self.files.read() {
            Ok(certified) => {
                *self.certified.write().unwrap_or_else(PoisonError::into_inner) = certified;
                tracing::info!(file = %self.files.certificate.display(), "certificate read again");
            }
            Err(error) => {
                tracing::warn!(error = crate::error::chain(&error), "kept the certificate as it was");
            }
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.certified.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A local authority (`ca.pem`, to be trusted by browsers) and a certificate for this machine, made once.
fn development_files(folder: &Path) -> Result<Files, TlsError> {
    let files = Files { certificate: folder.join("localhost.pem"), key: folder.join("localhost.key") };
    if files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "Patchbay development");
    let root = authority.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let leaf = CertificateParams::new(names)?.signed_by(&key, &Issuer::new(authority, authority_key))?;
    write(&folder.join("ca.pem"), &root.pem())?;
    write(&files.certificate, &leaf.pem())?;
    write(&files.key, &key.serialize_pem())?;
    Ok(files)
}

fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let mut options = fs::OpenOptions::new();
    let file = made.and_then(|()| options.write(true).create(true).truncate(true).mode(0o600).open(path));
    let written = file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|source| TlsError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_certificate_is_served_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = development_files(&folder.path().join("a")).unwrap();
        let other = development_files(&folder.path().join("b")).unwrap();
        let current = Current::read(files).unwrap();
        let served = || current.certified.read().unwrap().cert.clone();
        let first = served();
        fs::write(&current.files.certificate, "no certificate").unwrap();
        current.reload();
        assert_eq!(served(), first, "a broken file changes nothing");
        fs::copy(&other.certificate, &current.files.certificate).unwrap();
        current.reload();
        assert_eq!(served(), first, "nor does a certificate that does not fit the key");
        fs::copy(&other.key, &current.files.key).unwrap();
        current.reload();
        assert_ne!(served(), first);
    }
}
