use std::net::IpAddr;

use jiff::Timestamp;
use proptest::prelude::*;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType, date_time_ymd};

use super::{
    CertificateError, MAX_CERTIFICATE_LENGTH, MAX_CERTIFICATES, Parsed, days_left, pem, read, split,
};
use crate::{
    chain::{Roots, judge},
    test_authority::{Authority, NAME, openssl, server, today},
};

#[test]
fn a_certificate_is_told_in_words() {
    let root = Authority::root("Root, of \"Tests\"");
    let mut params = server();
    params.subject_alt_names.push(SanType::IpAddress("2001:db8::7".parse::<IpAddr>().unwrap()));
    params.subject_alt_names.push(SanType::IpAddress("192.0.2.7".parse::<IpAddr>().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("mail@example.com".try_into().unwrap()));
    params.serial_number = Some(vec![0x7f, 1, 2].into());
    let told = read(&root.sign(&params), today()).unwrap();
    assert_eq!(told.subject, format!("CN={NAME}"));
    assert_eq!(told.issuer, "CN=Root\\, of \\\"Tests\\\"");
    assert_eq!(told.serial, "7f0102");
    assert_eq!(told.alternative_names, [NAME, "2001:db8::7", "192.0.2.7", "mail@example.com"]);
    assert_eq!(told.not_before, "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(told.days_left, 199);
    assert_eq!((told.key_type.as_str(), told.key_bits), ("EC P-256", 256));
    assert_eq!(told.signature_algorithm, "ECDSA-SHA256");
    assert!(!told.is_ca && !told.is_self_signed && !told.must_staple);
    let root = read(&root.der(), today()).unwrap();
    assert!(root.is_ca && root.is_self_signed);
}

#[test]
fn keys_and_algorithms_have_their_names() {
    let signed = |key: KeyPair| read(server().self_signed(&key).unwrap().der(), today()).unwrap();
    for (algorithm, key_type, bits, signature) in [
        (&rcgen::PKCS_ED25519, "Ed25519", 256, "Ed25519"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "EC P-384", 384, "ECDSA-SHA384"),
        (&rcgen::PKCS_ECDSA_P521_SHA512, "EC P-521", 521, "ECDSA-SHA512"),
        (&rcgen::PKCS_RSA_SHA256, "RSA", 2048, "SHA256-RSA"),
    ] {
        let told = signed(KeyPair::generate_for(algorithm).unwrap());
        assert_eq!(
            (told.key_type.as_str(), told.key_bits, told.signature_algorithm.as_str()),
            (key_type, bits, signature)
        );
        assert!(told.is_self_signed);
    }
}

#[test]
fn what_a_library_no_longer_makes_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &str| {
        openssl(
            folder.path(),
            &format!("req -x509 -nodes -keyout key.pem -out it.pem -days 9 -subj /CN=old {arguments}"),
        );
        let der = split(&std::fs::read(folder.path().join("it.pem")).unwrap()).unwrap();
        read(&der[0], today()).unwrap()
    };
    let weak = told("-newkey rsa:1024 -sha1");
    assert_eq!(
        (weak.key_type.as_str(), weak.key_bits, weak.signature_algorithm.as_str(), weak.is_self_signed),
        ("RSA", 1024, "SHA1-RSA", true)
    );
    let tiny = told("-newkey rsa:512 -md5");
    assert_eq!(
        (tiny.key_bits, tiny.signature_algorithm.as_str(), tiny.is_self_signed),
        (512, "MD5-RSA", true)
    );
    let pss = told("-newkey rsa-pss -pkeyopt rsa_keygen_bits:2048 -sigopt rsa_padding_mode:pss");
    assert_eq!(
        (pss.key_type.as_str(), pss.key_bits, pss.signature_algorithm.as_str(), pss.is_self_signed),
        ("RSA-PSS", 2048, "SHA256-RSA-PSS", true)
    );
    let curve = told("-newkey ec -pkeyopt ec_paramgen_curve:secp256k1");
    assert_eq!((curve.key_type.as_str(), curve.key_bits, curve.is_self_signed), ("EC secp256k1", 256, true));
    let goldilocks = told("-newkey ed448");
    assert_eq!((goldilocks.key_type.as_str(), goldilocks.key_bits), ("Ed448", 456));
}

#[test]
fn fingerprints_are_those_of_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let der = Authority::root("Root").sign(&server());
    std::fs::write(folder.path().join("it.pem"), pem(&der)).unwrap();
    openssl(folder.path(), "x509 -in it.pem -outform DER -out it.der");
    assert_eq!(std::fs::read(folder.path().join("it.der")).unwrap(), der, "our PEM is read by openssl");
    let output = std::process::Command::new("openssl")
        .args(["x509", "-in", "it.pem", "-noout", "-fingerprint", "-sha256"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    let theirs = theirs.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    assert_eq!(read(&der, today()).unwrap().sha256, theirs);
}

#[test]
fn a_server_that_must_staple_is_known() {
    let mut params = server();
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]));
    assert!(read(&Authority::root("Root").sign(&params), today()).unwrap().must_staple);
}

