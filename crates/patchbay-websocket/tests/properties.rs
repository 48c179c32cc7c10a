//! What holds for every input: it never panics, where it is split makes no difference, what is
//! encoded is decoded, and an idle decoder holds nothing.

mod support;

use patchbay_websocket::handshake::{Handshake, Limits};
use patchbay_websocket::{Decoder, Event};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{MAX_MESSAGE, Owned, decode, frame};

/// Frames of which most are valid, so that the decoder gets beyond the first one.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
        1 => vec(Just(b'z'), 120..300),
    ];
    let one = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    vec(one, 0..12).prop_map(|frames| frames.concat())
}

/// The bytes in parts that end at these places.
fn split<'b>(bytes: &'b [u8], ends: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = ends.iter().map(|end| end.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut from, end)..end]).collect()
}

proptest! {
    #[test]
    fn a_split_changes_no_event(bytes in frames(), ends in vec(any::<prop::sample::Index>(), 0..8)) {
        prop_assert_eq!(decode(split(&bytes, &ends)), decode([bytes.as_slice()]));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..400), ends in vec(any::<prop::sample::Index>(), 0..4)) {
        prop_assert_eq!(decode(split(&bytes, &ends)), decode([bytes.as_slice()]));
        let _ = Handshake::parse(&bytes, Limits::default());
    }

    #[test]
    fn messages_come_as_sent(messages in vec(("\\PC{0,80}", 1..4_usize), 1..8)) {
        let mut sent = Vec::new();
        for (text, fragments) in &messages {
            let chunk = text.len().div_ceil(*fragments).max(1);
            let mut chunks: Vec<&[u8]> = text.as_bytes().chunks(chunk).collect();
            let last = chunks.pop().unwrap_or_default();
            for (n, chunk) in chunks.iter().enumerate() {
                sent.extend(frame(u8::from(n == 0), chunk));
            }
            sent.extend(frame(if chunks.is_empty() { 0x81 } else { 0x80 }, last));
        }
        let expected = messages.into_iter().map(|(text, _)| Owned::Text(text)).collect();
        prop_assert_eq!(decode([sent.as_slice()]), (expected, None));
    }
}

#[test]
fn an_idle_decoder_is_small_and_holds_nothing() {
    assert!(size_of::<Decoder>() <= 16, "{} bytes", size_of::<Decoder>());
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let sent =
        [frame(0x81, b"whole"), frame(0x01, b"in "), frame(0x89, b"p"), frame(0x80, b"parts")].concat();
    for byte in sent {
        let mut byte = [byte];
        let mut input = byte.as_mut_slice();
        while decoder.decode(&mut input).unwrap().is_some() {}
    }
    assert!(!decoder.is_mid_message());
}

#[test]
fn a_whole_frame_is_borrowed_from_the_input() {
    let mut sent = frame(0x81, b"borrowed");
    let range = sent.as_ptr_range();
    let mut input = sent.as_mut_slice();
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let Ok(Some(Event::Text(text))) = decoder.decode(&mut input) else { panic!("no text") };
    assert!(range.contains(&text.as_ptr()));
}
