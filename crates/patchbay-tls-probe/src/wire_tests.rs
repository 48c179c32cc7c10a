use super::*;
use crate::groups::X25519;

/// A server's messages, written by hand.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = body.len().to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

fn server_hello(random: [u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = [&[3, 3], &random[..], &[0]].concat();
    body.extend_from_slice(&suite.to_be_bytes());
    body.push(0);
    if !extensions.is_empty() {
        body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend_from_slice(extensions);
    }
    message(2, &body)
}

/// A hello, a chain of two, a status, half of a key exchange on secp256r1, and the end.
fn whole_flight() -> Vec<u8> {
    let certificates = [&[0, 0, 11][..], &[0, 0, 3], b"one", &[0, 0, 2], b"no"].concat();
    let status = [&[1, 0, 0, 4][..], b"ocsp"].concat();
    [
        server_hello([7; 32], 0xc02f, &[0, 16, 0, 5, 0, 3, 2, b'h', b'2']),
        message(11, &certificates),
        message(22, &status),
        message(12, &[3, 0, 23, 1, 4, 0, 0]),
        message(14, &[]),
    ]
    .concat()
}

fn assert_whole(flight: &Flight) {
    let hello = flight.hello.as_ref().unwrap();
    assert_eq!((hello.version(), hello.suite, hello.is_retry), (Some(Version::Tls12), 0xc02f, false));
    assert_eq!(hello.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(flight.certificates, [b"one".to_vec(), b"no".to_vec()]);
    assert_eq!(flight.staple.as_deref(), Some(&b"ocsp"[..]));
    assert_eq!(flight.key_exchange, Some(KeyExchangeFacts::Group(23)));
}

#[test]
fn an_answer_is_read_however_it_is_cut() {
    let messages = whole_flight();
    let one_record = record(22, &messages);
    for cut in 0..=one_record.len() {
        let mut flight = Flight::new(Until::Done);
        let (head, tail) = one_record.split_at(cut);
        let first = flight.feed(head).unwrap();
        assert_eq!(first == Progress::Whole, tail.is_empty());
        if first == Progress::More {
            assert_eq!(flight.feed(tail), Ok(Progress::Whole));
        }
        assert_whole(&flight);
    }
    for size in [1, 2, 3, 5, 50] {
        let records: Vec<u8> = messages.chunks(size).flat_map(|part| record(22, part)).collect();
        let mut flight = Flight::new(Until::Done);
        let mut last = Progress::More;
        for byte in &records {
            last = flight.feed(&[*byte]).unwrap();
        }
        assert_eq!(last, Progress::Whole);
        assert_whole(&flight);
    }
}

#[test]
fn a_certificate_that_is_too_long_stays_the_first_and_one_too_many_is_seen() {
    let shown = |sizes: &[usize]| {
        let list: Vec<u8> = sizes
            .iter()
            .flat_map(|size| {
                let [.., high, middle, low] = size.to_be_bytes();
                [&[high, middle, low], vec![7; *size].as_slice()].concat()
            })
            .collect();
        let [.., high, middle, low] = list.len().to_be_bytes();
        let body = [&[high, middle, low], list.as_slice()].concat();
        let messages = [server_hello([7; 32], 0xc02f, &[]), message(11, &body), message(14, &[])].concat();
        let records: Vec<u8> = messages.chunks(16_000).flat_map(|part| record(22, part)).collect();
        let mut flight = Flight::new(Until::Done);
        assert_eq!(flight.feed(&records), Ok(Progress::Whole));
        flight.certificates.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[70_000, 5]), [70_000, 5]);
    assert_eq!(shown(&[3; 20]), [3; 17]);
}

#[test]
fn only_the_hello_is_waited_for_when_no_more_is_wanted() {
    let mut flight = Flight::new(Until::Hello);
    assert_eq!(flight.feed(&record(22, &server_hello([7; 32], 0x0005, &[]))), Ok(Progress::Whole));
    assert_eq!(flight.hello.unwrap().suite, 5);
}

#[test]
fn tls13_names_its_version_and_group_in_extensions_and_may_ask_again() {
    let chosen = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec];
    let retry = *b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    for (random, is_retry) in [([1; 32], false), (retry, true)] {
        let mut flight = Flight::new(Until::Done);
        let bytes = [record(22, &server_hello(random, 0x1301, &chosen)), record(20, &[1])].concat();
        assert_eq!(flight.feed(&bytes), Ok(Progress::Whole));
        let hello = flight.hello.unwrap();
        assert_eq!(
            (hello.version(), hello.group, hello.is_retry),
            (Some(Version::Tls13), Some(4588), is_retry)
        );
    }
}

#[test]
fn warnings_are_passed_over_and_the_end_is_told() {
    let mut flight = Flight::new(Until::Hello);
    assert_eq!(flight.feed(&record(21, &[1, Alert::UNRECOGNIZED_NAME])), Ok(Progress::More));
    assert_eq!(flight.feed(&record(22, &server_hello([7; 32], 0xc02f, &[]))), Ok(Progress::Whole));
    assert_eq!((flight.alert, flight.hello.is_some()), (None, true));

    let mut refused = Flight::new(Until::Hello);
    assert_eq!(refused.feed(&record(21, &[2, 40])), Ok(Progress::Whole));
    assert_eq!(refused.alert.unwrap().to_string(), "handshake_failure");

    let mut flood = Flight::new(Until::Hello);
    let outcomes: Vec<_> = (0..5).map(|_| flood.feed(&record(21, &[1, 90])).unwrap()).collect();
    assert_eq!(outcomes.last(), Some(&Progress::Whole), "a server that only warns is left");
}

