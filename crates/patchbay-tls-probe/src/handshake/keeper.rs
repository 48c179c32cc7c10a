//! Keeps what a server shows and accepts it, whatever it is. Whether the server has the key of its certificate is looked at, and told later: a chain can be copied by anybody.

use super::{Proof, Shown};
use crate::certificate::MAX_CERTIFICATES;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::OnceLock;

/// Certificates that are kept of one chain: one more than is looked at, so that it is told that there were more. All of them together have 64 KiB at most, which is the library's limit of a message.
const CERTIFICATES: usize = MAX_CERTIFICATES + 1;

/// Keeps the chain and the staple of one handshake.
#[derive(Debug)]
pub(super) struct Keeper {
    algorithms: WebPkiSupportedAlgorithms,
    kept: OnceLock<(Vec<Vec<u8>>, Vec<u8>)>,
    proof: OnceLock<Proof>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { algorithms, kept: OnceLock::new(), proof: OnceLock::new() }
    }

    /// Keeps the outcome, and lets the handshake go on.
    fn keep(&self, outcome: &Result<HandshakeSignatureValid, Error>) -> HandshakeSignatureValid {
        self.proof.get_or_init(|| match outcome {
            Ok(_) => Proof::Given,
            Err(Error::InvalidCertificate(CertificateError::BadSignature)) => Proof::Wrong,
            // A kind of signature that the library cannot check.
            Err(_) => Proof::Unchecked,
        });
        HandshakeSignatureValid::assertion()
    }

    pub(super) fn shown(&self) -> Shown {
        let (certificates, staple) = self.kept.get().cloned().unwrap_or_default();
        Shown {
            certificates,
            staple: Some(staple).filter(|staple| !staple.is_empty()),
            proof: self.proof.get().copied().unwrap_or_default(),
        }
    }
}

impl ServerCertVerifier for Keeper {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.kept.get_or_init(|| {
            let all = std::iter::once(end_entity).chain(intermediates).take(CERTIFICATES);
            (all.map(|certificate| certificate.to_vec()).collect(), ocsp_response.to_vec())
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(self.keep(&verify_tls12_signature(message, certificate, signature, &self.algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(self.keep(&verify_tls13_signature(message, certificate, signature, &self.algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as Scheme;
        vec![
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::ED25519,
            Scheme::ED448,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
            Scheme::ML_DSA_44,
            Scheme::ML_DSA_65,
            Scheme::ML_DSA_87,
            Scheme::ECDSA_SHA1_Legacy,
            Scheme::RSA_PKCS1_SHA1,
        ]
    }
}
