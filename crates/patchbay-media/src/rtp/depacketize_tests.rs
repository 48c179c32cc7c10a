use super::*;
use crate::rtp::{
    packetize::{PAYLOAD_SIZE, Packetizer},
    reorder::{Limits, Reorder},
};
use proptest::{prelude::*, sample::Index};
use std::time::Instant;

/// Any bytes: from a seed, because a strategy for each byte takes most of the time of these tests.
fn bytes(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (size, any::<u64>()).prop_map(|(size, seed)| {
        let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        std::iter::successors(Some(seed), next)
            .skip(1)
            .map(|state| state.to_be_bytes()[0])
            .take(size)
            .collect()
    })
}

fn length_prefixed(nals: &[Vec<u8>]) -> Vec<u8> {
    nals.iter()
        .flat_map(|nal| [&u32::try_from(nal.len()).unwrap().to_be_bytes(), &nal[..]].concat())
        .collect()
}

/// Parameter sets where it is a key frame, perhaps a message, then slices.
fn nal_unit(
    headers: &'static [&'static [u8]],
    message: &'static [u8],
    key: &'static [u8],
    delta: &'static [u8],
    is_key: bool,
) -> impl Strategy<Value = Vec<u8>> {
    let sets = prop::collection::vec(bytes(3..60), headers.len());
    let slices = prop::collection::vec(bytes(1..4000), 1..4);
    (sets, prop::option::of(bytes(1..40)), slices).prop_map(move |(sets, text, slices)| {
        let mut nals = Vec::new();
        if is_key {
            nals.extend(headers.iter().zip(sets).map(|(header, set)| [header, &set[..]].concat()));
        }
        nals.extend(text.map(|text| [message, &text].concat()));
        nals.extend(slices.iter().map(|slice| [if is_key { key } else { delta }, &slice[..]].concat()));
        length_prefixed(&nals)
    })
}

fn obu(header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = header.to_vec();
    crate::codec::av1::put_leb128(body.len(), &mut out);
    out.extend_from_slice(body);
    out
}

fn av1_unit(is_key: bool) -> impl Strategy<Value = Vec<u8>> {
    (
        bytes(3..20),
        prop::option::of(bytes(0..200)),
        bytes(1..6000),
        prop::collection::vec(bytes(0..300), 0..4),
    )
        .prop_map(move |(sequence, metadata, mut frame, tiles)| {
            frame[0] = if is_key { 0x10 } else { 0x30 };
            let mut unit = if is_key { obu(&[0x0A], &sequence) } else { Vec::new() };
            unit.extend(metadata.map(|body| obu(&[0x2A], &body)).unwrap_or_default());
            unit.extend(obu(&[0x36, 0x08], &frame));
            unit.extend(tiles.iter().flat_map(|tile| obu(&[0x22], tile)));
            unit
        })
}

/// Profile 0, key frame, shown; sync code; BT.601; 640x480.
const VP9_KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x40, 0x27, 0xF0, 0x1D, 0xF0];

fn vp9_unit(is_key: bool) -> impl Strategy<Value = Vec<u8>> {
    bytes(0..6000).prop_map(move |body| {
        let header: &[u8] =
            if is_key { &[0x82, 0x49, 0x83, 0x42, 0x40, 0x27, 0xF0, 0x1D, 0xF0] } else { &[0x86, 0] };
        [header, &body].concat()
    })
}

fn unit(codec: Codec, is_key: bool) -> BoxedStrategy<Vec<u8>> {
    match codec {
        Codec::H264 => nal_unit(&[&[0x67], &[0x68]], &[0x06], &[0x65], &[0x41], is_key).boxed(),
        Codec::H265 => {
            nal_unit(&[&[0x40, 1], &[0x42, 1], &[0x44, 1]], &[0x4E, 1], &[0x26, 1], &[0x02, 1], is_key)
                .boxed()
        }
        Codec::Av1 => av1_unit(is_key).boxed(),
        Codec::Vp9 => vp9_unit(is_key).boxed(),
        Codec::Vp8 => bytes(1..6000)
            .prop_map(move |mut frame| {
                frame[0] = frame[0] & 0xFE | u8::from(!is_key);
                frame
            })
            .boxed(),
        Codec::Aac => bytes(1..4000).boxed(),
        Codec::Opus => bytes(1..200).boxed(),
        Codec::Pcma | Codec::Pcmu => bytes(1..2000).boxed(),
    }
}

