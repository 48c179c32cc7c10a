//! Certificate signing requests (PKCS#10, RFC 2986).

use super::names;
use crate::{error::Error, keyring::Material};
use bytes::Bytes;
use patchbay_crypto::{Error as CryptoError, Message, digest::Algorithm as Digest, ecdsa};
use std::collections::BTreeSet;
use x509_cert::{
    AlgorithmIdentifier, SubjectPublicKeyInfo,
    attr::{Attribute, Attributes},
    der::{
        Decode, DecodePem, Encode, EncodePem,
        asn1::{AnyRef, BitString, OctetString, SetOfVec},
        oid::{AssociatedOid, ObjectIdentifier},
        pem::LineEnding,
    },
    ext::{Extension, pkix::SubjectAltName},
    name::Name,
    request::{CertReq, CertReqInfo, ExtensionReq, Version},
};

/// Bytes of a template at most.
const TEMPLATE_MAX: usize = 64 * 1024;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// What a caller wants to have certified.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// Subject as RFC 4514.
    pub(crate) subject: String,
    /// DNS names and addresses.
    pub(crate) alternative_names: Vec<String>,
    /// A request in PEM or DER, instead of both.
    pub(crate) template: Bytes,
}

/// What a request says beside its key.
pub(crate) struct Request {
    subject: Name,
    attributes: Attributes,
}

impl Request {
    /// Reads a wish.
    pub(crate) fn parse(wish: &Wish) -> Result<Self, Error> {
        if wish.template.is_empty() {
            return Self::named(&wish.subject, &wish.alternative_names);
        }
        if !wish.subject.is_empty() || !wish.alternative_names.is_empty() {
            return Err(Error::bad("template", "says subject and names itself: give it, or these, not both"));
        }
        Self::of_template(&wish.template)
    }

    fn named(subject: &str, alternatives: &[String]) -> Result<Self, Error> {
        let subject = names::subject(subject)?;
        if alternatives.len() > names::ALTERNATIVES_MAX {
            let problem =
                format!("has {} names; {} are allowed", alternatives.len(), names::ALTERNATIVES_MAX);
            return Err(Error::bad("alternative_names", problem));
        }
        let alternatives =
            alternatives.iter().map(|name| names::alternative(name)).collect::<Result<Vec<_>, Error>>()?;
        if alternatives.is_empty() {
            return Self::checked(subject, Attributes::new());
        }
        // Critical where nothing else names the subject (RFC 5280, section 4.2.1.6).
        let extension = Extension {
            extn_id: SubjectAltName::OID,
            critical: subject.is_empty(),
            extn_value: SubjectAltName(alternatives)
                .to_der()
                .and_then(OctetString::new)
                .map_err(Error::internal)?,
        };
        let wanted = Attribute::try_from(ExtensionReq(vec![extension])).map_err(Error::internal)?;
        Self::checked(subject, SetOfVec::from_iter([wanted]).map_err(Error::internal)?)
    }

    /// Takes subject and extensions, and no other attribute: a challenge password is between others.
    fn of_template(template: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::bad("template", "is no certificate request (PKCS#10) in PEM or DER");
        if template.len() > TEMPLATE_MAX {
            return Err(Error::bad("template", format!("has more than {TEMPLATE_MAX} bytes")));
        }
        let request = match template.first() {
            Some(0x30) => CertReq::from_der(template),
            _ => CertReq::from_pem(template.trim_ascii()),
        };
        let CertReqInfo { subject, attributes, .. } = request.map_err(|_| wrong())?.info;
        if !names::is_readable(&subject) {
            return Err(Error::bad(
                "template",
                "has a subject whose text cannot be read, is empty, or holds control characters",
            ));
        }
        let kept: Vec<_> =
            attributes.into_vec().into_iter().filter(|it| it.oid == ExtensionReq::OID).collect();
        if !kept.first().is_none_or(is_extension_request) || kept.len() > 1 {
            return Err(Error::bad(
                "template",
                "must ask for extensions once, as a list of at least one, and each once",
            ));
        }
        if subject.is_empty() && kept.is_empty() {
            return Err(Error::bad("template", "has neither a subject nor alternative names"));
        }
        Ok(Self { subject, attributes: SetOfVec::try_from(kept).map_err(|_| wrong())? })
    }

    fn checked(subject: Name, attributes: Attributes) -> Result<Self, Error> {
        if subject.is_empty() && attributes.is_empty() {
            return Err(Error::bad("subject", "must be given where there are no alternative names"));
        }
        Ok(Self { subject, attributes })
    }

    /// The subject as text, for the record.
    pub(crate) fn subject(&self) -> String {
        self.subject.to_string()
    }

    /// Signs with a key whose public half is `spki`, in DER. `None` for a type that does not sign certificates.
    pub(crate) fn sign(self, material: &Material, spki: &[u8]) -> Option<Result<String, Error>> {
        let algorithm = algorithm(material)?;
        Some(self.signed(algorithm, material, spki))
    }

    fn signed(
        self,
        algorithm: AlgorithmIdentifier,
        material: &Material,
        spki: &[u8],
    ) -> Result<String, Error> {
        let info = CertReqInfo {
            version: Version::V1,
            subject: self.subject,
            public_key: SubjectPublicKeyInfo::from_der(spki).map_err(Error::internal)?,
            attributes: self.attributes,
        };
        let signature =
            signature(material, &info.to_der().map_err(Error::internal)?).map_err(Error::internal)?;
        let signature = BitString::from_bytes(&signature).map_err(Error::internal)?;
        CertReq { info, algorithm, signature }.to_pem(LineEnding::LF).map_err(Error::internal)
    }
}

/// RFC 2985, section 5.4.2, and RFC 5280, section 4.2: one list, in which each extension stands once. What an extension means is for whoever
/// issues to judge.
fn is_extension_request(attribute: &Attribute) -> bool {
    let mut values = attribute.values.iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(extensions) = value.decode_as::<Vec<Extension>>() else { return false };
    let different: BTreeSet<_> = extensions.iter().map(|extension| extension.extn_id).collect();
    !extensions.is_empty() && different.len() == extensions.len()
}

/// How a key signs certificates and requests (RFC 8410, RFC 5758, RFC 4055).
fn algorithm(material: &Material) -> Option<AlgorithmIdentifier> {
    let plain = |oid| AlgorithmIdentifier { oid, parameters: None };
    match material {
        Material::Ed25519(_) => Some(plain(ED25519)),
        Material::Ecdsa(key) => Some(plain(match key.curve() {
            ecdsa::Curve::P256 => ECDSA_SHA256,
            ecdsa::Curve::P384 => ECDSA_SHA384,
            ecdsa::Curve::P521 => ECDSA_SHA512,
        })),
        Material::Rsa(_) => {
            Some(AlgorithmIdentifier { oid: RSA_SHA256, parameters: Some(AnyRef::NULL.into()) })
        }
        _ => None,
    }
}

fn signature(material: &Material, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    match material {
        Material::Ed25519(key) => key.sign(message),
        Material::Ecdsa(key) => {
            key.sign(key.curve().default_digest(), ecdsa::Encoding::Asn1, Message::Whole(message))
        }
        Material::Rsa(key) => key.sign_pkcs1v15(Digest::Sha256, Message::Whole(message)),
        _ => Err(CryptoError::Library),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
