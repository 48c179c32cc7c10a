use super::*;
use crate::{
    connection::{Extensions, Negotiated},
    feed::{FeedConfig, FeedWriter},
    rtcp::Missing,
};
use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec, MediaTime, TrackId,
    track::{KeyFrames, TrackInfo},
};
use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};

fn feed() -> FeedWriter {
    let info = TrackInfo {
        id: TrackId(0),
        codec: Codec::Vp8,
        clock_rate: 90_000,
        channels: 0,
        width: 640,
        height: 480,
        configuration: Bytes::new(),
        reordered: false,
    };
    Feed::new(&info, FeedConfig { key_frames: KeyFrames::OnRequest, ..FeedConfig::default() }).1
}

/// What a receiver sees of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    transport: u16,
    /// The first byte of the media in it.
    mark: u8,
}

struct World {
    sender: Sender,
    outlet: Outlet,
    batch: Batch,
    millis: i64,
}

const NEGOTIATED: Negotiated = Negotiated {
    ssrc: 9,
    payload_type: 96,
    rtx: Some((10, 97)),
    extensions: Extensions { playout_delay: Some(5), transport_cc: Some(3) },
};

impl World {
    fn new(writer: &FeedWriter) -> Self {
        let provider = AwsLcRsProvider::new();
        let outlet = Outlet::new(crate::srtp::tests::pair(provider.crypto()), Instant::now());
        let mut sender = Sender::new(Arc::clone(writer.feed()), NEGOTIATED);
        sender.progress = Progress::WaitingForKey;
        Self { sender, outlet, batch: Batch::default(), millis: 0 }
    }

    /// Writes a unit of so many packets, and gives what the peer gets for it.
    fn unit(&mut self, writer: &mut FeedWriter, key: bool, packets: usize, mark: u8) -> Vec<Packet> {
        self.millis += 33;
        let time = MediaTime::from_nanos(self.millis * 1_000_000);
        let mut data = vec![mark; 1_100 * packets];
        data[0] = u8::from(!key);
        let unit = AccessUnit { track: TrackId(0), dts: time, pts: time, key, data: data.into() };
        writer.write(&unit).unwrap();
        let position = writer.feed().ring().written() - 1;
        let entry = writer.feed().at(position).unwrap();
        self.outlet.now = Instant::now();
        self.sender.deliver(writer.feed().id(), &entry, &mut self.outlet, &mut self.batch).unwrap();
        self.sent()
    }

    fn sent(&mut self) -> Vec<Packet> {
        let packets = self.batch.packets().map(<[u8]>::to_vec).collect::<Vec<_>>();
        self.batch.clear();
        packets.into_iter().map(|packet| self.read(&packet)).collect()
    }

    fn read(&mut self, sealed: &[u8]) -> Packet {
        let opened = self.outlet.srtp.open(sealed).expect("it is true");
        let number = |at: usize| u32::from_be_bytes(opened[at..at + 4].try_into().unwrap());
        assert_eq!(
            (opened[0], &opened[12..16]),
            (0x90, &[0xbe, 0xde, 0, 2][..]),
            "a header with two words of extensions"
        );
        assert_eq!((opened[16..20].to_vec(), opened[20]), (vec![0x52, 0, 0, 0], 0x31));
        Packet {
            payload_type: opened[1] & 0x7f,
            sequence: u16::from_be_bytes([opened[2], opened[3]]),
            timestamp: number(4),
            ssrc: number(8),
            transport: u16::from_be_bytes([opened[21], opened[22]]),
            mark: *opened.last().unwrap(),
        }
    }

    fn ask(&mut self, first: u16, following: u16) -> Vec<Packet> {
        self.sender.resend(Missing { first, following }, &mut self.outlet, &mut self.batch).unwrap();
        self.sent()
    }
}

fn change(world: &mut World, writer: &FeedWriter, quality: Quality) -> Change {
    world.sender.change(writer.feed(), quality, Arc::new(()))
}