/// Units of a codec: key frames now and then, the first one always.
fn stream(count: usize) -> impl Strategy<Value = (Codec, Vec<Vec<u8>>)> {
    prop::sample::select(&Codec::ALL[..]).prop_flat_map(move |codec| {
        let units = (0..count).map(|index| {
            let is_key = if index == 0 { Just(true).boxed() } else { prop::bool::weighted(0.3).boxed() };
            is_key.prop_flat_map(move |is_key| unit(codec, is_key))
        });
        (Just(codec), units.collect::<Vec<_>>())
    })
}

#[derive(Clone, Debug)]
struct Sent {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

fn send(codec: Codec, limit: usize, units: &[Vec<u8>], first: u16) -> Vec<Sent> {
    let mut packetizer = Packetizer::new(codec, limit);
    let mut sent: Vec<Sent> = Vec::new();
    for (time, unit) in (0_u32..).step_by(3000).zip(units) {
        let cut = packetizer.packetize(unit).unwrap();
        for (index, payload) in cut.iter().enumerate() {
            assert!(payload.len() <= limit, "{codec:?}: {} bytes", payload.len());
            let sequence = sent.last().map_or(first, |last| last.sequence.wrapping_add(1));
            let timestamp = time + cut.timestamp_offset(index);
            sent.push(Sent { sequence, timestamp, marker: cut.marker(index), payload: payload.to_vec() });
        }
    }
    sent
}

/// A packet of padding alone after every other packet.
fn with_padding(sent: Vec<Sent>) -> Vec<Sent> {
    let mut padded: Vec<Sent> = Vec::new();
    for (index, packet) in sent.into_iter().enumerate() {
        let padding = Sent { payload: Vec::new(), marker: false, ..packet.clone() };
        padded.push(packet);
        padded.extend((index % 2 == 0).then_some(padding));
    }
    let first = padded.first().map_or(0, |packet| packet.sequence);
    for (offset, packet) in (0_u16..).zip(&mut padded) {
        packet.sequence = first.wrapping_add(offset);
    }
    padded
}

fn receive(codec: Codec, sent: &[Sent]) -> (Vec<Unit>, Depacketizer) {
    let (mut depacketizer, mut units) = (Depacketizer::new(codec), Vec::new());
    for Sent { sequence, timestamp, marker, payload } in sent {
        let packet = Incoming { sequence: *sequence, timestamp: *timestamp, marker: *marker, payload };
        // What was damaged may be an error or just missing; the units tell.
        let _damaged = depacketizer.push(packet, &mut units).is_err();
    }
    (units, depacketizer)
}

/// The units as they should come out: G.711 comes in the pieces in which it was sent.
fn expected(codec: Codec, limit: usize, units: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
    let timed = (0_u32..).step_by(3000).zip(units.iter().cloned());
    match codec {
        Codec::Pcma | Codec::Pcmu => send(codec, limit, units, 0)
            .into_iter()
            .map(|packet| (packet.timestamp, packet.payload))
            .collect(),
        _ => timed.collect(),
    }
}

fn is_key(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H264 => unit[4] == 0x67,
        Codec::H265 => unit[4] == 0x40,
        Codec::Av1 => unit[0] == 0x0A,
        Codec::Vp8 => unit[0] & 1 == 0,
        Codec::Vp9 => unit[0] == 0x82,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_was_cut_comes_out_whole((codec, units) in stream(6), limit in 200..1400_usize, first in any::<u16>()) {
        let (received, depacketizer) = receive(codec, &send(codec, limit, &units, first));
        let expected = expected(codec, limit, &units);
        prop_assert_eq!(received.len(), expected.len());
        for (unit, (timestamp, data)) in received.iter().zip(expected) {
            prop_assert_eq!(unit.key, is_key(codec, &data), "{:?}", codec);
            prop_assert_eq!((unit.timestamp, &unit.data[..], unit.after_loss), (timestamp, &data[..], false));
        }
        prop_assert!(!depacketizer.needs_key());
        prop_assert_eq!(depacketizer.held(), 0);
    }

    #[test]
    fn packets_that_changed_places_on_the_way_change_nothing((codec, units) in stream(6), limit in 200..1400_usize, first in any::<u16>(), swaps in prop::collection::vec((any::<Index>(), 1..8_usize), 0..40)) {
        let sent = send(codec, limit, &units, first);
        let mut shuffled = sent.clone();
        for (index, distance) in swaps {
            // The first one stays: before it nothing is waited for.
            let index = index.index(sent.len()).max(1);
            if index + distance < sent.len() {
                shuffled.swap(index, index + distance);
            }
        }
        let now = Instant::now();
        let (mut reorder, mut ordered) = (Reorder::new(Limits::default()), Vec::new());
        for packet in shuffled {
            reorder.insert(packet.sequence, packet, now);
            ordered.extend(std::iter::from_fn(|| reorder.pop(now)).map(|(_, packet)| packet));
        }
        prop_assert_eq!(ordered.len(), sent.len());
        prop_assert_eq!(receive(codec, &ordered).0, receive(codec, &sent).0);
    }

    #[test]
    fn padding_changes_nothing((codec, units) in stream(4), limit in 200..1400_usize, first in any::<u16>()) {
        prop_assume!(codec.kind() == crate::Kind::Video);
        let sent = send(codec, limit, &units, first);
        prop_assert_eq!(receive(codec, &sent).0, receive(codec, &with_padding(sent)).0);
    }

    #[test]
    fn a_lost_packet_never_makes_a_wrong_unit((codec, units) in stream(12), limit in 200..1400_usize, first in any::<u16>(), lost in prop::collection::vec(any::<Index>(), 1..8), unmarked in any::<bool>(), padded in any::<bool>()) {
        let mut sent = send(codec, limit, &units, first);
        if unmarked && codec != Codec::Aac {
            for packet in &mut sent {
                packet.marker = false;
            }
        }
        if padded && codec.kind() == crate::Kind::Video {
            sent = with_padding(sent);
        }
        for index in lost {
            // The first packet of all stays: what is in front of it was never seen, so not lost.
            let index = index.index(sent.len());
            if index > 0 {
                sent.remove(index);
            }
        }
        let (received, _) = receive(codec, &sent);
        let expected = expected(codec, limit, &units);
        let mut gap = false;
        let mut at = 0;
        for unit in &received {
            let skipped = expected[at..].iter().position(|(timestamp, _)| *timestamp == unit.timestamp).unwrap();
            gap |= skipped > 0;
            at += skipped;
            prop_assert_eq!(&unit.data[..], &expected[at].1[..], "{:?}", codec);
            prop_assert!(skipped == 0 || unit.key, "a picture that refers to a lost one");
            prop_assert!(skipped == 0 || unit.after_loss);
            at += 1;
        }
        prop_assert!(gap || received.iter().all(|unit| !unit.after_loss || unit.key));
    }

    #[test]
    fn late_and_repeated_packets_change_nothing((codec, units) in stream(4), again in prop::collection::vec((any::<Index>(), 0..20_usize), 1..8)) {
        let sent = send(codec, 500, &units, 65_500);
        let mut repeated = sent.clone();
        for (index, later) in again {
            let index = index.index(repeated.len());
            let packet = repeated[index].clone();
            repeated.insert((index + 1 + later).min(repeated.len()), packet);
        }
        prop_assert_eq!(receive(codec, &sent).0, receive(codec, &repeated).0);
    }

    #[test]
    fn any_bytes_are_units_or_errors(codec in prop::sample::select(&Codec::ALL[..]), packets in prop::collection::vec((bytes(0..80), any::<bool>(), 0..3_u16, 0..2_u32), 0..60)) {
        let mut depacketizer = Depacketizer::new(codec);
        let (mut sequence, mut timestamp, mut units) = (0_u16, 0_u32, Vec::new());
        let mut fed = 0;
        for (payload, marker, step, tick) in packets {
            sequence = sequence.wrapping_add(step);
            timestamp += tick;
            fed += payload.len();
            let _refused = depacketizer.push(Incoming { sequence, timestamp, marker, payload: &payload }, &mut units).is_err();
        }
        // Lengths of four bytes take the place of two, or of none.
        let made: usize = units.iter().map(|unit| unit.data.len()).sum();
        prop_assert!(made + depacketizer.held() <= 8 * fed + 64, "{} of {}", made, fed);
    }
}

#[test]
fn a_unit_that_never_ends_is_given_up() {
    for (codec, first, rest) in [
        (Codec::H264, &[0x7C, 0x85][..], &[0x7C, 0x05][..]),
        (Codec::H265, &[0x62, 1, 0x93], &[0x62, 1, 0x13]),
        (Codec::Av1, &[0x58, 0x30], &[0xD0]),
        (Codec::Vp8, &[0x10], &[0x00]),
        (Codec::Vp9, &[0x08], &[0x00]),
    ] {
        let (mut depacketizer, mut units) = (Depacketizer::new(codec), Vec::new());
        let body = vec![0xD5; 60_000];
        let mut refused = 0;
        for sequence in 0..400 {
            let payload = [if sequence == 0 { first } else { rest }, &body].concat();
            let packet = Incoming { sequence, timestamp: 0, marker: false, payload: &payload };
            match depacketizer.push(packet, &mut units) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, DepacketizeError::TooLong, "{codec:?}");
                    refused += 1;
                }
            }
            assert!(depacketizer.held() <= MAX_UNIT, "{codec:?}: {}", depacketizer.held());
        }
        assert_eq!((refused, units.len(), depacketizer.held()), (1, 0, 0), "{codec:?}");
    }
}

