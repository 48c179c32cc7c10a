//! Every rule of RFC 6455 about opcodes, fragments, control frames, close frames and UTF-8, as a
//! table of what a client sends and what must come of it; each case at every split of its bytes.

mod support;

use patchbay_websocket::{CloseCode, ProtocolError as E};
use support::{MAX_MESSAGE, Outcome, Owned, decode, frame};

/// A name, what a client sends, and what must come of it.
type Case = (&'static str, Vec<Vec<u8>>, Vec<Owned>, Option<E>);

fn check(cases: Vec<Case>) {
    for (name, frames, events, error) in cases {
        let bytes = frames.concat();
        let expected: Outcome = (events, error);
        assert_eq!(decode([bytes.as_slice()]), expected, "{name}: in one piece");
        assert_eq!(decode(bytes.chunks(1)), expected, "{name}: byte by byte");
        // Long payloads are split where headers and the edges of payloads are.
        let splits = (0..bytes.len()).filter(|at| *at < 300 || bytes.len() - at < 300);
        for at in splits {
            let parts = [&bytes[..at], &bytes[at..]];
            assert_eq!(decode(parts), expected, "{name}: split at {at}");
        }
    }
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn closed(code: u16, reason: &str) -> Owned {
    Owned::Close(Some(code), reason.to_owned())
}

#[test]
fn messages_of_every_length() {
    let mut cases = Vec::new();
    for len in [0, 1, 7, 8, 124, 125, 126, 127, 128, 0xFFFF, 0x1_0000, 0x1_0001] {
        let payload = vec![b'*'; len];
        let whole = String::from_utf8(payload.clone()).unwrap();
        cases.push(("text", vec![frame(0x81, &payload)], vec![text(&whole)], None));
        cases.push(("binary", vec![frame(0x82, &payload)], vec![Owned::Binary(payload)], None));
    }
    check(cases);
}

#[test]
fn opcodes_and_reserved_bits() {
    let mut cases: Vec<Case> = Vec::new();
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        let error = Some(E::ReservedOpCode(opcode));
        cases.push(("reserved, first", vec![frame(0x80 | opcode, b"x")], vec![], error));
        let after = vec![frame(0x81, b"a"), frame(0x80 | opcode, b""), frame(0x81, b"b")];
        cases.push(("reserved, later", after, vec![text("a")], error));
    }
    for bits in (0x10..=0x70).step_by(0x10) {
        for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xA] {
            let frames = vec![frame(0x81, b"a"), frame(0x80 | bits | opcode, b"x")];
            cases.push(("reserved bits", frames, vec![text("a")], Some(E::ReservedBits)));
        }
    }
    check(cases);
}