#[test]
fn numbers_and_time_stamps_go_on_in_another_feed_and_what_was_sent_of_both_is_sent_again() {
    let (mut full, mut low) = (feed(), feed());
    let mut world = World::new(&full);
    let mut all = world.unit(&mut full, true, 3, 1);
    assert_eq!(change(&mut world, &low, Quality::Low), Change::AtKeyFrame);
    assert!(low.feed().key_requests().take(), "its key frame is asked for");
    all.extend(world.unit(&mut full, false, 2, 2));
    assert!(world.unit(&mut low, false, 1, 3).is_empty(), "it cannot begin there");
    all.extend(world.unit(&mut low, true, 2, 4));
    assert!(world.unit(&mut full, true, 3, 5).is_empty(), "it gets this one no more");
    assert!(!world.sender.wants(full.feed().id()) && world.sender.wants(low.feed().id()));
    all.extend(world.unit(&mut low, false, 1, 6));
    assert_eq!(all.iter().map(|packet| packet.mark).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 4, 4, 6]);
    for pair in all.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].transport, pair[0].transport.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(step > 0, pair[1].mark != pair[0].mark, "{pair:?}");
        assert!(step < 90_000, "{pair:?}");
        assert_eq!((pair[1].ssrc, pair[1].payload_type), (9, 96));
    }
    let again = world.ask(all[2].sequence, 0b1_0110);
    let expected = [&all[2], &all[4], &all[5], &all[7]];
    let times =
        |packets: &[Packet]| packets.iter().map(|packet| (packet.timestamp, packet.mark)).collect::<Vec<_>>();
    assert_eq!(times(&again), expected.map(|packet| (packet.timestamp, packet.mark)));
    assert!(again.iter().all(|packet| (packet.ssrc, packet.payload_type) == (10, 97)));
    // Nobody else holds the first feed any more.
    drop(full);
    assert_eq!((world.ask(all[0].sequence, 0).len(), world.sender.counters.not_resent), (0, 1));
    assert_eq!(world.ask(all[7].sequence, 0).len(), 1);
}

#[test]
fn key_frames_alone_and_everything_again() {
    let mut full = feed();
    let mut world = World::new(&full);
    world.unit(&mut full, true, 1, 1);
    assert_eq!(change(&mut world, &full, Quality::KeyFrames), Change::Done);
    assert!(world.unit(&mut full, false, 1, 2).is_empty());
    assert_eq!(world.unit(&mut full, true, 1, 3).len(), 1);
    assert_eq!(change(&mut world, &full, Quality::Full), Change::Done);
    assert!(world.unit(&mut full, false, 1, 4).is_empty(), "it needs a key frame first");
    assert_eq!(world.unit(&mut full, true, 1, 5).len() + world.unit(&mut full, false, 1, 6).len(), 2);
}

#[test]
fn a_pause_lets_nothing_through_and_repairs_nothing() {
    let (mut full, mut low) = (feed(), feed());
    let mut world = World::new(&full);
    let first = world.unit(&mut full, true, 1, 1);
    world.sender.pause(Instant::now());
    change(&mut world, &low, Quality::Low);
    assert!(world.unit(&mut full, true, 1, 2).is_empty() && world.ask(first[0].sequence, 0).is_empty());
    assert_eq!(world.unit(&mut low, true, 1, 3).len(), 1);
}

#[test]
fn a_pace_spreads_a_key_frame_and_leaves_out_what_has_waited_too_long() {
    let mut full = feed();
    let mut world = World::new(&full);
    world.sender.set_pace(Some(800_000), Instant::now());
    // 110,000 bytes at 100,000 a second.
    let at_once = world.unit(&mut full, true, 100, 1).len();
    let all = full.feed().ring().newest().unwrap().item.payloads.len();
    assert!((1..=4).contains(&at_once), "{at_once}");
    let begun = world.outlet.now;
    let (mut sent, mut millis) = (at_once, 0);
    while sent < all {
        millis += 10;
        world.outlet.now = begun + Duration::from_millis(millis);
        world.sender.pump(&mut world.outlet, &mut world.batch).unwrap();
        sent += world.sent().len();
        assert!(millis < 3_000, "{sent}");
    }
    println!("a key frame of 110 KB took {millis} ms");
    assert!((1_000..1_400).contains(&millis));
    for mark in 2..30 {
        world.sender.set_pace(Some(800_000), world.outlet.now);
        world.unit(&mut full, mark == 29, 1, mark);
    }
    world.outlet.now = begun + Duration::from_millis(millis + 1_000);
    world.sender.pump(&mut world.outlet, &mut world.batch).unwrap();
    let late = world.sent();
    assert_eq!(late.last().map(|packet| packet.mark), Some(29), "{late:?}");
    assert!(late.len() < 29 && world.sender.counters.skips > 0);
}

