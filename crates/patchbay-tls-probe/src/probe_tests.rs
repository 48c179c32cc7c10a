use super::*;
use crate::report::Failure;
use servers::{OpenSsl, certified, fake};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[path = "probe_tests/hostile.rs"]
mod hostile;
#[path = "probe_tests/light.rs"]
mod light;
#[path = "probe_tests/odd.rs"]
mod odd;
#[path = "probe_tests/servers.rs"]
mod servers;

fn options() -> Options {
    Options::new(Roots::none(), "2026-01-01T00:00:00Z".parse().unwrap())
}

async fn probed_with(text: &str, start_tls: Option<StartTls>, options: &Options) -> Report {
    let target = Target::parse(text, start_tls, Some("probe.example")).unwrap();
    let report = probe(&target, &Guard::open(), options).await.unwrap();
    println!(
        "{text}: {:?} over {} connections; incomplete: {:?}",
        report.took, report.connections, report.incomplete
    );
    report
}

async fn probed(address: SocketAddr) -> Report {
    let report = probed_with(&address.to_string(), None, &options()).await;
    assert_eq!((report.failure, report.incomplete.as_slice()), (None, &[][..]), "{}", report.failure_message);
    report
}

fn spoken(report: &Report) -> Vec<Version> {
    report.protocols.iter().filter(|one| one.is_supported).map(|one| one.version).collect()
}

fn of(report: &Report, version: Version) -> &ProtocolSupport {
    report.protocols.iter().find(|one| one.version == version).unwrap()
}

fn names(report: &Report, version: Version) -> Vec<&'static str> {
    of(report, version).suites.iter().map(|suite| suite.name).collect()
}

/// What the server's own library says that it can take of a version with an RSA certificate.
fn takes_with_rsa(version: &str, ciphers: &str) -> BTreeSet<String> {
    let output =
        Command::new("openssl").args(["ciphers", "-v", "-stdname", "-s", version, ciphers]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let usable = text
        .lines()
        .filter(|line| ["Au=RSA", "Au=None"].iter().any(|auth| line.contains(auth)) && !line.contains("PSK"));
    let names: BTreeSet<_> = usable.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(!names.is_empty(), "{version} {ciphers}");
    names
}

const ALL: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";

#[tokio::test]
async fn all_suites_of_old_versions_are_found() {
    let certified = certified(&["rsa:2048"]);
    for (flag, version) in
        [("-tls1", Version::Tls10), ("-tls1_1", Version::Tls11), ("-tls1_2", Version::Tls12)]
    {
        let server = OpenSsl::start(&certified, &[flag, "-cipher", ALL]).await;
        let report = probed(server.address).await;
        assert_eq!(spoken(&report), [version]);
        let found: BTreeSet<_> = names(&report, version).into_iter().map(str::to_owned).collect();
        assert_eq!(found, takes_with_rsa(flag, ALL));
        println!("{version}: {} suites, smallest prime {:?}", found.len(), report.dh_bits);
        assert!(!of(&report, version).has_server_order);
        assert!(report.dh_bits.is_some_and(|bits| bits >= 1024), "{:?}", report.dh_bits);
        assert_eq!(report.chain.as_ref().unwrap().certificates.len(), 1, "the chain comes in the clear too");
        assert!(report.grade.is_some());
    }
}

#[tokio::test]
async fn the_order_of_a_server_is_found_and_told_apart_from_none() {
    let certified = certified(&["rsa:2048"]);
    let order = "AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256:CAMELLIA128-SHA256:AES128-SHA256:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=0";
    let in_order = [
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ];
    let suites13 = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    let arguments = ["-cipher", order, "-ciphersuites", suites13];
    let with_order = OpenSsl::start(&certified, &[&arguments[..], &["-serverpref"]].concat()).await;
    let report = probed(with_order.address).await;
    assert_eq!(spoken(&report), [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13]);
    assert_eq!(names(&report, Version::Tls12), in_order);
    assert!(of(&report, Version::Tls12).has_server_order && of(&report, Version::Tls13).has_server_order);
    assert_eq!(names(&report, Version::Tls13), ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]);
    assert_eq!(names(&report, Version::Tls10), ["TLS_RSA_WITH_AES_256_CBC_SHA"]);
    assert!(!of(&report, Version::Tls10).has_server_order, "one suite has no order");

    let without = OpenSsl::start(&certified, &arguments).await;
    let report = probed(without.address).await;
    assert!(!of(&report, Version::Tls12).has_server_order && !of(&report, Version::Tls13).has_server_order);
    assert_eq!(
        names(&report, Version::Tls12).into_iter().collect::<BTreeSet<_>>(),
        in_order.into_iter().collect()
    );
}

