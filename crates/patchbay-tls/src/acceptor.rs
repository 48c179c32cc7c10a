//! Handshakes: bounded in time, counted by how they ended.

use crate::{
    certificate::{Certificate, Look, Place},
    error::TlsError,
    metrics::TlsMetrics,
    plain,
    section::{Tls, Version},
};
use parking_lot::Mutex;
use patchbay_chassis::{Context, error::chain};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

/// A connection after its handshake.
pub type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Time for a handshake, from the accepted connection on. A client on the other side of the world needs a second.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often the certificate's source is looked at: two small files are read, or a date is compared.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Accepts TLS on a listener. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    shared: Arc<Shared>,
}

struct Shared {
    tls: TlsAcceptor,
    listener: &'static str,
    certificate: Arc<Certificate>,
    metrics: TlsMetrics,
    hsts: Option<Duration>,
    /// What was wrong with the certificate at the last look, so that it is told once and not at every look.
    wrong: Mutex<Option<String>>,
}

/// Why a connection has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took too long.
    #[error("the handshake took longer than {HANDSHAKE:?}")]
    Late,
    /// The client spoke plain HTTP, and was told so.
    #[error("the client spoke plain HTTP")]
    PlainHttp,
    /// Client and server have no version, suite or protocol in common.
    #[error("the client offers nothing that is spoken here")]
    NothingInCommon(#[source] io::Error),
    /// The client does not like the certificate, or something else.
    #[error("the client refused")]
    Refused(#[source] io::Error),
    /// What came is no TLS, or the connection broke.
    #[error("the handshake broke")]
    Broken(#[source] io::Error),
}

impl HandshakeError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::PlainHttp => "plain_http",
            Self::NothingInCommon(_) => "nothing_in_common",
            Self::Refused(_) => "refused",
            Self::Broken(_) => "broken",
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        let told = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match told {
            Some(rustls::Error::AlertReceived(_)) => Self::Refused(error),
            Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => {
                Self::NothingInCommon(error)
            }
            _ => Self::Broken(error),
        }
    }
}

impl Acceptor {
    /// Makes the acceptor of a listener for protocols (ALPN, most wanted first), and spawns the task that keeps its
    /// certificate fresh; nothing where the section asks for plain text. The certificate of the local authority is
    /// named after the service.
    pub fn open(
        tls: &Tls,
        listener: &'static str,
        protocols: &[&[u8]],
        context: &Context,
    ) -> Result<Option<Self>, TlsError> {
        let place = Place { data: context.data_dir.as_deref(), owner: context.service };
        let Some(certificate) = Certificate::open(tls, place, context.clock.clone())? else {
            return Ok(None);
        };
        let metrics = TlsMetrics::register(&context.metrics);
        let hsts = Some(tls.hsts.duration()).filter(|time| !time.is_zero() && !tls.development);
        let acceptor =
            Self::assemble(certificate, listener, protocols, tls.minimum_version, (metrics, hsts))?;
        let (stop, fresh) = (context.shutdown.hard(), acceptor.clone());
        context.tasks.spawn("certificates", async move {
            stop.run_until_cancelled(fresh.keep_fresh()).await;
        });
        Ok(Some(acceptor))
    }

    /// An acceptor outside of a service, whose certificate stays as it is until somebody calls [`Certificate::look`].
    pub fn new(
        certificate: Arc<Certificate>,
        protocols: &[&[u8]],
        minimum: Version,
    ) -> Result<Self, TlsError> {
        Self::assemble(certificate, "tls", protocols, minimum, (TlsMetrics::default(), None))
    }

    fn assemble(
        certificate: Arc<Certificate>,
        listener: &'static str,
        protocols: &[&[u8]],
        minimum: Version,
        (metrics, hsts): (TlsMetrics, Option<Duration>),
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&minimum.and_later())?;
        let mut config =
            versions.with_no_client_auth().with_cert_resolver(Arc::clone(&certificate) as Arc<_>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tls = TlsAcceptor::from(Arc::new(config));
        let shared = Shared { tls, listener, certificate, metrics, hsts, wrong: Mutex::default() };
        shared.show_end();
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes a handshake, in a task of the connection's own: a client may take its time.
    pub async fn accept(&self, stream: TcpStream) -> Result<TlsStream, HandshakeError> {
        let made = timeout(HANDSHAKE, self.handshake(stream)).await.unwrap_or(Err(HandshakeError::Late));
        self.shared.metrics.count(made.as_ref().map_or_else(HandshakeError::outcome, |_| "done"));
        made
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream, HandshakeError> {
        if plain::is_spoken(&stream).await.map_err(HandshakeError::Broken)? {
            plain::answer(stream).await.map_err(HandshakeError::Broken)?;
            return Err(HandshakeError::PlainHttp);
        }
        Ok(self.shared.tls.accept(stream).await?)
    }

    /// When the certificate ends, in Unix time.
    pub fn expires(&self) -> u64 {
        self.shared.certificate.expires()
    }

    /// How long browsers are to come by HTTPS only, where they are to be told.
    pub fn hsts(&self) -> Option<Duration> {
        self.shared.hsts
    }

    async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let shared = Arc::clone(&self.shared);
            // It reads files, and may wait for another process to have written them.
            let looked = tokio::task::spawn_blocking(move || shared.look()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "could not look at the certificate");
            }
        }
    }
}

impl Shared {
    fn look(&self) {
        match self.certificate.look() {
            Look::Same => {}
            Look::Replaced => {
                *self.wrong.lock() = None;
                tracing::info!(
                    listener = self.listener,
                    expires = self.certificate.expires(),
                    "another certificate is served"
                );
            }
            Look::Kept(error) => {
                self.metrics.failures.inc();
                self.tell(chain(&error));
            }
        }
        self.show_end();
    }

    fn tell(&self, error: String) {
        let mut wrong = self.wrong.lock();
        if wrong.as_ref() != Some(&error) {
            tracing::warn!(listener = self.listener, error, "the certificate is served as it was");
            *wrong = Some(error);
        }
    }

    fn show_end(&self) {
        self.metrics.expires.set(i64::try_from(self.certificate.expires()).unwrap_or(i64::MAX));
    }
}

/// The certificate's end among a service's figures, from which expiring certificates are found.
pub fn figure(acceptor: Option<&Acceptor>) -> Option<(String, f64)> {
    let acceptor = acceptor?;
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 280 million years")]
    let expires = acceptor.expires() as f64;
    Some((format!("certificate_expires_{}", acceptor.shared.listener), expires))
}

/// `https` or `http`, for addresses that people open.
pub fn scheme(acceptor: Option<&Acceptor>) -> &'static str {
    acceptor.map_or("http", |_| "https")
}

/// `wss` or `ws`.
pub fn websocket_scheme(acceptor: Option<&Acceptor>) -> &'static str {
    acceptor.map_or("ws", |_| "wss")
}
