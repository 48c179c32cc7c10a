use super::*;
use proptest::prelude::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rtc_sctp::ClientConfig;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What a browser does: it opens the association and has the even streams.
fn client(now: Instant, limits: Limits) -> Channels {
    let mut channels = Channels::new(now, Some(0), limits);
    let config = ClientConfig::new(transport(limits, channels.largest_sent));
    channels.association = Some(channels.endpoint.connect(now, config, NOWHERE).expect("an association"));
    channels.first_stream = 0;
    channels
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Browser,
    Server,
}

/// A packet under way: when it arrives, its number, where, and what it is.
pub(super) type Flying = (Instant, u64, Side, Vec<u8>);

/// Two peers and a network between them, on a clock of its own.
pub(super) struct Network {
    pub(super) browser: Channels,
    pub(super) server: Channels,
    start: Instant,
    pub(super) now: Instant,
    random: StdRng,
    /// One packet of so many gets lost; 0 for none.
    loses_one_of: u32,
    /// Delays differ by so many milliseconds, which reorders.
    jitter: u32,
    pub(super) flying: BinaryHeap<Reverse<Flying>>,
    count: u64,
}

impl Network {
    pub(super) fn new(seed: u64, loses_one_of: u32, jitter: u32) -> Self {
        Self::with_limits(seed, loses_one_of, jitter, Limits::default(), Limits::default())
    }

    fn with_limits(seed: u64, loses_one_of: u32, jitter: u32, browser: Limits, server: Limits) -> Self {
        let now = Instant::now();
        Self {
            browser: client(now, browser),
            server: Channels::new(now, Some(0), server),
            start: now,
            now,
            random: StdRng::seed_from_u64(seed),
            loses_one_of,
            jitter,
            flying: BinaryHeap::new(),
            count: 0,
        }
    }

    /// With a channel that the browser opened.
    pub(super) fn opened(mut self, settings: &Settings) -> (Self, ChannelId) {
        self.until("a connection", |network| network.browser.state == State::Connected);
        let id = self.browser.open(self.now, settings.clone()).expect("a channel");
        let told = self.until_event(Side::Server);
        assert_eq!(told, ChannelEvent::Opened { id, settings: settings.clone() });
        assert_eq!(self.until_event(Side::Browser), told);
        (self, id)
    }

    pub(super) fn side(&mut self, side: Side) -> &mut Channels {
        match side {
            Side::Browser => &mut self.browser,
            Side::Server => &mut self.server,
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = self.now + Duration::from_hours(1);
        while !done(self) {
            assert!(self.now < limit, "{what}: not within an hour on the network's clock");
            assert!(
                self.step(),
                "{what}: nothing more happens after {:?}, closed: {} {} connected: {}",
                self.now.duration_since(self.start),
                self.browser.is_closed(),
                self.server.is_closed(),
                self.server.state == State::Connected
            );
        }
    }

    pub(super) fn until_event(&mut self, side: Side) -> ChannelEvent {
        let mut found = None;
        self.until("an event", |network| {
            found = network.side(side).poll_event();
            found.is_some()
        });
        found.expect("it was waited for")
    }

    fn until_quiet(&mut self) {
        while self.step() {}
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) -> bool {
        self.collect(Side::Server);
        self.collect(Side::Browser);
        let arrival = self.flying.peek().map(|Reverse((at, ..))| *at);
        let next =
            [arrival, self.browser.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        while self.flying.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, to, packet))) = self.flying.pop() else { break };
            self.side(to).handle(now, &packet);
        }
        for side in [Side::Browser, Side::Server] {
            if self.side(side).poll_timeout().is_some_and(|at| at <= now) {
                self.side(side).handle_timeout(now);
            }
        }
        true
    }

    pub(super) fn collect(&mut self, from: Side) {
        let to = if from == Side::Server { Side::Browser } else { Side::Server };
        while let Some(packet) = self.side(from).poll_transmit() {
            if self.loses_one_of != 0 && self.random.next_u32().is_multiple_of(self.loses_one_of) {
                continue;
            }
            let delay = Duration::from_millis(u64::from(5 + self.random.next_u32() % (self.jitter + 1)));
            self.count += 1;
            self.flying.push(Reverse((self.now + delay, self.count, to, packet.to_vec())));
        }
    }
}