fn push(
    depacketizer: &mut Depacketizer,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: &[u8],
) -> Result<Vec<Unit>, DepacketizeError> {
    let mut units = Vec::new();
    depacketizer.push(Incoming { sequence, timestamp, marker, payload }, &mut units).map(|()| units)
}

#[test]
fn parameter_sets_under_a_marker_of_their_own_belong_to_the_picture() {
    let mut depacketizer = Depacketizer::new(Codec::H264);
    assert_eq!(push(&mut depacketizer, 1, 10, true, &[0x67, 1]).unwrap(), []);
    assert_eq!(push(&mut depacketizer, 2, 10, true, &[0x68, 2]).unwrap(), []);
    let units = push(&mut depacketizer, 3, 20, true, &[0x65, 3]).unwrap();
    assert_eq!((units[0].timestamp, units[0].key), (20, true));
    assert_eq!(units[0].data[..], [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 2, 0x68, 2, 0, 0, 0, 2, 0x65, 3]);
}

#[test]
fn a_camera_without_parameter_sets_in_its_packets_starts_at_its_first_picture() {
    let mut depacketizer = Depacketizer::new(Codec::H264);
    assert_eq!(push(&mut depacketizer, 1, 10, false, &[0x7C, 0x85, 0x88, 1]).unwrap(), []);
    assert_eq!(push(&mut depacketizer, 2, 10, true, &[0x7C, 0x45, 2]).unwrap().len(), 1);
    let mut depacketizer = Depacketizer::new(Codec::H264);
    assert_eq!(push(&mut depacketizer, 1, 10, true, &[0x65, 0x08, 1]).unwrap(), [], "not the first slice");
    assert_eq!(push(&mut depacketizer, 2, 20, true, &[0x65, 0x88, 1]).unwrap().len(), 1);
}