#[test]
fn names_that_would_lie_on_a_terminal_are_written_as_bytes() {
    let mut params = server();
    params.distinguished_name.push(DnType::OrganizationName, "good\u{1b}[2Jbad\u{202e}txt\u{61c}");
    let told = read(&Authority::root("Root").sign(&params), today()).unwrap();
    assert!(told.subject.contains("O=good\\1B[2Jbad\\E2\\80\\AEtxt\\D8\\9C"), "{}", told.subject);
}

#[test]
fn days_are_rounded_down() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(days_left(at("2026-06-16T12:00:00Z"), today()), 1);
    assert_eq!(days_left(at("2026-06-16T11:59:59Z"), today()), 0);
    assert_eq!(days_left(at("2026-06-15T11:59:59Z"), today()), -1);
}

#[test]
fn a_certificate_without_end_is_read() {
    let mut params = server();
    params.not_after = date_time_ymd(9999, 12, 31);
    let told = read(&Authority::root("Root").sign(&params), today()).unwrap();
    assert_eq!(told.not_after.to_string().split('-').next(), Some("9999"));
}

#[test]
fn files_of_certificates_are_split() {
    let root = Authority::root("Root");
    let (one, two) = (root.sign(&server()), root.der());
    let file = format!("some words\n{}\n{}", pem(&one), pem(&two));
    assert_eq!(split(file.as_bytes()).unwrap(), [one.clone(), two]);
    assert_eq!(split(&one).unwrap(), std::slice::from_ref(&one), "as DER");
    assert_eq!(split(b"hello"), Err(CertificateError::None));
    assert_eq!(split(b""), Err(CertificateError::None));
    let many = pem(&one).repeat(MAX_CERTIFICATES + 1);
    assert_eq!(split(many.as_bytes()), Err(CertificateError::TooMany(MAX_CERTIFICATES)));
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(split(bad.as_bytes()), Err(CertificateError::Malformed(_))));
    assert!(matches!(
        split(b"-----BEGIN CERTIFICATE-----\nAAAA\n"),
        Err(CertificateError::Pem(_) | CertificateError::None)
    ));
    let followed = [one, vec![0]].concat();
    assert!(matches!(Parsed::read(&followed).err(), Some(CertificateError::Malformed(_))));
    assert_eq!(
        Parsed::read(&vec![0x30; MAX_CERTIFICATE_LENGTH + 1]).err(),
        Some(CertificateError::TooLong(MAX_CERTIFICATE_LENGTH + 1))
    );
}

fn sample() -> Vec<u8> {
    let mut params: CertificateParams = server();
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]));
    Authority::root("Root").sign(&params)
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), staple in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(judge(&[bytes.clone(), bytes.clone()], Some(&staple), NAME, today(), &Roots::none()));
        drop(split(&bytes));
    }

    #[test]
    fn no_change_of_a_certificate_makes_it_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sample);
        let mut bytes = SAMPLE.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        drop(judge(&[bytes.clone(), SAMPLE.clone()], None, NAME, today(), &Roots::none()));
        bytes.truncate(cut.index(bytes.len()));
        drop(judge(&[SAMPLE.clone(), bytes], None, NAME, today(), &Roots::none()));
    }
}

/// A certificate whose identifiers of algorithms, of the name's parts and of an extension are one number of this many bytes each.
fn with_long_identifiers(bytes: usize) -> Vec<u8> {
    use crate::der::wrapped;
    let identifier = wrapped(6, &[vec![0x2a, 0x81], vec![0xff; bytes], vec![0x7f]].concat());
    let algorithm = wrapped(0x30, &identifier);
    let text = wrapped(12, b"x");
    let name = wrapped(0x30, &wrapped(0x31, &wrapped(0x30, &[identifier.clone(), text].concat())));
    let validity = wrapped(0x30, &[wrapped(23, b"260101000000Z"), wrapped(23, b"270101000000Z")].concat());
    let bits = wrapped(3, &[0, 1, 2, 3]);
    let key = wrapped(0x30, &[algorithm.clone(), bits.clone()].concat());
    let extension = wrapped(0x30, &[identifier, wrapped(4, &[5, 0])].concat());
    let extensions = wrapped(0xa3, &wrapped(0x30, &extension));
    let version = wrapped(0xa0, &[2, 1, 2]);
    let serial = vec![2, 1, 1];
    let parts = [version, serial, algorithm.clone(), name.clone(), validity, name, key, extensions];
    wrapped(0x30, &[wrapped(0x30, &parts.concat()), algorithm, bits].concat())
}

#[test]
fn long_identifiers_take_no_time_and_little_room() {
    // Together as long as what a server may show, whose parts are read many times.
    let chain = vec![with_long_identifiers(9_000); 4];
    let started = std::time::Instant::now();
    let judged = judge(&chain, None, NAME, today(), &Roots::none());
    let took = started.elapsed();
    println!("{} certificates with long identifiers: {took:?}", judged.certificates.len());
    assert_eq!(judged.certificates.len(), 4, "{:?}", judged.problems);
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    let told = &judged.certificates[0];
    for told in [&told.subject, &told.key_type, &told.signature_algorithm] {
        assert!(told.len() < 1100, "{} characters", told.len());
    }
}
