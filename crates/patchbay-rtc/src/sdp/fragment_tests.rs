use super::*;

const FRAGMENT: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
    a=candidate:3471623853 1 udp 2122194687 22eb9765-3072-4f52-8aa1-8ff91e17ee90.local 61765 typ host\r\n\
    a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
    a=candidate:2154773085 1 UDP 1686052607 2001:db8::5 50000 typ srflx raddr 0.0.0.0 rport 0\r\na=end-of-candidates\r\n";

#[test]
fn a_fragment_has_credentials_and_candidates() {
    let fragment = Offer::parse_fragment(FRAGMENT).expect("a good fragment");
    assert_eq!(fragment.ice.map(|ice| ice.ufrag).as_deref(), Some("EsAw"));
    assert_eq!((fragment.mids, fragment.complete), (vec!["0".to_owned()], true));
    let found: Vec<_> =
        fragment.candidates.iter().map(|candidate| (candidate.transport, candidate.address)).collect();
    let address = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        found,
        [
            (Transport::Udp, address("192.0.2.1:61764")),
            (Transport::Udp, None),
            (Transport::Tcp, None),
            (Transport::Udp, address("[2001:db8::5]:50000")),
        ]
    );
    assert!(fragment.candidates.iter().all(|candidate| candidate.mid.as_deref() == Some("0")));
}

#[test]
fn a_fragment_may_be_a_restart_alone_or_nothing() {
    let restart =
        Offer::parse_fragment("a=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1").expect("a restart");
    assert!(restart.ice.is_some() && restart.candidates.is_empty() && !restart.complete);
    assert_eq!(Offer::parse_fragment(""), Ok(Fragment::default()));
    assert_eq!(
        Offer::parse_fragment("a=ice-ufrag:EsAw\r\n"),
        Err(OfferError::Missing { what: "a=ice-pwd" }),
        "half of the credentials"
    );
}

#[test]
fn a_candidate_of_a_browser() {
    let text = "candidate:842163049 1 udp 1677729535 198.51.100.4 50100 typ srflx raddr 0.0.0.0 rport 0";
    let candidate =
        RemoteCandidate::parse(text, Some("video")).expect("a good candidate").expect("not the end");
    assert_eq!(candidate.address, Some("198.51.100.4:50100".parse().unwrap()));
    assert_eq!(candidate.mid.as_deref(), Some("video"));
    assert_eq!(RemoteCandidate::parse("", None), Ok(None));
    assert_eq!(RemoteCandidate::parse("candidate:", None), Ok(None));
    assert_eq!(RemoteCandidate::parse(&format!("a={text}"), Some("video")), Ok(Some(candidate)));
}

#[test]
fn bad_candidates_are_told() {
    for (bad, problem) in [
        ("1 1 udp 1 192.0.2.1 80", "without typ"),
        ("1 0 udp 1 192.0.2.1 80 typ host", "component"),
        ("1 1 sctp 1 192.0.2.1 80 typ host", "transport"),
        ("1 1 udp 99999999999 192.0.2.1 80 typ host", "priority"),
        ("1 1 udp 1 192.0.2.1 70000 typ host", "port"),
        ("1 1 udp 1 1::2::3 80 typ host", "address"),
        ("1 1 udp 1 192.0.2.1 80 typ magic", "type"),
        ("1 1 udp 1 192.0.2.1 80 kind host", "typ"),
        ("nonsense", "without a component"),
    ] {
        let error = RemoteCandidate::parse(bad, None).expect_err(bad).to_string();
        assert!(error.contains(problem), "{bad}: {error}");
        let fragment = Offer::parse_fragment(&format!("m=video 9 X 0\r\na=candidate:{bad}\r\n"));
        assert!(matches!(fragment, Err(OfferError::Malformed { line: 2, .. })), "{bad}: {fragment:?}");
    }
    let long = "x".repeat(CANDIDATE_LIMIT + 1);
    assert!(RemoteCandidate::parse(&long, None).is_err());
    assert!(matches!(Offer::parse_fragment(&"a=x\n".repeat(5000)), Err(OfferError::TooLarge { .. })));
    assert!(Offer::parse_fragment(&"a=x\n".repeat(1025)).is_err());
    assert!(Offer::parse_fragment(&"a=mid:0\n".repeat(65)).is_err());
    assert!(Offer::parse_fragment("a=mid:\n").is_err());
}
