//! TLS to sources: by the authorities of the web, or by the certificate that a user has pinned, since cameras sign theirs themselves.

use ::aws_lc_rs::digest;
use parking_lot::Mutex;
use patchbay_egress::Host;
use patchbay_media::hub::{Reason, SourceError};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Most characters that are told of an error.
const MOST_WORDS: usize = 200;

/// How a source proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// By a certificate of a public authority for its name.
    #[default]
    Authorities,
    /// By having the key of the certificate with this SHA-256 fingerprint. Nothing else about the certificate is looked at.
    Fingerprint([u8; 32]),
}

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is of no known authority, or is not for this name.
    #[error(
        "the certificate is not trusted ({reason}); its SHA-256 fingerprint is {fingerprint}: if that is the certificate of your camera, pin it"
    )]
    Untrusted {
        /// What is wrong with it.
        reason: String,
        /// Of the certificate that came.
        fingerprint: String,
    },
    /// Another certificate than the pinned one came.
    #[error(
        "another certificate than the pinned one came: its SHA-256 fingerprint is {0}. If the camera has a new certificate, pin that; if not, something stands between you and it"
    )]
    OtherFingerprint(String),
    /// The handshake failed.
    #[error("no TLS connection: {0}; TLS 1.2 or 1.3 is needed, and a port that speaks it")]
    Handshake(String),
    /// It took too long.
    #[error("the TLS handshake was not answered in time: does the port speak TLS?")]
    TimedOut,
}

impl From<TlsError> for SourceError {
    fn from(error: TlsError) -> Self {
        let text = error.to_string();
        match error {
            TlsError::OtherFingerprint(_) | TlsError::Untrusted { .. } => Self::permanent(text),
            TlsError::Handshake(_) | TlsError::TimedOut => Self::temporary(text),
        }
        .because(Reason::Tls)
    }
}

/// What an error says, as long as words for people are: a certificate may hold thousands of names, which all would be told.
fn told(error: &Error) -> String {
    error.to_string().chars().filter(|sign| !sign.is_control()).take(MOST_WORDS).collect()
}

/// A fingerprint as people compare it: pairs of hexadecimal digits with colons.
pub fn fingerprint_text(fingerprint: &[u8]) -> String {
    let pairs: Vec<_> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The SHA-256 fingerprint of a certificate in DER.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, certificate).as_ref().try_into().unwrap_or_default()
}

/// Makes a TLS connection on a TCP connection.
pub async fn connect(
    stream: TcpStream,
    host: &Host,
    trust: Trust,
    within: Duration,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let failed = |error: &dyn std::fmt::Display| TlsError::Handshake(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier::new(trust, &provider).map_err(|error| failed(&error))?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| failed(&error))?,
        Host::Address(address) => ServerName::from(*address),
    };
    match timeout(within, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(verifier.refusal().unwrap_or_else(|| failed(&error))),
        Err(_) => Err(TlsError::TimedOut),
    }
}

/// Judges the certificate, and keeps what is to be said of one that was refused.
#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
    refusal: Mutex<Option<TlsError>>,
}

#[derive(Debug)]
enum Check {
    Authorities(Arc<WebPkiServerVerifier>),
    Fingerprint([u8; 32]),
}

impl Verifier {
    fn new(
        trust: Trust,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        let check = match trust {
            Trust::Fingerprint(pinned) => Check::Fingerprint(pinned),
            Trust::Authorities => {
                let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                let builder =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                Check::Authorities(builder.build()?)
            }
        };
        Ok(Self { check, provider: Arc::clone(provider), refusal: Mutex::new(None) })
    }

    fn refusal(&self) -> Option<TlsError> {
        self.refusal.lock().take()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let came = fingerprint(end_entity);
        let text = fingerprint_text(&came);
        let (refusal, error) = match &self.check {
            Check::Fingerprint(pinned) if *pinned == came => return Ok(ServerCertVerified::assertion()),
            Check::Fingerprint(_) => {
                let error = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
                (TlsError::OtherFingerprint(text), error)
            }
            Check::Authorities(authorities) => {
                match authorities.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                ) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => (TlsError::Untrusted { reason: told(&error), fingerprint: text }, error),
                }
            }
        };
        *self.refusal.lock() = Some(refusal);
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
