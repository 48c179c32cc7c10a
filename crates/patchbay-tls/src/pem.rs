//! PEM to what the handshake needs, and what is read from certificates.

use crate::error::TlsError;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) facts: Facts,
}

/// What is asked of a certificate here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// First second of its validity, in Unix time.
    pub(crate) begins: u64,
    /// Last second of its validity.
    pub(crate) expires: u64,
    /// Its names and addresses, as [`crate::names::canonical`] spells them.
    pub(crate) names: BTreeSet<String>,
    /// Which key it is for.
    pub(crate) subject_key: Option<Vec<u8>>,
    /// Which key signed it.
    pub(crate) authority_key: Option<Vec<u8>>,
    /// Domains for which an authority may sign.
    pub(crate) permitted_domains: Vec<String>,
}

/// Makes a served certificate of a chain and a key; the paths are for messages.
pub(crate) fn served(chain: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Served, TlsError> {
    let (path, text) = chain;
    let missing = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { what, path, source }
    };
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(missing("a certificate", path))?;
    let Some(first) = chain.first() else {
        let source = rustls::pki_types::pem::Error::NoItemsFound;
        return Err(missing("a certificate", path)(source));
    };
    let facts = facts(first).ok_or_else(|| TlsError::NotACertificate { path: path.to_owned() })?;
    if is_encrypted(key.1) {
        return Err(TlsError::Encrypted { path: key.0.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_slice(key.1).map_err(missing("a private key", key.0))?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|source| TlsError::Unusable { path: path.to_owned(), source })?;
    Ok(Served { certified: Arc::new(certified), facts })
}

/// Whether a key is under a passphrase, by PKCS #8 (RFC 7468, section 11) or by the older heads of PEM (RFC 1421).
fn is_encrypted(key: &[u8]) -> bool {
    let is_so = |line: &[u8]| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    };
    key.split(|byte| *byte == b'\n').any(is_so)
}

/// Reads what is asked of a certificate.
pub(crate) fn facts(der: &[u8]) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let mut facts = Facts {
        begins: seconds(certificate.validity().not_before),
        expires: seconds(certificate.validity().not_after),
        names: BTreeSet::new(),
        subject_key: None,
        authority_key: None,
        permitted_domains: Vec::new(),
    };
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                facts.names = names.general_names.iter().filter_map(name).collect();
            }
            ParsedExtension::SubjectKeyIdentifier(id) => facts.subject_key = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                facts.authority_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::NameConstraints(constraints) => {
                let permitted = constraints.permitted_subtrees.iter().flatten();
                facts.permitted_domains = permitted.filter_map(|subtree| domain(&subtree.base)).collect();
            }
            _ => {}
        }
    }
    Some(facts)
}

fn domain(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into())).ok()
}