pub(super) fn settings(label: &str) -> Settings {
    Settings {
        label: label.to_owned(),
        protocol: String::new(),
        ordered: true,
        reliability: Reliability::Reliable,
    }
}

pub(super) fn message(number: u32, size: usize) -> Bytes {
    let fill = number.to_le_bytes()[0];
    let mut data = vec![fill; size];
    data[..4].copy_from_slice(&number.to_le_bytes());
    data.into()
}

#[test]
fn messages_of_every_kind_arrive_both_ways() {
    let wanted = Settings { protocol: "patchbay".to_owned(), ..settings("chat \u{1F4F7}") };
    let (mut network, id) = Network::new(1, 0, 0).opened(&wanted);
    let sent = [
        (Content::Text, Bytes::from("grüß Gott")),
        (Content::Binary, Bytes::from_static(&[0, 255, 1])),
        (Content::Text, Bytes::new()),
        (Content::Binary, Bytes::new()),
    ];
    for (content, data) in sent {
        for (from, to) in [(Side::Browser, Side::Server), (Side::Server, Side::Browser)] {
            let now = network.now;
            network.side(from).send(now, id, content, data.clone()).expect("room");
            let expected = ChannelEvent::Message { id, content, data: data.clone() };
            assert_eq!(network.until_event(to), expected);
        }
    }
    network.until_quiet();
    assert_eq!((network.browser.buffered(), network.server.buffered()), (0, 0), "all is acknowledged");
}

