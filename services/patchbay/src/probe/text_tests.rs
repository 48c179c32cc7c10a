use super::report;
use patchbay_tls_probe::report::{
    Certificate, Chain, Failure, Finding, Grade, Negotiated, OcspStaple, OcspStatus, ProtocolSupport, Report,
    Severity, StartTls, StrictTransport, Suite, Version,
};
use std::time::Duration;

fn certificate(subject: &str, issuer: &str, days_left: i32) -> Certificate {
    Certificate {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        serial: "01".to_owned(),
        alternative_names: Vec::new(),
        not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
        not_after: "2027-01-01T00:00:00Z".parse().unwrap(),
        days_left,
        key_type: "EC P-256".to_owned(),
        key_bits: 256,
        signature_algorithm: "ECDSA-SHA256".to_owned(),
        sha256: "ab".to_owned(),
        public_key_sha256: "cd".to_owned(),
        is_ca: false,
        is_self_signed: false,
        ocsp_urls: Vec::new(),
        sct_count: 0,
        must_staple: false,
        pem: String::new(),
    }
}

fn finding(code: &'static str, caps_at: Option<Grade>) -> Finding {
    Finding { severity: Severity::Warning, code, message: "words.".to_owned(), caps_at }
}

fn found() -> Report {
    let own = Certificate {
        alternative_names: (1..=10).map(|n| format!("{n}.example.com")).collect(),
        ..certificate("CN=example.com", "CN=Middle", -3)
    };
    let suites = vec![
        Suite { name: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", number: 0xc02b, severity: Severity::Good },
        Suite { name: "TLS_RSA_WITH_RC4_128_SHA", number: 5, severity: Severity::Critical },
    ];
    let capped = finding("CERTIFICATE_EXPIRED", Some(Grade::T));
    Report {
        host: "example.com".to_owned(),
        port: 21,
        address: Some("[2001:db8::1]:21".parse().unwrap()),
        start_tls: StartTls::Ftp,
        server_name: "ftp.example.com".to_owned(),
        failure: None,
        failure_message: String::new(),
        protocols: vec![
            ProtocolSupport {
                version: Version::Tls11,
                is_supported: false,
                suites: Vec::new(),
                has_server_order: false,
            },
            ProtocolSupport { version: Version::Tls12, is_supported: true, suites, has_server_order: true },
        ],
        groups: vec!["x25519", "secp256r1"],
        dh_bits: None,
        alpn: vec!["ftp".to_owned()],
        negotiated: Some(Negotiated {
            version: Version::Tls12,
            suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned(),
            group: "x25519".to_owned(),
            alpn: String::new(),
        }),
        chain: Some(Chain {
            certificates: vec![own, certificate("CN=Middle", "CN=Root", 200)],
            is_in_order: true,
            is_trusted: false,
            root: "CN=Root".to_owned(),
            problems: vec![capped.clone(), finding("ROOT_SENT", None)],
            ocsp: OcspStaple { is_stapled: true, status: Some(OcspStatus::Good), ..OcspStaple::default() },
        }),
        strict_transport: StrictTransport::NotAsked,
        grade: Some(Grade::T),
        findings: vec![capped],
        took: Duration::from_millis(120),
        connections: 64,
        incomplete: vec!["the groups".to_owned()],
    }
}

#[test]
fn a_report_is_told_line_by_line() {
    let expected = "\
example.com:21 at 2001:db8::1, asked for ftp.example.com, by AUTH TLS of FTP (0.12 s, 64 connections)

TLS 1.1  no
TLS 1.2  yes, 2 suites, in the server's order
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  critical  TLS_RSA_WITH_RC4_128_SHA

Groups          x25519, secp256r1
Protocols       ftp
Current client  TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, x25519

Certificates (not trusted)
  CN=example.com
    ended 3 days ago, 2026-01-01 to 2027-01-01; EC P-256, 256 bits; signed with ECDSA-SHA256
    for 1.example.com, 2.example.com, 3.example.com, 4.example.com, 5.example.com, 6.example.com, 7.example.com, 8.example.com and 2 more
    SHA-256 ab
  └─ CN=Middle
       200 days left, 2026-01-01 to 2027-01-01; EC P-256, 256 bits; signed with ECDSA-SHA256
       SHA-256 ab
     └─ CN=Root (a root that clients have)
  OCSP staple: good, signature not checked

About the certificates
  warning   ROOT_SENT
            words.

Reasons for the grade
  warning   CERTIFICATE_EXPIRED, at best T
            words.

Not found out in time: the groups

Grade T";
    assert_eq!(report(&found()), expected);
}

#[test]
fn a_failure_is_told_in_words() {
    let failed = Report {
        failure: Some(Failure::ConnectionRefused),
        failure_message: "nobody listens".to_owned(),
        start_tls: StartTls::None,
        host: "::1".to_owned(),
        server_name: "::1".to_owned(),
        address: Some("[::1]:443".parse().unwrap()),
        port: 443,
        ..found()
    };
    assert_eq!(report(&failed), "[::1]:443 (0.12 s, 64 connections)\n\nNot probed: nobody listens");
}
