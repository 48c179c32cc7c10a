use super::*;
use patchbay_media::rtp::{header::Extensions, packetize::Packetizer};

const RTX: u32 = 77;

fn incoming() -> Incoming {
    let format =
        Format { payload_type: 96, rtx: Some(97), codec: Codec::Vp8, clock_rate: 90_000, channels: 0 };
    let section = Section {
        mid: "0".to_owned(),
        formats: vec![format],
        rid_extension: Some(4),
        repaired_rid_extension: Some(5),
        ..Section::default()
    };
    Incoming::new(vec![section], 2_000_000)
}

fn packet(number: u8, sequence: u16, timestamp: u32, ssrc: u32, marker: bool, payload: &[u8]) -> Bytes {
    let header =
        patchbay_media::rtp::header::Header { marker, payload_type: number, sequence, timestamp, ssrc };
    let mut bytes = vec![0; 64];
    let length = header.write(&Extensions::new(), &mut bytes).unwrap();
    bytes.truncate(length);
    bytes.extend_from_slice(payload);
    bytes.into()
}

fn frame(key: bool) -> Vec<u8> {
    vec![u8::from(!key); 3000]
}

/// All packets of some frames.
fn packets(count: u16) -> Vec<Bytes> {
    let mut packetizer = Packetizer::new(Codec::Vp8, 1188);
    let mut all = Vec::new();
    for number in 0..count {
        let payloads = packetizer.packetize(&frame(number == 0)).unwrap();
        for (index, payload) in payloads.iter().enumerate() {
            let sequence = u16::try_from(all.len()).unwrap().wrapping_add(65_530);
            all.push(packet(96, sequence, u32::from(number) * 3000, 1, payloads.marker(index), payload));
        }
    }
    all
}

fn units(incoming: &mut Incoming) -> usize {
    std::iter::from_fn(|| incoming.poll())
        .filter(|received| matches!(received, Received::Unit { .. }))
        .count()
}

#[test]
fn what_is_lost_is_asked_for_and_comes_by_retransmission() {
    let (mut incoming, start) = (incoming(), Instant::now());
    let all = packets(4);
    for (index, bytes) in all.iter().enumerate().filter(|(index, _)| *index != 4) {
        incoming.packet(bytes, start + Duration::from_millis(u64::try_from(index).unwrap()));
    }
    assert!(
        matches!(incoming.poll(), Some(Received::Track(track)) if track.codec == Codec::Vp8 && track.mid == "0")
    );
    assert_eq!(units(&mut incoming), 1);
    let mut asked = Vec::new();
    incoming.feedback(start + Duration::from_millis(30), &mut Writer::new(&mut asked));
    let mut missing = None;
    rtcp::read(&asked, |said| {
        if let rtcp::Said::Missing { ssrc: 1, sequences } = said {
            missing = Some(sequences.sequences().collect::<Vec<_>>());
        }
    });
    assert_eq!(missing, Some(vec![65_534]));
    let lost = Packet::parse(&all[4]).unwrap();
    let payload = [&65_534_u16.to_be_bytes(), lost.payload].concat();
    incoming.packet(
        &packet(97, 500, lost.header.timestamp, RTX, lost.header.marker, &payload),
        start + Duration::from_millis(40),
    );
    assert_eq!(units(&mut incoming), 3);
    let (_, reports) = incoming.reports(start + Duration::from_secs(1));
    assert_eq!((reports[0].highest, reports[0].lost), (65_530 + 11, 1));
}

#[test]
fn what_never_comes_costs_frames_until_a_key_frame_that_is_asked_for() {
    let (mut incoming, start) = (incoming(), Instant::now());
    let all = packets(4);
    for bytes in all.iter().skip(1) {
        incoming.packet(bytes, start);
    }
    let late = start + Duration::from_secs(2);
    let mut asked = Vec::new();
    incoming.feedback(late, &mut Writer::new(&mut asked));
    assert_eq!(units(&mut incoming), 0);
    let mut key_frames = 0;
    for at in [late, late + Duration::from_millis(100), late + Duration::from_millis(600)] {
        incoming.request_key_frame(0);
        incoming.feedback(at, &mut Writer::new(&mut asked));
    }
    rtcp::read(&asked, |said| key_frames += usize::from(said == rtcp::Said::KeyFrame { ssrc: 1 }));
    assert_eq!(key_frames, 2, "at most two a second");
}

