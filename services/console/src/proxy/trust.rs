//! Which authorities upstreams with TLS are verified by. Files are looked at again for each new connection: the local
//! authority may be made by a gateway that starts after the console, and any authority may be replaced.

use patchbay_chassis::error::chain;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio_rustls::TlsConnector;

/// Why upstreams cannot be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The file cannot be read.
    #[error("could not read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is no list of certificates.
    #[error("could not find authorities in {path}")]
    Pem {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// One of them cannot be used, or the library does not take what it is asked for.
    #[error("could not use the authorities of upstreams")]
    Unusable(#[from] rustls::Error),
}

/// Authorities, and the file that some of them come from.
pub(super) struct Trust {
    source: Source,
    held: Mutex<Held>,
}

enum Source {
    /// The authorities of a file alone, which must be there.
    File(PathBuf),
    /// Those of the web, and the local one of a data folder where it has one. That one is held to names that none of the
    /// web signs for.
    Web { local: Option<PathBuf> },
}

#[derive(Clone)]
struct Held {
    /// What the file had in it.
    text: Option<Vec<u8>>,
    tls: TlsConnector,
}

impl Trust {
    /// Reads them for the first time.
    pub(super) fn open(file: Option<&Path>, data: Option<&Path>) -> Result<Self, TrustError> {
        let source = match file {
            Some(file) => Source::File(file.to_owned()),
            None => Source::Web { local: data.map(|data| data.join("tls/ca.pem")) },
        };
        let text = source.path().map(|path| source.judge(path, std::fs::read(path))).transpose()?.flatten();
        let held = Mutex::new(source.hold(text)?);
        Ok(Self { source, held })
    }

    /// How to connect. What has become unusable is logged, and what was there before holds.
    pub(super) async fn connector(&self) -> TlsConnector {
        let Some(path) = self.source.path() else { return self.held().tls };
        let read = tokio::fs::read(path).await;
        self.renew(path, read).unwrap_or_else(|error| {
            tracing::warn!(
                error = chain(&error),
                "upstreams are trusted by the authorities that were there before"
            );
            self.held().tls
        })
    }

    fn renew(&self, path: &Path, read: io::Result<Vec<u8>>) -> Result<TlsConnector, TrustError> {
        let text = self.source.judge(path, read)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.text != text {
            *held = self.source.hold(text)?;
        }
        Ok(held.tls.clone())
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Web { local } => local.as_deref(),
        }
    }

    /// Nothing where there may be nothing.
    fn judge(&self, path: &Path, read: io::Result<Vec<u8>>) -> Result<Option<Vec<u8>>, TrustError> {
        match (read, self) {
            (Ok(text), _) => Ok(Some(text)),
            (Err(error), Self::Web { .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            (Err(source), _) => Err(TrustError::Read { path: path.to_owned(), source }),
        }
    }

    fn roots(&self, text: Option<&[u8]>) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        if matches!(self, Self::Web { .. }) {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some((text, path)) = text.zip(self.path()) {
            add(&mut roots, text, path)?;
        }
        Ok(roots)
    }

    fn hold(&self, text: Option<Vec<u8>>) -> Result<Held, TrustError> {
        let roots = self.roots(text.as_deref())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Held { text, tls: TlsConnector::from(Arc::new(config)) })
    }
}

fn add(roots: &mut RootCertStore, text: &[u8], path: &Path) -> Result<(), TrustError> {
    let failed = |source| TrustError::Pem { path: path.to_owned(), source };
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(failed(rustls::pki_types::pem::Error::NoItemsFound));
    }
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
