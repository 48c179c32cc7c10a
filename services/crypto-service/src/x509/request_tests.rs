use super::*;
use crate::keyring::Material;
use patchbay_crypto::{
    agreement, ed25519, ml_dsa,
    rsa::{self, Size},
};
use x509_cert::der::asn1::Any;

fn wish(subject: &str, names: &[&str]) -> Wish {
    let alternative_names = names.iter().map(|name| (*name).to_owned()).collect();
    Wish { subject: subject.to_owned(), alternative_names, template: Bytes::new() }
}

fn template(pem: &str) -> Wish {
    Wish { template: Bytes::from(pem.to_owned()), ..Wish::default() }
}

fn ed25519() -> (Material, Vec<u8>) {
    let key = ed25519::PrivateKey::generate().unwrap();
    let spki = key.public().to_spki_der();
    (Material::Ed25519(key), spki)
}

fn signed(wish: &Wish, (material, spki): &(Material, Vec<u8>)) -> CertReq {
    let pem = Request::parse(wish).unwrap().sign(material, spki).unwrap().unwrap();
    CertReq::from_pem(pem).unwrap()
}

fn refused(wish: &Wish) -> &'static str {
    match Request::parse(wish) {
        Err(Error::BadRequest { field, .. }) => field,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken: {wish:?}"),
    }
}

/// What the request's own key says of its signature.
fn verifies(material: &Material, request: &CertReq) -> bool {
    let (info, signature) = (request.info.to_der().unwrap(), request.signature.raw_bytes());
    let whole = Message::Whole(&info);
    match material {
        Material::Ed25519(key) => key.public().verify(&info, signature),
        Material::Ecdsa(key) => key
            .public()
            .verify(key.curve().default_digest(), ecdsa::Encoding::Asn1, whole, signature)
            .unwrap(),
        Material::Rsa(key) => key.public().verify_pkcs1v15(Digest::Sha256, whole, signature).unwrap(),
        _ => false,
    }
}

#[test]
fn every_type_that_signs_certificates_signs_what_was_asked_for() {
    let ecdsa = |curve| {
        let key = ecdsa::PrivateKey::generate(curve).unwrap();
        let spki = key.public().to_spki_der();
        (Material::Ecdsa(key), spki)
    };
    let rsa = rsa::PrivateKey::generate(Size::Rsa2048).unwrap();
    let rsa_spki = rsa.public().to_spki_der();
    let keys = vec![
        ed25519(),
        ecdsa(ecdsa::Curve::P256),
        ecdsa(ecdsa::Curve::P384),
        ecdsa(ecdsa::Curve::P521),
        (Material::Rsa(rsa), rsa_spki),
    ];
    for key in keys {
        let request =
            signed(&wish("CN=mail.example.com,O=Example", &["mail.example.com", "192.0.2.1"]), &key);
        assert_eq!(request.info.subject.to_string(), "CN=mail.example.com,O=Example");
        assert_eq!(request.info.public_key.to_der().unwrap(), key.1);
        assert!(verifies(&key.0, &request));
    }
}

#[test]
fn other_types_sign_none() {
    let key = agreement::PrivateKey::generate(agreement::Curve::P256).unwrap();
    let spki = key.public().to_spki_der();
    let request = || Request::parse(&wish("CN=x", &[])).unwrap();
    assert!(request().sign(&Material::Agreement(key), &spki).is_none());
    assert!(request().sign(&Material::MlDsa(ml_dsa::PrivateKey::generate().unwrap()), &spki).is_none());
}

fn extensions(request: &CertReq) -> Vec<Extension> {
    let attributes = request.info.attributes.iter();
    let found: Vec<_> = attributes.filter(|it| it.oid == ExtensionReq::OID).collect();
    found
        .iter()
        .flat_map(|it| it.values.iter())
        .flat_map(|value: &Any| value.decode_as::<Vec<Extension>>().unwrap())
        .collect()
}

#[test]
fn names_are_critical_where_there_is_no_subject() {
    let key = ed25519();
    let alone = signed(&wish("", &["example.com"]), &key);
    assert!(extensions(&alone)[0].critical && alone.info.subject.is_empty());
    assert!(!extensions(&signed(&wish("CN=x", &["example.com"]), &key))[0].critical);
    assert!(extensions(&signed(&wish("CN=x", &[]), &key)).is_empty());
}