/// Nothing but the same bytes may be sealed again under one nonce, which SSRC and number make.
#[test]
fn what_is_sent_again_in_its_own_stream_is_the_same_packet() {
    for transport_cc in [None, Some(3)] {
        let mut full = feed();
        let mut world = World::new(&full);
        let extensions = Extensions { playout_delay: Some(5), transport_cc };
        world.sender =
            Sender::new(Arc::clone(full.feed()), Negotiated { rtx: None, extensions, ..NEGOTIATED });
        world.sender.progress = Progress::WaitingForKey;
        write(&mut full);
        let entry = full.feed().ring().newest().unwrap();
        world.sender.deliver(full.feed().id(), &entry, &mut world.outlet, &mut world.batch).unwrap();
        let sent = world.batch.packets().map(<[u8]>::to_vec).collect::<Vec<_>>();
        world.batch.clear();
        let first = u16::from_be_bytes([sent[0][2], sent[0][3]]);
        let missing = Missing { first, following: 0 };
        world.sender.resend(missing, &mut world.outlet, &mut world.batch).unwrap();
        let again = world.batch.packets().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let expected = &sent[..usize::from(transport_cc.is_none())];
        assert!(again == expected, "{} packets with {transport_cc:?}", again.len());
    }
}

#[test]
fn what_was_not_sent_yet_is_not_sent_again() {
    let mut full = feed();
    let mut world = World::new(&full);
    world.sender.set_pace(Some(80_000), Instant::now());
    let sent = world.unit(&mut full, true, 100, 1);
    let last = sent.last().unwrap().sequence;
    world.outlet.now += Duration::from_millis(200);
    assert_eq!(world.ask(last, 0).len(), 1);
    world.outlet.now += Duration::from_millis(200);
    assert!(world.ask(last.wrapping_add(1), 0).is_empty(), "it waits for its time");
}

#[test]
fn a_probe_sends_what_was_sent_in_the_stream_of_repairs() {
    let mut full = feed();
    let mut world = World::new(&full);
    world.sender.set_pace(Some(8_000_000), Instant::now());
    world.unit(&mut full, true, 5, 1);
    let begun = world.outlet.now;
    world.sender.begin_probe(2_000_000, begun);
    let mut bytes = 0;
    for millis in (0..2_000).step_by(10) {
        world.outlet.now = begun + Duration::from_millis(millis);
        world.sender.pump(&mut world.outlet, &mut world.batch).unwrap();
        bytes += world.batch.buffer.len();
        assert!(world.sent().iter().skip(5).all(|packet| packet.ssrc == 10));
    }
    // A ramp of 0.8 s and half a second of 250,000 bytes a second.
    println!("probed with {bytes} bytes");
    assert!((180_000..260_000).contains(&bytes));
}

/// What numbering packets for feedback costs beside their encryption.
#[test]
fn numbering_packets_costs_little() {
    const UNITS: usize = 2_000;
    let nanos = |extensions: Extensions| {
        let mut full = feed();
        let mut world = World::new(&full);
        world.sender = Sender::new(Arc::clone(full.feed()), Negotiated { extensions, ..NEGOTIATED });
        world.sender.progress = Progress::WaitingForKey;
        write(&mut full);
        let entry = full.feed().ring().newest().unwrap();
        let begun = Instant::now();
        for _ in 0..UNITS {
            world.batch.clear();
            world.sender.send(&entry, &mut world.outlet, &mut world.batch).unwrap();
        }
        begun.elapsed().as_nanos() / (UNITS as u128 * 10)
    };
    let (with, without) = (
        [3, 3].map(|id| Extensions { playout_delay: Some(5), transport_cc: Some(id) }),
        Extensions { playout_delay: Some(5), transport_cc: None },
    );
    let [without, _, with] = [nanos(without), nanos(with[0]), nanos(with[1])];
    println!("{without} ns a packet without numbers, {with} ns with them");
    assert!(with < 3 * without + 1_000);
}

fn write(writer: &mut FeedWriter) {
    let data = vec![0; 11_000].into();
    let unit = AccessUnit { track: TrackId(0), dts: MediaTime::ZERO, pts: MediaTime::ZERO, key: true, data };
    writer.write(&unit).unwrap();
}
