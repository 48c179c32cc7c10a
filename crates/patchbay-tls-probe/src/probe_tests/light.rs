//! The probe that wants to know nothing but the certificates.

use super::{
    servers::{self, OpenSsl, certified, fake},
    *,
};

/// Connections that it makes at most to a server that speaks TLS 1.2 or 1.3; others are asked by version.
const FEW: u32 = 4;

async fn light(address: SocketAddr, start_tls: Option<StartTls>, options: &Options) -> Report {
    let target = Target::parse(&address.to_string(), start_tls, Some("probe.example")).unwrap();
    let report = certificates(&target, &Guard::open(), options).await.unwrap();
    println!("{address}: {:?} over {} connections", report.took, report.connections);
    report
}

fn shown(report: &Report) -> Vec<u8> {
    let chain = report.chain.as_ref().unwrap_or_else(|| panic!("{}", report.failure_message));
    assert_eq!((chain.certificates.len(), report.failure), (1, None));
    chain.certificates[0].pem.clone().into_bytes()
}

#[tokio::test]
async fn certificates_are_shown_by_servers_of_every_version() {
    let certified = certified(&["rsa:2048"]);
    let expected = crate::certificate::split(&certified.certificate()).unwrap();
    for version in ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"] {
        let server = OpenSsl::start(&certified, &[version, "-cipher", ALL]).await;
        let report = light(server.address, None, &options()).await;
        assert_eq!(crate::certificate::split(&shown(&report)).unwrap(), expected, "{version}");
        let is_current = matches!(version, "-tls1_2" | "-tls1_3");
        assert!(!is_current || report.connections <= FEW, "{version}: {} connections", report.connections);
        assert!(report.grade.is_none() && report.findings.is_empty(), "nothing is graded");
    }
}

#[tokio::test]
async fn certificates_are_shown_after_the_words_of_a_protocol() {
    let certified = certified(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let words = &["220 mail.example\r\n", "250-mail.example\r\n250 STARTTLS\r\n", "220 go on\r\n"];
    let address = servers::rustls(&certified, words).await;
    let report = light(address, Some(StartTls::Smtp), &options()).await;
    shown(&report);
    assert!(report.connections <= FEW, "{} connections", report.connections);
}

#[tokio::test]
async fn what_a_light_probe_cannot_reach_is_told_apart() {
    let failed = async |address, options| {
        let report = light(address, None, &options).await;
        assert!(report.chain.is_none() && !report.failure_message.is_empty());
        report.failure.unwrap()
    };
    let nobody = patchbay_testkit::ports::free_address();
    assert_eq!(failed(nobody, options()).await, Failure::ConnectionRefused);
    let http = fake(async |mut stream| {
        let _closed = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _closed = stream.read(&mut [0; 4096]).await;
    });
    assert_eq!(failed(http.await, options()).await, Failure::NotTls);
    let refusing = fake(async |mut stream| {
        let _count = stream.read(&mut [0; 4096]).await;
        let _closed = stream.write_all(&[21, 3, 1, 0, 2, 2, 40]).await;
        let _closed = stream.read(&mut [0; 4096]).await;
    });
    assert_eq!(failed(refusing.await, options()).await, Failure::HandshakeRefused);
    let silent = fake(async |mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    assert_eq!(failed(silent.await, impatient()).await, Failure::TimedOut);
    let guard = Guard::new(&patchbay_egress::EgressConfig::default(), "tls_probe.egress");
    let local = Target::parse("127.0.0.1:1", None, None).unwrap();
    let forbidden = certificates(&local, &guard, &options()).await.unwrap_err();
    assert!(forbidden.to_string().contains("tls_probe.egress.allow"), "{forbidden}");
}
