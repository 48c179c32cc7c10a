//! The certificate that a listener serves, and how it is kept fresh without a restart.

use crate::{
    authority::since_epoch,
    development::{self, Development},
    error::TlsError,
    files::{Pair, Seen},
    pem::Served,
    section::Tls,
};
use parking_lot::{Mutex, RwLock};
use patchbay_chassis::Clock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Where certificates of the local authority are kept.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The data folder.
    pub data: Option<&'a Path>,
    /// Whose certificate it is; its file is named after it.
    pub owner: &'a str,
}

/// The certificate in use, with its source.
pub struct Certificate {
    source: Source,
    clock: Clock,
    served: RwLock<Served>,
    has_ended: AtomicBool,
}

enum Source {
    /// Somebody else renews them.
    Files {
        pair: Pair,
        /// What was read last, good or not, so that each mistake is told once.
        seen: Mutex<Seen>,
    },
    /// Renewed here.
    Development(Development),
}

/// What a look at the source has led to.
#[derive(Debug)]
pub enum Look {
    /// There is nothing new.
    Same,
    /// Another certificate is served now.
    Replaced,
    /// What is there cannot be used; the certificate is served as it was.
    Kept(TlsError),
}

impl Certificate {
    /// Takes the certificate that a section names; nothing where the section asks for plain text.
    pub fn open(tls: &Tls, place: Place<'_>, clock: Clock) -> Result<Option<Arc<Self>>, TlsError> {
        let (source, served) = match (&tls.certificate_file, &tls.key_file) {
            (Some(certificate), Some(key)) => {
                let pair = Pair { certificate: certificate.clone(), key: key.clone() };
                let contents = pair.read()?;
                let served = pair.served(&contents)?;
                (Source::Files { pair, seen: Mutex::new(contents.seen()) }, served)
            }
            _ if tls.development => {
                let data = place.data.ok_or(TlsError::NoFolder)?;
                let development = Development::new(data, place.owner, &tls.names)?;
                let served = development.obtain(&clock)?;
                (Source::Development(development), served)
            }
            _ => return Ok(None),
        };
        let opened = Self { source, clock, served: RwLock::new(served), has_ended: AtomicBool::new(false) };
        opened.tell_end();
        Ok(Some(Arc::new(opened)))
    }

    /// When it ends, in Unix time.
    pub fn expires(&self) -> u64 {
        self.served.read().facts.expires
    }

    /// Looks at the source, and serves what is new there and can be used. It reads files and may wait for their lock.
    pub fn look(&self) -> Look {
        let looked = match &self.source {
            Source::Files { pair, seen } => self.look_at_files(pair, seen),
            Source::Development(_) if !development::is_due(self.expires(), &self.clock) => Look::Same,
            Source::Development(development) => self.take(development.obtain(&self.clock)),
        };
        self.tell_end();
        looked
    }

    fn look_at_files(&self, pair: &Pair, seen: &Mutex<Seen>) -> Look {
        let contents = match pair.read() {
            Ok(contents) => contents,
            // They may be on their way.
            Err(error) => return Look::Kept(error),
        };
        let now = contents.seen();
        if *seen.lock() == now {
            return Look::Same;
        }
        *seen.lock() = now;
        self.take(pair.served(&contents))
    }

    fn take(&self, served: Result<Served, TlsError>) -> Look {
        match served {
            Ok(served) => {
                *self.served.write() = served;
                Look::Replaced
            }
            Err(error) => Look::Kept(error),
        }
    }

    /// A certificate that has ended is still served: some clients do not mind, and the others say why they go.
    fn tell_end(&self) {
        let expires = self.expires();
        let has_ended = expires < since_epoch(&self.clock).as_secs();
        if has_ended && !self.has_ended.swap(has_ended, Ordering::Relaxed) {
            tracing::warn!(
                expires,
                "the certificate of this service has ended, and clients will refuse it: renew it"
            );
        }
        self.has_ended.store(has_ended, Ordering::Relaxed);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("expires", &self.expires()).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.served.read().certified))
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