#[test]
fn a_template_gives_its_subject_and_extensions_and_nothing_else() {
    let (other, ours) = (ed25519(), ed25519());
    let pem = Request::parse(&wish("CN=x,O=y", &["example.com"])).unwrap().sign(&other.0, &other.1);
    let mut from = CertReq::from_pem(pem.unwrap().unwrap()).unwrap();
    let password = Attribute {
        oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7"),
        values: SetOfVec::from_iter([Any::new(x509_cert::der::Tag::Utf8String, b"secret".to_vec()).unwrap()])
            .unwrap(),
    };
    from.info.attributes.insert(password).unwrap();
    for text in [Bytes::from(from.to_der().unwrap()), Bytes::from(from.to_pem(LineEnding::CRLF).unwrap())] {
        let made = signed(&Wish { template: text, ..Wish::default() }, &ours);
        assert_eq!(made.info.subject, from.info.subject);
        assert_eq!(made.info.attributes.len(), 1, "no challenge password");
        assert_eq!(extensions(&made), extensions(&from));
        assert_eq!(made.info.public_key.to_der().unwrap(), ours.1);
        assert!(verifies(&ours.0, &made));
    }
}

/// A template whose request for extensions is what is given.
fn asking(values: Vec<Any>, times: usize) -> Wish {
    let key = ed25519();
    let mut from = signed(&wish("CN=x", &["example.com"]), &key);
    let values = SetOfVec::try_from(values).unwrap();
    let asked = Attribute { oid: ExtensionReq::OID, values };
    from.info.attributes = SetOfVec::from_iter([asked.clone()]).unwrap();
    if times == 2 {
        let other =
            Attribute { values: SetOfVec::from_iter([any(&extensions_of(&[names()]))]).unwrap(), ..asked };
        from.info.attributes.insert(other).unwrap();
    }
    Wish { template: Bytes::from(from.to_der().unwrap()), ..Wish::default() }
}

fn any(der: &[u8]) -> Any {
    Any::from_der(der).unwrap()
}

fn names() -> Extension {
    let key = ed25519();
    extensions(&signed(&wish("CN=x", &["example.com"]), &key)).remove(0)
}

fn extensions_of(extensions: &[Extension]) -> Vec<u8> {
    extensions.to_vec().to_der().unwrap()
}

#[test]
fn what_a_template_asks_for_is_a_list_of_extensions_each_once() {
    let (names, usage) = (
        names(),
        Extension {
            extn_id: ObjectIdentifier::new_unwrap("2.5.29.15"),
            critical: true,
            extn_value: OctetString::new([3, 2, 7, 128]).unwrap(),
        },
    );
    let good = extensions_of(&[names.clone(), usage.clone()]);
    assert!(Request::parse(&asking(vec![any(&good)], 1)).is_ok());
    for odd in [
        asking(vec![any(&extensions_of(&[names.clone(), names.clone()]))], 1),
        asking(vec![any(&[0x30, 0])], 1),
        asking(vec![any(&[5, 0])], 1),
        asking(vec![], 1),
        asking(vec![any(&extensions_of(&[names])), any(&extensions_of(&[usage]))], 1),
        asking(vec![any(&good)], 2),
    ] {
        assert_eq!(refused(&odd), "template");
    }
}

#[test]
fn a_templates_subject_is_what_it_says_it_is() {
    let key = ed25519();
    let mut from = signed(&wish("CN=example", &[]), &key);
    let der = from.to_der().unwrap();
    let at = der.windows(7).position(|part| part == b"example").unwrap();
    for odd in [*b"exam\nle", *b"exam\0le", *b"exam\xffle"] {
        let mut changed = der.clone();
        changed[at..at + 7].copy_from_slice(&odd);
        let wish = Wish { template: changed.into(), ..Wish::default() };
        assert_eq!(refused(&wish), "template", "{odd:?}");
    }
    from.info.subject = Name::default();
    let nameless = Wish { template: from.to_der().unwrap().into(), ..Wish::default() };
    assert_eq!(refused(&nameless), "template");
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(refused(&wish("", &[])), "subject");
    assert_eq!(refused(&wish("example.com", &[])), "subject");
    assert_eq!(refused(&wish("CN=x", &["a b"])), "alternative_names");
    assert_eq!(refused(&wish("CN=x", &["a.example"; 101])), "alternative_names");
    assert_eq!(refused(&template("nonsense")), "template");
    assert_eq!(refused(&template("0nonsense")), "template");
    assert_eq!(refused(&template(&"x".repeat(70_000))), "template");
    let both = Wish { subject: "CN=x".to_owned(), ..template("x") };
    assert_eq!(refused(&both), "template");
}
