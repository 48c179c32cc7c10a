use std::time::Duration;

use super::grade;
use crate::{
    chain::{Roots, judge},
    report::{
        Chain, Finding, Grade, Negotiated, ProtocolSupport, Report, Severity, StartTls, StrictTransport,
        Suite, Version,
    },
    suites,
    test_authority::{Authority, NAME, server, today},
};

const MODERN: &[&str] = &["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];
const GOOD: &[&str] = &["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

fn suite(name: &str) -> Suite {
    let suite = suites::Suite::by_name(name).unwrap_or_else(|| panic!("no suite {name}"));
    Suite { name: suite.name, number: suite.number, severity: suite.severity() }
}

fn speaks(version: Version, names: &[&str]) -> ProtocolSupport {
    ProtocolSupport {
        version,
        is_supported: true,
        suites: names.iter().map(|name| suite(name)).collect(),
        has_server_order: true,
    }
}

fn trusted() -> Chain {
    let root = Authority::root("Root");
    judge(&[root.sign(&server())], None, NAME, today(), &root.roots())
}

/// A server of today: TLS 1.2 and 1.3, good suites, a trusted certificate, HSTS.
fn best() -> Report {
    Report {
        host: NAME.to_owned(),
        port: 443,
        address: None,
        start_tls: StartTls::None,
        server_name: NAME.to_owned(),
        failure: None,
        failure_message: String::new(),
        protocols: vec![speaks(Version::Tls12, GOOD), speaks(Version::Tls13, MODERN)],
        groups: vec!["X25519MLKEM768", "x25519", "secp256r1"],
        dh_bits: None,
        alpn: Vec::new(),
        negotiated: Some(Negotiated {
            version: Version::Tls13,
            suite: MODERN[0].to_owned(),
            group: "x25519".to_owned(),
            alpn: String::new(),
        }),
        chain: Some(trusted()),
        strict_transport: StrictTransport::Present { max_age_seconds: 31_536_000 },
        grade: None,
        findings: Vec::new(),
        took: Duration::ZERO,
        connections: 0,
        incomplete: Vec::new(),
    }
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

/// A server that takes these suites too, with TLS 1.2.
fn with_suites(names: &[&str]) -> Report {
    let mut report = best();
    report.protocols[0].suites.extend(names.iter().map(|name| suite(name)));
    report
}

#[test]
fn the_best_has_nothing_against_it() {
    let (grade, findings) = grade(&best());
    assert_eq!((grade, codes(&findings)), (Some(Grade::APlus), vec![]));
}

#[test]
fn there_is_no_a_plus_without_hsts_and_it_says_why() {
    for (answer, start_tls, words) in [
        (StrictTransport::NotAsked, StartTls::None, "no HTTP answer"),
        (StrictTransport::NotAsked, StartTls::Smtp, "other protocols"),
        (StrictTransport::Absent, StartTls::None, "not sent"),
        (StrictTransport::Present { max_age_seconds: 86_400 }, StartTls::None, "1 days only"),
    ] {
        let (grade, findings) = grade(&Report { strict_transport: answer, start_tls, ..best() });
        assert_eq!((grade, findings.len()), (Some(Grade::A), 1));
        assert!(findings[0].message.contains(words), "{}", findings[0].message);
    }
}

#[test]
fn versions_cap_the_grade() {
    let with = |version| {
        let mut report = best();
        report.protocols.insert(0, speaks(version, &["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]));
        let (grade, findings) = grade(&report);
        (grade.unwrap(), findings[0].code)
    };
    assert_eq!(with(Version::Tls11), (Grade::B, "TLS11_SUPPORTED"));
    assert_eq!(with(Version::Tls10), (Grade::B, "TLS10_SUPPORTED"));
    assert_eq!(with(Version::Ssl30), (Grade::C, "SSL30_SUPPORTED"));
    let mut old = best();
    old.protocols = vec![speaks(Version::Tls10, &["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"])];
    old.negotiated = None;
    let (grade_of_old, findings) = grade(&old);
    assert_eq!((grade_of_old, findings[0].code), (Some(Grade::C), "TLS12_MISSING"));
    let mut without_newest = best();
    without_newest.protocols.pop();
    assert_eq!(grade(&without_newest).0, Some(Grade::A));
}

#[test]
fn suites_cap_the_grade() {
    for (name, expected, code) in [
        ("TLS_RSA_WITH_NULL_SHA", Grade::F, "NULL_SUITES"),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Grade::F, "ANONYMOUS_SUITES"),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", Grade::F, "EXPORT_SUITES"),
        ("TLS_RSA_WITH_DES_CBC_SHA", Grade::F, "DES_SUITES"),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Grade::C, "RC4_SUITES"),
        ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Grade::C, "SMALL_BLOCK_SUITES"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", Grade::APlus, "STATIC_KEY_EXCHANGE"),
    ] {
        let (grade, findings) = grade(&with_suites(&[name]));
        assert_eq!(grade, Some(expected), "{name}: {findings:?}");
        assert!(codes(&findings).contains(&code), "{name}: {findings:?}");
    }
}

#[test]
fn what_a_current_client_gets_counts_for_forward_secrecy() {
    let mut report = with_suites(&["TLS_RSA_WITH_AES_128_GCM_SHA256"]);
    report.protocols.pop();
    report.negotiated = Some(Negotiated {
        version: Version::Tls12,
        suite: "TLS_RSA_WITH_AES_128_GCM_SHA256".to_owned(),
        group: String::new(),
        alpn: String::new(),
    });
    let (grade, findings) = grade(&report);
    assert_eq!((grade, findings[0].code), (Some(Grade::B), "NO_FORWARD_SECRECY"));
}

#[test]
fn old_encryption_and_small_groups_cap_the_grade() {
    let mut report = best();
    report.protocols = vec![speaks(Version::Tls12, &["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"])];
    report.negotiated = None;
    let (without_aead, findings) = grade(&report);
    assert_eq!((without_aead, findings[0].code), (Some(Grade::B), "NO_AUTHENTICATED_ENCRYPTION"));
    for (bits, expected) in [(512, Grade::F), (1024, Grade::B), (2048, Grade::APlus)] {
        let report = Report { dh_bits: Some(bits), ..with_suites(&["TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"]) };
        assert_eq!(grade(&report).0, Some(expected), "{bits} bits");
    }
}

#[test]
fn trust_comes_before_all_and_says_what_would_be_without_it() {
    let root = Authority::root("Root");
    let own = [root.sign(&server())];
    let unknown = Report { chain: Some(judge(&own, None, NAME, today(), &Roots::none())), ..best() };
    let (of_unknown, findings) = grade(&unknown);
    assert_eq!((of_unknown, findings[0].code), (Some(Grade::T), "MISSING_INTERMEDIATE"));
    let without = findings.iter().find(|finding| finding.code == "GRADE_WITHOUT_TRUST").unwrap();
    assert!(without.message.ends_with("would be A"), "{}", without.message);
    let mismatch =
        Report { chain: Some(judge(&own, None, "other.example.com", today(), &root.roots())), ..best() };
    let (of_mismatch, findings) = grade(&mismatch);
    assert_eq!((of_mismatch, findings[0].code), (Some(Grade::M), "HOST_MISMATCH"));
    let both =
        Report { chain: Some(judge(&own, None, "other.example.com", today(), &Roots::none())), ..best() };
    assert_eq!(grade(&both).0, Some(Grade::T));
    assert_eq!(grade(&Report { chain: None, ..best() }).0, Some(Grade::T));
}

#[test]
fn a_warning_of_the_chain_takes_the_plus() {
    let mut report = best();
    let problem = Finding::new(Severity::Warning, "CERTIFICATE_ENDS_SOON", "soon");
    report.chain.as_mut().unwrap().problems.push(problem);
    assert_eq!(grade(&report).0, Some(Grade::A));
}

#[test]
fn nothing_spoken_is_not_graded() {
    let report = Report {
        protocols: vec![ProtocolSupport {
            version: Version::Tls12,
            is_supported: false,
            suites: Vec::new(),
            has_server_order: false,
        }],
        ..best()
    };
    assert_eq!(grade(&report).0, None);
}

#[test]
fn a_probe_that_was_cut_short_is_no_a_plus() {
    let (grade, findings) = grade(&Report { incomplete: vec!["suites of TLS 1.0".to_owned()], ..best() });
    assert_eq!((grade, codes(&findings)), (Some(Grade::A), vec!["INCOMPLETE"]));
}

#[test]
fn reasons_come_worst_first() {
    let mut report = with_suites(&["TLS_RSA_WITH_NULL_SHA", "TLS_ECDHE_RSA_WITH_RC4_128_SHA"]);
    report.protocols.insert(0, speaks(Version::Tls11, &["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"]));
    let caps: Vec<_> = grade(&report).1.into_iter().map(|finding| finding.caps_at).collect();
    assert!(caps.is_sorted_by(|a, b| a >= b), "{caps:?}");
    assert_eq!(caps[0], Some(Grade::F));
}