#[test]
fn what_is_no_tls_is_told_in_words() {
    let said = |bytes: &[u8]| match Flight::new(Until::Hello).feed(bytes) {
        Err(WireError::NotTls(words)) => words,
        other => panic!("{other:?}"),
    };
    assert!(said(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n").contains("HTTP/1.1 400 Bad Request`"));
    assert!(said(b"SSH-2.0-OpenSSH_9.2\r\n").contains("SSH server"));
    assert!(said(b"220 ready\r\n").contains("FTP or SMTP"));
    assert!(said(b"* OK ready\r\n").contains("IMAP"));
    assert!(said(b"\x1b[31mred").contains("1b5b33316d726564"), "no byte that a terminal obeys is shown");
    assert!(said(&[0x16, 0x09, 0, 0]).contains("16090000"));
}

#[test]
fn what_is_too_long_is_refused() {
    let mut flight = Flight::new(Until::Done);
    assert_eq!(flight.feed(&[22, 3, 3, 0xff, 0xff]), Err(WireError::TooLong));
    let mut flight = Flight::new(Until::Done);
    assert_eq!(flight.feed(&record(22, &[2, 0xff, 0xff, 0xff])), Err(WireError::TooLong));
    let mut flight = Flight::new(Until::Done);
    let empty_records = record(22, &[]).repeat(20_000);
    let outcome = (0..20).map(|_| flight.feed(&empty_records)).find(Result::is_err);
    assert_eq!(outcome, Some(Err(WireError::TooLong)));
}

#[test]
fn primes_are_measured_without_zeros_before_them() {
    let body = |prime: &[u8]| {
        [&u16::try_from(prime.len()).unwrap().to_be_bytes()[..], prime, &[0, 1, 2, 0, 1, 9]].concat()
    };
    let dhe = 0x0033;
    for (prime, bits) in [
        (vec![0xff; 128], 1024),
        ([vec![0, 0], vec![0x80; 64]].concat(), 512),
        (vec![0x01, 0xff], 9),
        (vec![], 0),
    ] {
        assert_eq!(KeyExchangeFacts::read(dhe, &body(&prime)), Some(KeyExchangeFacts::PrimeBits(bits)));
    }
    assert_eq!(KeyExchangeFacts::read(0x002f, &[1, 2, 3]), None, "RSA has none");
    assert_eq!(KeyExchangeFacts::read(0xc02f, &[1, 0, 23]), None, "a curve by its equation");
}

fn hello(version: Version) -> ClientHello<'static> {
    ClientHello {
        version,
        suites: &[0xc02f, 0x1301],
        groups: &[X25519],
        server_name: Some("example.com"),
        alpn: &["h2"],
        key_share: Some(&[5; 32]),
        random: [9; 32],
    }
}

#[test]
fn hellos_have_the_lengths_and_versions_that_they_say() {
    for (version, of_record, of_body) in [
        (Version::Ssl30, 0x0300, 0x0300),
        (Version::Tls10, 0x0301, 0x0301),
        (Version::Tls11, 0x0301, 0x0302),
        (Version::Tls12, 0x0301, 0x0303),
        (Version::Tls13, 0x0301, 0x0303),
    ] {
        let bytes = hello(version).encode();
        let mut outer = codec::Reader::new(&bytes);
        assert_eq!((outer.u8(), outer.u16()), (Some(22), Some(of_record)));
        let mut message = outer.block16().unwrap();
        assert!(outer.is_empty());
        assert_eq!(message.u8(), Some(1));
        let mut body = message.block24().unwrap();
        assert!(message.is_empty());
        assert_eq!(body.u16(), Some(of_body));
        assert_eq!(body.take(32), Some(&[9; 32][..]));
        assert_eq!(body.block8().unwrap().rest().is_empty(), version != Version::Tls13);
        let suites = body.block16().unwrap().rest().len();
        assert_eq!(suites, if version == Version::Ssl30 { 6 } else { 4 });
        assert_eq!(body.block8().unwrap().rest(), [0]);
        assert_eq!(body.is_empty(), version == Version::Ssl30, "only SSL 3.0 has no extensions");
    }
}

#[test]
fn hellos_of_a_length_that_some_boxes_hang_on_are_padded() {
    let suites: Vec<u16> = (0..240).collect();
    for count in 0..240 {
        for version in Version::ALL {
            let bytes = ClientHello { suites: suites.get(..count).unwrap(), ..hello(version) }.encode();
            let length = bytes.len() - 5;
            assert!(
                version == Version::Ssl30 || !(256..512).contains(&length),
                "{version} {count}: {length}"
            );
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(parts in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..200), 0..6)) {
        let mut flight = Flight::new(Until::Done);
        for part in &parts {
            if flight.feed(part).is_err() {
                break;
            }
        }
    }

    #[test]
    fn no_change_of_an_answer_panics(at in 0usize..200, value in 0u8..=255, cut in 0usize..200) {
        let mut bytes = record(22, &whole_flight());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(bytes.len().min(cut.max(1)));
        let _outcome = Flight::new(Until::Done).feed(&bytes);
    }

    #[test]
    fn no_body_of_any_message_panics(kind in 0u8..25, body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let bytes = [server_hello([7; 32], 0x0033, &[]), message(kind, &body)].concat();
        let _outcome = Flight::new(Until::Done).feed(&record(22, &bytes));
        let _outcome = Flight::new(Until::Done).feed(&record(22, &message(2, &body)));
    }
}