#[tokio::test]
async fn groups_are_found_with_every_kind_of_certificate() {
    for kind in [&["rsa:2048"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["ed25519"]] {
        let certified = certified(kind);
        let both = OpenSsl::start(
            &certified,
            &["-groups", "X448:P-256:X25519:secp521r1:ffdhe2048", "-cipher", "ALL"],
        )
        .await;
        let report = probed(both.address).await;
        let found: BTreeSet<_> = report.groups.iter().copied().collect();
        assert_eq!(
            found,
            BTreeSet::from(["x448", "secp256r1", "x25519", "secp521r1", "ffdhe2048"]),
            "{kind:?}"
        );
        let negotiated = report.negotiated.unwrap();
        assert_eq!((negotiated.version, negotiated.group.as_str()), (Version::Tls13, "x25519"));

        let older =
            OpenSsl::start(&certified, &["-tls1_2", "-groups", "brainpoolP256r1:P-256:secp256k1"]).await;
        let report = probed(older.address).await;
        let found: BTreeSet<_> = report.groups.iter().copied().collect();
        assert_eq!(found, BTreeSet::from(["brainpoolP256r1", "secp256r1", "secp256k1"]), "{kind:?}");
        assert_eq!(report.chain.unwrap().certificates.len(), 1);
    }
}

#[tokio::test]
async fn tls13_alone_and_application_protocols_are_found() {
    let certified = certified(&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let server = OpenSsl::start(&certified, &["-tls1_3", "-alpn", "h2,http/1.1", "-WWW"]).await;
    let report = probed(server.address).await;
    assert_eq!(spoken(&report), [Version::Tls13]);
    assert_eq!(report.alpn, ["h2", "http/1.1"]);
    assert_eq!(report.negotiated.as_ref().unwrap().alpn, "h2");
    assert_eq!(
        names(&report, Version::Tls13),
        ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
    );

    let one = OpenSsl::start(&certified, &["-tls1_2", "-alpn", "http/1.1"]).await;
    assert_eq!(probed(one.address).await.alpn, ["http/1.1"]);
}

#[tokio::test]
async fn a_post_quantum_group_is_found_and_negotiated() {
    let address = servers::rustls(&certified(&["ed25519"]), &[]).await;
    let report = probed(address).await;
    assert_eq!(spoken(&report), [Version::Tls12, Version::Tls13]);
    let negotiated = report.negotiated.as_ref().unwrap();
    assert_eq!(negotiated.group, "X25519MLKEM768");
    assert!(
        report.groups.contains(&"X25519MLKEM768") && report.groups.contains(&"x25519"),
        "{:?}",
        report.groups
    );
    println!("groups: {:?}", report.groups);
}

#[tokio::test]
async fn connections_are_changed_to_tls_first() {
    let certified = certified(&["ed25519"]);
    let cases: [(StartTls, &'static [&'static str]); 3] = [
        (StartTls::Ftp, &["220-hello\r\n220 ftp\r\n", "234 go\r\n"]),
        (StartTls::Smtp, &["220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go\r\n"]),
        (StartTls::Imap, &["* OK imap\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\np1 OK\r\n", "p2 OK go\r\n"]),
    ];
    for (start_tls, words) in cases {
        let address = servers::rustls(&certified, words).await;
        let report = probed_with(&address.to_string(), Some(start_tls), &options()).await;
        assert_eq!((report.failure, report.start_tls), (None, start_tls), "{}", report.failure_message);
        assert_eq!(spoken(&report), [Version::Tls12, Version::Tls13]);
        assert_eq!(report.strict_transport, StrictTransport::NotAsked);
    }
    let refusing = servers::rustls(&certified, &["220 hi\r\n", "502 never heard of it\r\n"]).await;
    let report = probed_with(&refusing.to_string(), Some(StartTls::Ftp), &options()).await;
    assert_eq!(report.failure, Some(Failure::StartTlsRefused));
    assert!(report.failure_message.contains("502 never heard of it"), "{}", report.failure_message);
}

/// An SSL 3.0 server's answers, as bytes: suites 0x0005 and 0x0004 are taken, in this order.
fn ssl3_answer(hello: &[u8]) -> Vec<u8> {
    let alert = |description| vec![21, 3, 0, 0, 2, 2, description];
    let (Some([3, 0]), Some(offered)) = (hello.get(9..11), hello.get(46..)) else { return alert(40) };
    let has = |number: u8| offered.chunks(2).any(|suite| suite == [0, number]);
    let Some(chosen) = [5, 4].into_iter().find(|suite| has(*suite)) else { return alert(40) };
    let hello = [&[2, 0, 0, 38, 3, 0][..], &[9; 32], &[0, 0, chosen, 0]].concat();
    let rest = [11, 0, 0, 3, 0, 0, 0, 14, 0, 0, 0];
    [&[22, 3, 0, 0, 53][..], &hello, &rest].concat()
}

#[tokio::test]
async fn ssl3_is_found_with_a_server_that_replays_it() {
    let address = fake(async |mut stream| {
        let mut buffer = vec![0; 4096];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        let _closed = stream.write_all(&ssl3_answer(buffer.get(..count).unwrap())).await;
        let _closed = stream.read(&mut buffer).await;
    })
    .await;
    let report = probed_with(&address.to_string(), None, &options()).await;
    assert_eq!(report.failure, None, "{}", report.failure_message);
    assert_eq!(spoken(&report), [Version::Ssl30]);
    assert_eq!(names(&report, Version::Ssl30), ["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_RC4_128_MD5"]);
    assert!(of(&report, Version::Ssl30).has_server_order);
    assert_eq!(report.incomplete, ["certificates: the server showed none"]);
}

#[tokio::test]
async fn a_server_that_answers_with_an_older_version_does_not_speak_the_newer_one() {
    let address = fake(async |mut stream| {
        let mut buffer = vec![0; 4096];
        let _count = stream.read(&mut buffer).await;
        let hello = [&[2, 0, 0, 38, 3, 1][..], &[9; 32], &[0, 0, 5, 0]].concat();
        let _closed = stream.write_all(&[&[22, 3, 1, 0, 42][..], &hello].concat()).await;
    })
    .await;
    assert_eq!(spoken(&probed_with(&address.to_string(), None, &options()).await), [Version::Tls10]);
}

async fn failure(address: SocketAddr, start_tls: Option<StartTls>, options: Options) -> (Failure, String) {
    let report = probed_with(&address.to_string(), start_tls, &options).await;
    println!("{:?}: {}", report.failure, report.failure_message);
    (report.failure.unwrap(), report.failure_message)
}

/// For servers that never answer.
fn impatient() -> Options {
    Options { deadline: Duration::from_secs(1), patience: Duration::from_millis(300), ..options() }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let says = |words: &'static str| async move {
        let server = async move |mut stream: TcpStream| {
            let _closed = stream.write_all(words.as_bytes()).await;
            let _closed = stream.read(&mut [0; 4096]).await;
        };
        failure(fake(server).await, None, options()).await
    };
    let (kind, words) = says("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(kind == Failure::NotTls && words.contains("HTTP/1.1 400"), "{words}");
    let (kind, words) = says("SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert!(kind == Failure::NotTls && words.contains("SSH server"), "{words}");
    let (kind, words) = says("220 ftp.example\r\n").await;
    assert!(kind == Failure::NotTls && words.contains("FTP or SMTP"), "{words}");

    let silent = async |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    assert_eq!(failure(fake(silent).await, None, impatient()).await.0, Failure::TimedOut);
    assert_eq!(failure(fake(silent).await, Some(StartTls::Smtp), impatient()).await.0, Failure::TimedOut);
    let closing = async |mut stream: TcpStream| {
        let _count = stream.read(&mut [0; 4096]).await;
    };
    assert_eq!(failure(fake(closing).await, None, options()).await.0, Failure::ConnectionClosed);
    let refusing = async |mut stream: TcpStream| {
        let _count = stream.read(&mut [0; 4096]).await;
        let _closed = stream.write_all(&[21, 3, 1, 0, 2, 2, 40]).await;
        let _closed = stream.read(&mut [0; 4096]).await;
    };
    let (kind, words) = failure(fake(refusing).await, None, options()).await;
    assert!(kind == Failure::HandshakeRefused && words.contains("TLS 1.2: handshake_failure"), "{words}");
    let nobody = patchbay_testkit::ports::free_address();
    assert_eq!(failure(nobody, None, options()).await.0, Failure::ConnectionRefused);

    let unknown = Target::parse("no-such-name.invalid", None, None).unwrap();
    let report = probe(&unknown, &Guard::open(), &options()).await.unwrap();
    assert_eq!((report.failure, report.address), (Some(Failure::NameNotFound), None));
    let guard = Guard::new(&patchbay_egress::EgressConfig::default(), "tls_probe.egress");
    let forbidden =
        probe(&Target::parse("127.0.0.1:1", None, None).unwrap(), &guard, &options()).await.unwrap_err();
    assert!(forbidden.to_string().contains("tls_probe.egress.allow"), "{forbidden}");
}

#[tokio::test]
async fn strict_transport_is_asked_of_servers_of_http_alone() {
    let certified = certified(&["ed25519"]);
    let policy =
        "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=31536000\r\nContent-Length: 0\r\n\r\n";
    let with_http = servers::https(&certified, policy).await;
    let report = probed(with_http).await;
    assert_eq!(report.strict_transport, StrictTransport::Present { max_age_seconds: 31_536_000 });
    assert_eq!(report.alpn, ["http/1.1"]);
    let without = servers::https(&certified, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(probed(without).await.strict_transport, StrictTransport::Absent);
    let other = servers::rustls(&certified, &[]).await;
    assert_eq!(probed(other).await.strict_transport, StrictTransport::NotAsked);
}

#[tokio::test]
async fn a_copied_certificate_is_not_trusted() {
    for kind in [&["ed25519"][..], &["rsa:2048"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]] {
        let (own, other) = (certified(kind), certified(kind));
        let options = Options {
            roots: Roots::none().and(&own.certificate()).unwrap(),
            now: Timestamp::now(),
            ..options()
        };
        let trusted = async |server: SocketAddr| {
            let chain = probed_with(&server.to_string(), None, &options).await.chain.unwrap();
            let is_told = chain.problems.iter().any(|problem| problem.code == "KEY_NOT_PROVEN");
            (chain.is_trusted, is_told)
        };
        assert_eq!(trusted(servers::rustls(&own, &[]).await).await, (true, false), "{kind:?}");
        assert_eq!(trusted(servers::copied(&own, &other).await).await, (false, true), "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_shows_its_own() {
    let certified = certified(&["rsa:1024"]);
    for version in ["-tls1_2", "-tls1_3"] {
        let server =
            OpenSsl::start(&certified, &[version, "-Verify", "1", "-cipher", "ALL:@SECLEVEL=0"]).await;
        let report = probed(server.address).await;
        let chain = report.chain.unwrap();
        assert_eq!(chain.certificates.len(), 1, "{version}");
        assert!(chain.problems.iter().all(|problem| problem.code != "KEY_NOT_PROVEN"), "{version}");
        assert!(report.negotiated.is_some(), "{version}");
    }
}

#[tokio::test]
async fn a_server_far_away_is_found_out_in_time() {
    const ROUND_TRIP: Duration = Duration::from_millis(100);
    let near = OpenSsl::start(&certified(&["rsa:2048"]), &["-serverpref"]).await;
    let at_hand = probed(near.address).await;
    // The goal is the usual deadline of 10 s.
    let thrice = Options { deadline: Duration::from_secs(30), ..options() };
    let way = servers::far_away(near.address, ROUND_TRIP).await;
    let far = probed_with(&way.to_string(), None, &thrice).await;
    assert!(far.incomplete.is_empty(), "{:?}", far.incomplete);
    let found = |report: &Report| (report.protocols.clone(), report.groups.clone(), report.alpn.clone());
    assert_eq!(found(&far), found(&at_hand));
    println!(
        "{} connections over {ROUND_TRIP:?} took {:?}, at hand {:?}",
        far.connections, far.took, at_hand.took
    );
}

#[tokio::test]
async fn a_version_that_a_server_is_silent_about_does_not_hold_up_the_others() {
    let near = OpenSsl::start(&certified(&["ed25519"]), &[]).await;
    let address = servers::silent_about_ssl3(near.address).await;
    let report = probed_with(&address.to_string(), None, &options()).await;
    assert_eq!(spoken(&report), [Version::Tls12, Version::Tls13]);
    assert_eq!(report.incomplete.len(), 1);
    assert!(
        report
            .incomplete
            .iter()
            .any(|words| words.contains("whether SSL 3.0 is spoken: the server did not answer"))
    );
    assert!(report.took < Duration::from_secs(4), "{:?}", report.took);
}

#[tokio::test]
async fn bounds_hold_and_what_is_missing_is_named() {
    let (now, most, all) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&all));
    // Takes every suite that is offered, each answer after a while.
    let address = fake(move |mut stream: TcpStream| {
        let (now, most, all) = counts.clone();
        async move {
            all.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _count = stream.read(&mut buffer).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
            // Before the answer, so that whoever comes after it is not counted beside it.
            now.fetch_sub(1, Ordering::SeqCst);
            let [chosen @ .., _] = buffer.get(46..49).unwrap() else { return };
            let hello = [&[2, 0, 0, 38, 3, 3][..], &[9; 32], &[0], chosen, &[0]].concat();
            let _closed = stream.write_all(&[&[22, 3, 3, 0, 42][..], &hello].concat()).await;
        }
    })
    .await;
    let bounded = Options { connections: 30, ..options() };
    let report = probed_with(&address.to_string(), None, &bounded).await;
    assert!(report.connections <= 30 && all.load(Ordering::SeqCst) <= 30, "{}", report.connections);
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?} at once");
    assert!(
        report
            .incomplete
            .iter()
            .any(|words| words.contains("suites of TLS 1.2") && words.contains("no more connections"))
    );
    assert!(of(&report, Version::Tls12).is_supported && !names(&report, Version::Tls12).is_empty());

    let short = Options { deadline: Duration::from_secs(1), ..options() };
    let report = probed_with(&address.to_string(), None, &short).await;
    assert!(report.took < Duration::from_secs(3), "{:?}", report.took);
    assert!(
        report
            .incomplete
            .iter()
            .any(|words| words.contains("suites of TLS 1.2") && words.contains("time was up"))
    );
}