#[test]
fn modes_that_nobody_negotiates_are_named() {
    for kind in [25, 26, 27, 29] {
        let error = push(&mut Depacketizer::new(Codec::H264), 1, 0, true, &[0x67]).and_then(|_| {
            let mut depacketizer = Depacketizer::new(Codec::H264);
            drop(push(&mut depacketizer, 1, 0, false, &[0x67, 1]));
            push(&mut depacketizer, 2, 0, true, &[kind, 0, 0, 0, 1, 0x41])
        });
        let unsupported = DepacketizeError::Unsupported {
            codec: Codec::H264,
            what: "interleaved packets (packetization-mode 2)",
            instead: "packetization-mode 1",
        };
        assert_eq!(error, Err(unsupported));
    }
}

#[test]
fn layers_of_vp9_become_a_superframe() {
    let mut depacketizer = Depacketizer::new(Codec::Vp9);
    let base = push(&mut depacketizer, 1, 0, false, &[&[0xAC, 0x80, 1, 0x00, 0], VP9_KEY].concat()).unwrap();
    assert_eq!(base, []);
    let units = push(&mut depacketizer, 2, 0, true, &[0xEC, 0x80, 1, 0x03, 0, 0x86, 7, 8]).unwrap();
    assert_eq!(units[0].data[..], [VP9_KEY, &[0x86, 7, 8, 0xD9, 9, 0, 0, 0, 3, 0, 0, 0, 0xD9]].concat());
    assert!(units[0].key);
}

#[test]
fn a_packet_of_aac_holds_several_blocks() {
    let mut depacketizer = Depacketizer::new(Codec::Aac);
    let units = push(&mut depacketizer, 1, 5000, true, &[0, 32, 0, 2 << 3, 0, 1 << 3, 1, 2, 3]).unwrap();
    let units: Vec<_> = units.iter().map(|unit| (unit.timestamp, &unit.data[..])).collect();
    assert_eq!(units, [(5000, &[1, 2][..]), (6024, &[3])]);
}

#[test]
fn a_sender_that_starts_again_is_followed() {
    let mut depacketizer = Depacketizer::new(Codec::Opus);
    assert_eq!(push(&mut depacketizer, 5000, 0, false, &[1]).unwrap().len(), 1);
    assert_eq!(push(&mut depacketizer, 4950, 0, false, &[1]).unwrap(), []);
    let units = push(&mut depacketizer, 100, 0, false, &[1]).unwrap();
    assert!(units[0].after_loss);
    assert!(!push(&mut depacketizer, 101, 0, false, &[1]).unwrap()[0].after_loss);
}

#[test]
fn usual_payloads_fit_a_browsers_packets() {
    assert_eq!(PAYLOAD_SIZE + crate::rtp::header::HEADER_LEN, 1200);
}