#[test]
fn frames_must_be_masked_and_lengths_short() {
    check(vec![
        ("unmasked", vec![vec![0x81, 1, b'a']], vec![], Some(E::Unmasked)),
        ("unmasked ping", vec![vec![0x89, 0]], vec![], Some(E::Unmasked)),
        ("125 in 16 bits", vec![vec![0x81, 0xFE, 0, 125, 0, 0, 0, 0]], vec![], Some(E::BadLength)),
        (
            "65535 in 64 bits",
            vec![vec![0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0]],
            vec![],
            Some(E::BadLength),
        ),
        (
            "64 bits used",
            vec![vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
            vec![],
            Some(E::BadLength),
        ),
    ]);
}

#[test]
fn fragments() {
    let long = vec![b'x'; MAX_MESSAGE as usize];
    check(vec![
        ("two", vec![frame(0x01, b"he"), frame(0x80, b"llo")], vec![text("hello")], None),
        (
            "empty ones",
            vec![frame(0x01, b""), frame(0x00, b"a"), frame(0x00, b""), frame(0x80, b"")],
            vec![text("a")],
            None,
        ),
        (
            "binary, then text",
            vec![frame(0x02, &[0xFF]), frame(0x80, &[0xFE]), frame(0x81, b"a")],
            vec![Owned::Binary(vec![0xFF, 0xFE]), text("a")],
            None,
        ),
        (
            "control frames between",
            vec![
                frame(0x01, b"a"),
                frame(0x89, b"1"),
                frame(0x00, b"b"),
                frame(0x8A, b"2"),
                frame(0x89, b"3"),
                frame(0x80, b"c"),
            ],
            vec![
                Owned::Ping(b"1".to_vec()),
                Owned::Pong(b"2".to_vec()),
                Owned::Ping(b"3".to_vec()),
                text("abc"),
            ],
            None,
        ),
        (
            "closed in the middle",
            vec![frame(0x01, b"a"), frame(0x88, &[3, 0xE8]), frame(0x80, b"b")],
            vec![closed(1000, "")],
            None,
        ),
        ("a continuation of nothing", vec![frame(0x80, b"a")], vec![], Some(E::UnexpectedContinuation)),
        ("another one", vec![frame(0x00, b"a")], vec![], Some(E::UnexpectedContinuation)),
        (
            "a continuation after the end",
            vec![frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")],
            vec![text("ab")],
            Some(E::UnexpectedContinuation),
        ),
        ("text inside", vec![frame(0x01, b"a"), frame(0x81, b"b")], vec![], Some(E::UnfinishedMessage)),
        ("binary inside", vec![frame(0x02, b"a"), frame(0x02, b"b")], vec![], Some(E::UnfinishedMessage)),
        (
            "up to the limit",
            vec![frame(0x02, &long[1..]), frame(0x80, b"x")],
            vec![Owned::Binary(long.clone())],
            None,
        ),
        ("over it in all", vec![frame(0x02, &long), frame(0x80, b"x")], vec![], Some(E::TooLong)),
        ("over it at once", vec![frame(0x82, &[&long[..], b"x"].concat())], vec![], Some(E::TooLong)),
    ]);
}

#[test]
fn an_announced_giant_is_refused_by_its_header() {
    let header = [0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    check(vec![("4 GiB", vec![header.to_vec()], vec![], Some(E::TooLong))]);
}

#[test]
fn control_frames() {
    let mut cases: Vec<Case> = vec![
        ("empty ping", vec![frame(0x89, b"")], vec![Owned::Ping(vec![])], None),
        ("ping of 125", vec![frame(0x89, &[0xFF; 125])], vec![Owned::Ping(vec![0xFF; 125])], None),
        ("pong of 125", vec![frame(0x8A, &[0; 125])], vec![Owned::Pong(vec![0; 125])], None),
        (
            "ten pings",
            (0..10).map(|n| frame(0x89, &[n])).collect(),
            (0..10).map(|n| Owned::Ping(vec![n])).collect(),
            None,
        ),
    ];
    for opcode in [0x8, 0x9, 0xA] {
        cases.push(("126 bytes", vec![frame(0x80 | opcode, &[0; 126])], vec![], Some(E::LongControl)));
        cases.push(("a fragment", vec![frame(opcode, b"")], vec![], Some(E::FragmentedControl)));
    }
    check(cases);
}

#[test]
fn close_frames() {
    let close = |code: u16, reason: &[u8]| vec![frame(0x88, &[&code.to_be_bytes(), reason].concat())];
    let longest = "é".repeat(61) + "x";
    let mut cases: Vec<Case> = vec![
        ("empty", vec![frame(0x88, b"")], vec![Owned::Close(None, String::new())], None),
        ("one byte", vec![frame(0x88, &[3])], vec![], Some(E::BadCloseCode)),
        ("longest reason", close(1000, longest.as_bytes()), vec![closed(1000, &longest)], None),
        ("reason not UTF-8", close(1000, &[0xCE, 0xBA, 0xE1]), vec![], Some(E::InvalidUtf8)),
        (
            "nothing counts after it",
            vec![close(1001, b"bye").concat(), frame(0x81, b"a"), frame(0x83, b""), vec![0xFF; 9]],
            vec![closed(1001, "bye")],
            None,
        ),
    ];
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        assert_eq!(CloseCode::new(code).map(CloseCode::get), Some(code));
        cases.push(("valid code", close(code, b"r"), vec![closed(code, "r")], None));
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_eq!(CloseCode::new(code), None);
        cases.push(("invalid code", close(code, b""), vec![], Some(E::BadCloseCode)));
    }
    check(cases);
}

/// Sequences that are UTF-8, at the edges of each length.
const VALID: [&str; 12] = [
    "",
    "κόσμε",
    "\0",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
];

/// Sequences that are not, each with the number of bytes at which that is certain.
const INVALID: [(&[u8], usize); 17] = [
    (&[0x80], 1),
    (&[0xBF, b'x'], 1),
    (&[0xC0, 0xAF], 1),
    (&[0xC1, 0xBF], 1),
    (&[0xC2, b'x'], 2),
    (&[0xE0, 0x9F, 0xBF], 2),
    (&[0xE1, 0x80, b'x'], 3),
    (&[0xED, 0xA0, 0x80], 2),
    (&[0xED, 0xBF, 0xBF], 2),
    (&[0xF0, 0x8F, 0xBF, 0xBF], 2),
    (&[0xF0, 0x90, 0x80, b'x'], 4),
    (&[0xF4, 0x90, 0x80, 0x80], 2),
    (&[0xF5, 0x80, 0x80, 0x80], 1),
    (&[0xF8, 0x88, 0x80, 0x80, 0x80], 1),
    (&[0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], 1),
    (&[0xFE], 1),
    (&[0xFF], 1),
];

#[test]
fn text_is_utf8() {
    let mut cases: Vec<Case> = Vec::new();
    for valid in VALID {
        let bytes = valid.as_bytes();
        cases.push(("valid", vec![frame(0x81, bytes)], vec![text(valid)], None));
        // A character may be cut by the end of a fragment.
        for at in 0..bytes.len() {
            let frames = vec![frame(0x01, &bytes[..at]), frame(0x80, &bytes[at..])];
            cases.push(("valid, cut", frames, vec![text(valid)], None));
            if !valid.is_char_boundary(at) {
                let cut_short = vec![frame(0x01, &bytes[..at]), frame(0x80, b"")];
                cases.push(("cut short", cut_short, vec![], Some(E::InvalidUtf8)));
            }
        }
    }
    for (invalid, _) in INVALID {
        let bytes = [b"ok ".as_slice(), invalid, b" later"].concat();
        cases.push(("invalid", vec![frame(0x81, &bytes)], vec![], Some(E::InvalidUtf8)));
        cases.push(("binary may be anything", vec![frame(0x82, &bytes)], vec![Owned::Binary(bytes)], None));
    }
    check(cases);
}

#[test]
fn invalid_text_fails_as_soon_as_it_is_certain() {
    for (invalid, certain) in INVALID {
        let payload = [b"ok ".as_slice(), invalid, &[b'x'; 200]].concat();
        let sent = frame(0x81, &payload);
        let payload_at = sent.len() - payload.len();
        let until = payload_at + 3 + certain;
        assert_eq!(decode([&sent[..until - 1]]), (vec![], None), "{invalid:x?}: too early");
        assert_eq!(decode([&sent[..until]]), (vec![], Some(E::InvalidUtf8)), "{invalid:x?}: too late");

        let fragment = frame(0x01, &payload[..3 + certain]);
        assert_eq!(decode([fragment.as_slice()]), (vec![], Some(E::InvalidUtf8)), "{invalid:x?}: fragment");
    }
}

#[test]
fn each_mistake_has_its_close_code() {
    assert_eq!(E::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
    assert_eq!(E::TooLong.close_code(), CloseCode::MESSAGE_TOO_BIG);
    for error in [E::ReservedBits, E::ReservedOpCode(3), E::Unmasked, E::FragmentedControl, E::LongControl] {
        assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
    }
    for error in [E::BadLength, E::UnexpectedContinuation, E::UnfinishedMessage, E::BadCloseCode] {
        assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
    }
}