#[test]
fn both_sides_open_channels_with_every_setting() {
    let (mut network, first) = Network::new(2, 0, 0).opened(&settings("first"));
    let mut ids = vec![first];
    for ordered in [true, false] {
        for reliability in [
            Reliability::Reliable,
            Reliability::Retransmits(3),
            Reliability::Lifetime(Duration::from_millis(150)),
        ] {
            let wanted = Settings { ordered, reliability, ..settings("more") };
            let now = network.now;
            let id = network.server.open(now, wanted.clone()).expect("a channel");
            assert_eq!(id.0 % 2, 1, "the DTLS server has the odd ones");
            assert_eq!(
                network.until_event(Side::Browser),
                ChannelEvent::Opened { id, settings: wanted.clone() }
            );
            assert_eq!(network.until_event(Side::Server), ChannelEvent::Opened { id, settings: wanted });
            ids.push(id);
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[test]
fn two_thousand_messages_both_ways_through_a_bad_network() {
    const COUNT: u32 = 2000;
    const SIZE: usize = 16_000;
    let began = Instant::now();
    let (mut network, id) = Network::new(3, 50, 8).opened(&settings("files"));
    let (mut sent, mut received) = ([0, 0], [0, 0]);
    let sides = [Side::Browser, Side::Server];
    network.until("all messages", |network| {
        for (place, side) in sides.into_iter().enumerate() {
            let now = network.now;
            let channels = network.side(side);
            while sent[place] < COUNT
                && channels.send(now, id, Content::Binary, message(sent[place], SIZE)).is_ok()
            {
                sent[place] += 1;
            }
            while let Some(event) = channels.poll_event() {
                let ChannelEvent::Message { data, .. } = event else { continue };
                assert_eq!(data, message(received[place], SIZE), "whole and in order");
                received[place] += 1;
            }
            assert!(channels.buffered() <= Limits::default().send_buffer);
        }
        received == [COUNT, COUNT]
    });
    let clock = network.now.duration_since(network.start);
    println!(
        "{COUNT} x {SIZE} bytes both ways, 2 % lost: {clock:?} on the network's clock, {:?} of work",
        began.elapsed()
    );
    network.until_quiet();
    assert_eq!((network.browser.buffered(), network.server.buffered()), (0, 0));
}

#[test]
fn the_handshake_survives_any_loss() {
    for seed in 0..40 {
        let (network, _) = Network::new(seed, 4, 2000).opened(&settings("x"));
        assert!(!network.server.is_closed() && !network.browser.is_closed());
    }
}

#[test]
fn a_full_send_buffer_refuses_and_tells_when_there_is_room() {
    let (mut network, id) = Network::new(4, 0, 0).opened(&settings("x"));
    let now = network.now;
    let mut taken = 0;
    while network.server.send(now, id, Content::Binary, message(taken, 60_000)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 17, "one MiB");
    assert_eq!(network.server.send(now, id, Content::Binary, message(0, 60_000)), Err(SendError::Full));
    let mut received = 0;
    network.until("room", |network| {
        while network.browser.poll_event().is_some() {
            received += 1;
        }
        network.server.poll_event() == Some(ChannelEvent::Writable)
    });
    assert!(network.server.buffered() <= Limits::default().send_buffer / 2 && received >= 8);
    assert_eq!(network.server.send(now, id, Content::Binary, message(0, 60_000)), Ok(()));
}

#[test]
fn messages_that_are_not_taken_stop_the_sender() {
    let (mut network, id) = Network::new(5, 0, 0).opened(&settings("x"));
    let mut sent = 0;
    let mut last = 0;
    // A closed window is probed for ever: as long as three probes bring nothing, nothing comes through.
    for _ in 0..2000 {
        let now = network.now;
        while sent < 400 && network.browser.send(now, id, Content::Binary, message(sent, 16_000)).is_ok() {
            sent += 1;
            last = network.count;
        }
        if !network.step() {
            break;
        }
    }
    let acknowledged = u64::from(sent) * 16_000 - network.browser.buffered() as u64;
    println!(
        "{sent} messages taken to send, {acknowledged} bytes acknowledged, {} packets after the last",
        network.count - last
    );
    assert!(sent < 400, "the sender stands");
    assert!(acknowledged <= 1_100_000, "the receive buffer is the bound: {acknowledged}");
    let mut received = 0;
    network.until("the rest", |network| {
        let now = network.now;
        while let Some(event) = network.server.poll_event() {
            let ChannelEvent::Message { data, .. } = event else { panic!("{event:?}") };
            assert_eq!(data, message(received, 16_000));
            received += 1;
        }
        while sent < 400 && network.browser.send(now, id, Content::Binary, message(sent, 16_000)).is_ok() {
            sent += 1;
        }
        received == 400
    });
}

#[test]
fn a_message_that_is_too_large_is_not_sent_and_not_taken() {
    let small = Limits { message: 1000, ..Limits::default() };
    let network = Network::with_limits(6, 0, 0, Limits::default(), small);
    let (mut network, id) = network.opened(&settings("x"));
    let now = network.now;
    let found = network.server.send(now, id, Content::Binary, message(1, 1001));
    assert_eq!(found, Err(SendError::TooLarge { size: 1001, limit: 1000 }));
    network.browser.send(now, id, Content::Binary, message(1, 1000)).expect("room");
    network.browser.send(now, id, Content::Binary, message(2, 1001)).expect("this peer keeps no limit");
    assert!(
        matches!(network.until_event(Side::Server), ChannelEvent::Message { data, .. } if data.len() == 1000)
    );
    assert_eq!(network.until_event(Side::Server), ChannelEvent::Closed { id });
    assert_eq!(network.until_event(Side::Browser), ChannelEvent::Closed { id });
}

#[test]
fn what_the_peer_takes_bounds_what_is_sent() {
    let largest = |offered| Channels::new(Instant::now(), offered, Limits::default()).largest_sent;
    assert_eq!(largest(None), 65_536, "RFC 8841");
    assert_eq!(largest(Some(0)), Limits::default().message);
    assert_eq!(largest(Some(5)), 5);
    assert_eq!(largest(Some(u64::MAX)), Limits::default().message);
}

#[test]
fn more_channels_than_allowed_are_closed_at_once() {
    let few = Limits { channels: 4, ..Limits::default() };
    let (mut network, _) = Network::with_limits(7, 0, 0, Limits::default(), few).opened(&settings("first"));
    let now = network.now;
    network.server.open(now, settings("ours")).expect("a channel");
    let more: Vec<_> =
        (0..3).map(|_| network.browser.open(now, settings("more")).expect("a stream")).collect();
    assert_eq!(
        network.browser.open(now, settings("more")),
        Err(OpenError::TooMany),
        "no more streams were agreed"
    );
    let mut closed = Vec::new();
    network.until("an end", |network| {
        while network.server.poll_event().is_some() {}
        while let Some(event) = network.browser.poll_event() {
            closed.extend(matches!(event, ChannelEvent::Closed { .. }).then_some(event));
        }
        !closed.is_empty()
    });
    assert_eq!(closed, [ChannelEvent::Closed { id: more[2] }]);
    assert!(!network.server.is_closed());
    let now = network.now;
    assert_eq!(network.server.open(now, settings("ours")), Err(OpenError::TooMany));
}

#[test]
fn a_peer_that_opens_streams_without_end_is_dropped() {
    let few = Limits { channels: 4, ..Limits::default() };
    let (mut network, _) = Network::with_limits(8, 0, 0, Limits::default(), few).opened(&settings("first"));
    let now = network.now;
    for id in 10..30 {
        let Some((_, association)) = &mut network.browser.association else { panic!("an association") };
        let mut stream = association.open_stream(id, Protocol::Binary).expect("a stream");
        stream.write_with_ppi(now, b"x", Protocol::Binary).expect("room");
    }
    network.until("an end", |network| network.server.is_closed() && network.browser.is_closed());
    assert_eq!(network.server.poll_event(), Some(ChannelEvent::Closed { id: ChannelId(0) }));
}

#[test]
fn closing_lets_what_was_sent_arrive_and_frees_the_stream() {
    for (from, to) in [(Side::Browser, Side::Server), (Side::Server, Side::Browser)] {
        let (mut network, id) = Network::new(9, 20, 4).opened(&settings("x"));
        let now = network.now;
        for number in 0..20 {
            network.side(from).send(now, id, Content::Binary, message(number, 16_000)).expect("room");
        }
        network.side(from).close(now, id);
        assert_eq!(network.side(from).send(now, id, Content::Text, Bytes::new()), Err(SendError::Unknown));
        for number in 0..20 {
            let expected =
                ChannelEvent::Message { id, content: Content::Binary, data: message(number, 16_000) };
            assert_eq!(network.until_event(to), expected);
        }
        assert_eq!(network.until_event(to), ChannelEvent::Closed { id });
        assert_eq!(network.until_event(from), ChannelEvent::Closed { id });
        assert_eq!((network.browser.buffered(), network.server.buffered()), (0, 0));
        let now = network.now;
        assert_eq!(network.browser.open(now, settings("again")), Ok(id), "the number is free again");
        assert!(matches!(network.until_event(Side::Server), ChannelEvent::Opened { .. }));
    }
}

#[test]
fn without_order_and_retransmission_some_get_lost_and_nothing_hangs() {
    let loose =
        Settings { ordered: false, reliability: Reliability::Retransmits(0), ..settings("positions") };
    let (mut network, id) = Network::new(10, 10, 10).opened(&loose);
    let mut received = 0;
    for number in 0..500 {
        let now = network.now;
        network.server.send(now, id, Content::Binary, message(number, 100)).expect("room");
        network.step();
        while network.browser.poll_event().is_some() {
            received += 1;
        }
    }
    network.until("all acknowledged or given up", |network| {
        while network.browser.poll_event().is_some() {
            received += 1;
        }
        network.server.buffered() == 0
    });
    println!("{received} of 500 arrived with one packet of ten lost");
    assert!((300..500).contains(&received));
}

#[test]
fn an_abort_is_told_to_both() {
    let (mut network, id) = Network::new(11, 0, 0).opened(&settings("x"));
    network.server.abort();
    assert_eq!(network.server.poll_event(), Some(ChannelEvent::Closed { id }));
    assert_eq!(network.until_event(Side::Browser), ChannelEvent::Closed { id });
    assert!(network.server.is_closed() && network.browser.is_closed());
    let now = network.now;
    assert_eq!(network.server.open(now, settings("y")), Err(OpenError::NotConnected));
}