#[test]
fn foreign_payload_types_and_too_many_tracks_are_passed_over() {
    let (mut incoming, now) = (incoming(), Instant::now());
    incoming.packet(&packet(50, 1, 0, 9, true, &frame(true)), now);
    incoming.packet(&packet(97, 1, 0, 9, true, &[0, 1, 2]), now);
    incoming.packet(&Bytes::from_static(&[0x80, 96]), now);
    assert_eq!(incoming.poll(), None);
    for ssrc in 100..200 {
        incoming.packet(&packet(96, 1, 0, ssrc, true, &[0x10, 0, 0]), now);
    }
    let tracks =
        std::iter::from_fn(|| incoming.poll()).filter(|received| matches!(received, Received::Track(_)));
    assert_eq!(tracks.count(), MAX_TRACKS);
}

#[test]
fn numbers_are_gathered_by_seventeen() {
    let numbers = [65_535, 0, 15, 16, 40];
    let gathered = gather(&numbers);
    assert_eq!(gathered.len(), 3);
    assert_eq!(gathered.iter().flat_map(|missing| missing.sequences()).collect::<Vec<_>>(), numbers);
}

#[test]
fn a_key_frame_is_asked_for_without_waiting() {
    let (mut incoming, start) = (incoming(), Instant::now());
    // It begins with a frame that needs others.
    for bytes in &packets(2)[3..] {
        incoming.packet(bytes, start);
    }
    assert!(incoming.deadline().is_some_and(|at| at <= start), "{:?}", incoming.deadline());
    let mut asked = Vec::new();
    incoming.feedback(start, &mut Writer::new(&mut asked));
    let mut said = Vec::new();
    rtcp::read(&asked, |what| said.push(what));
    assert!(said.contains(&rtcp::Said::KeyFrame { ssrc: 1 }), "{said:?}");
}

#[test]
fn what_nobody_fetches_is_bounded_and_goes_on_at_a_key_frame() {
    let (mut incoming, now) = (incoming(), Instant::now());
    let mut packetizer = Packetizer::new(Codec::Vp8, 60_000);
    let (mut sequence, mut timestamp) = (0, 0);
    let mut send = |incoming: &mut Incoming, key: bool| {
        let payloads = packetizer.packetize(&vec![u8::from(!key); 1_000_000]).unwrap();
        timestamp += 3000;
        for (index, payload) in payloads.iter().enumerate() {
            incoming.packet(&packet(96, sequence, timestamp, 1, payloads.marker(index), payload), now);
            sequence += 1;
        }
    };
    send(&mut incoming, true);
    for _ in 0..60 {
        send(&mut incoming, false);
    }
    assert!(incoming.received_bytes <= QUEUE_BYTES, "{} bytes wait", incoming.received_bytes);
    assert!(units(&mut incoming) > 20);
    assert_eq!(incoming.received_bytes, 0);
    send(&mut incoming, false);
    assert_eq!(units(&mut incoming), 0, "it needs what was dropped");
    send(&mut incoming, true);
    let Some(Received::Unit { unit, .. }) = incoming.poll() else { panic!("a key frame") };
    assert!(unit.key && unit.after_loss);
}

#[test]
fn other_payloads_of_a_known_source_are_not_taken_for_media() {
    let (mut incoming, now) = (incoming(), Instant::now());
    let all = packets(1);
    incoming.packet(&all[0], now);
    incoming.packet(&packet(13, 65_531, 0, 1, true, b"comfort noise"), now);
    for bytes in &all[1..] {
        incoming.packet(bytes, now);
    }
    assert_eq!(units(&mut incoming), 1);
}
