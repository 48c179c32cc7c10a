use super::*;
use crate::{
    congestion::Quality,
    connection::{Extensions, Negotiated, Outlet, Sender},
    feed::{Feed, FeedConfig, FeedWriter},
    sdp,
};
use bytes::Bytes;
use patchbay_media::{AccessUnit, Codec, MediaTime, Task, TrackId, track::TrackInfo};
use std::net::Ipv4Addr;

const SOON: Duration = Duration::from_secs(10);

/// Runs all tasks but one, and counts them.
#[derive(Default)]
struct Spawner {
    without: &'static str,
    running: Arc<AtomicU64>,
}

struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Spawn for Spawner {
    fn spawn(&self, name: &'static str, task: Task) {
        if name == self.without {
            return;
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        tokio::runtime::Handle::current().spawn(async move {
            let _running = running;
            task.await;
        });
    }
}

fn engine(without: &'static str) -> (Engine, Arc<AtomicU64>) {
    let here = (Ipv4Addr::LOCALHOST, 0).into();
    let config = EngineConfig { udp: here, tcp: Some(here), max_tcp: 4, ..EngineConfig::default() };
    let spawner = Spawner { without, ..Spawner::default() };
    let running = Arc::clone(&spawner.running);
    (Engine::bind(config, Arc::new(spawner)).unwrap(), running)
}

fn feed() -> (Arc<Feed>, FeedWriter) {
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
    Feed::new(&info, FeedConfig::default())
}

fn unit(millis: i64) -> AccessUnit {
    let time = MediaTime::from_nanos(millis * 1_000_000);
    AccessUnit { track: TrackId(0), dts: time, pts: time, key: true, data: Bytes::from_static(&[0; 99]) }
}

fn watch(engine: &Engine, feed: &Arc<Feed>) -> Peer {
    let send = vec![Sending { feed: Arc::clone(feed), stream: "camera".to_owned() }];
    let offer = Offer::parse(include_str!("../../testdata/offers/chromium_recvonly.sdp"), 65_536).unwrap();
    engine.answer(&offer, Session { send, ..Session::default() }).unwrap().0
}

fn path(port: u16) -> Path {
    Path { transport: Transport::Udp, remote: (Ipv4Addr::LOCALHOST, port).into(), local: None }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "{what} did not come to be");
        tokio::task::yield_now().await;
    }
    println!("{what} after {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_tasks_end_with_the_last_engine_and_the_last_peer() {
    let (engine, running) = engine("");
    let (feed, _writer) = feed();
    let peer = watch(&engine, &feed);
    engine.inner.fanouts.join(&engine.inner, &feed, &peer.cell, 0);
    let inner = Arc::downgrade(&engine.inner);
    drop(engine.clone());
    drop(engine);
    tokio::task::yield_now().await;
    assert_eq!(running.load(Ordering::SeqCst), 5, "UDP, TCP, timer, pacer, and a group of viewers");
    let address = peer.inner.udp.address();
    drop(peer);
    until("the end of all tasks", || running.load(Ordering::SeqCst) == 0).await;
    until("the end of the engine", || inner.upgrade().is_none()).await;
    std::net::UdpSocket::bind(address).expect("the port is free again");
}

#[tokio::test]
async fn an_end_by_a_failure_while_sending_is_told_at_once() {
    // Without the timer nobody else would tell.
    let (engine, _) = engine("rtc-timer");
    let (feed, mut writer) = feed();
    let mut peer = watch(&engine, &feed);
    engine.inner.fanouts.join(&engine.inner, &feed, &peer.cell, 0);
    peer.cell.connection.lock().end(Closed::Failed("no more packets".to_owned()));
    writer.write(&unit(0)).unwrap();
    let event = tokio::time::timeout(SOON, peer.event()).await.expect("nothing was told");
    assert_eq!(event, Some(PeerEvent::Closed(Closed::Failed("no more packets".to_owned()))));
    assert_eq!((engine.peers(), engine.inner.fanouts.members()), (0, 0));
}

#[tokio::test]
async fn nothing_of_a_peer_that_has_ended_is_kept() {
    let (engine, _) = engine("");
    let (feed, _writer) = feed();
    let peer = watch(&engine, &feed);
    peer.close();
    // What other tasks may still be about to do: a check, a restart, the start of the tracks.
    engine.inner.open_path(path(5000), &peer.cell);
    peer.restart(&Credentials {
        ufrag: "another".to_owned(),
        password: "a password of some length".to_owned(),
    });
    start::begin(&engine.inner, &peer.cell);
    assert_eq!(engine.inner.table.sizes(), [0, 0, 0]);
    assert_eq!(engine.inner.fanouts.members(), 0);
    let cell = Arc::downgrade(&peer.cell);
    drop(peer);
    until("the end of the peer", || cell.upgrade().is_none()).await;
}

/// Of feeds from which nothing comes, which would take nobody out at their next unit.
#[tokio::test]
async fn who_was_between_two_feeds_is_in_the_groups_of_neither_after_its_end() {
    let (engine, _) = engine("");
    let ((full, _first), (low, _second), (late, _third)) = (feed(), feed(), feed());
    let peer = watch(&engine, &full);
    engine.inner.fanouts.join(&engine.inner, &full, &peer.cell, 0);
    peer.cell.connection.lock().senders[0].progress = crate::connection::Progress::WaitingForKey;
    peer.change(&low, Quality::Low, Arc::new(())).unwrap();
    // It wants the first one again before the other has begun.
    peer.change(&full, Quality::Full, Arc::new(())).unwrap();
    assert_eq!(engine.inner.fanouts.members(), 2);
    peer.close();
    assert_eq!(engine.inner.fanouts.members(), 0);
    // What was on its way when it ended.
    assert_eq!(peer.change(&late, Quality::Low, Arc::new(())), Err(peer::ChangeError::Codec));
    assert_eq!(engine.inner.fanouts.members(), 0);
    let cell = Arc::downgrade(&peer.cell);
    drop(peer);
    until("the end of the peer", || cell.upgrade().is_none()).await;
}

#[tokio::test]
async fn a_panic_ends_one_peer_alone() {
    let (engine, _) = engine("");
    let (feed, _writer) = feed();
    let (mut one, other) = (watch(&engine, &feed), watch(&engine, &feed));
    one.cell.act(|_| panic!("a mistake in a protocol stack"));
    engine.inner.settle(&one.cell, &mut Batch::default());
    let event = tokio::time::timeout(SOON, one.event()).await.expect("nothing was told");
    assert_eq!(event, Some(PeerEvent::Closed(Closed::Failed("an internal error".to_owned()))));
    assert!(!other.cell.connection.lock().is_closed());
    assert_eq!(engine.peers(), 1);
}

#[tokio::test]
async fn paths_of_a_peer_are_bounded_and_go_back_to_whom_they_belong() {
    let (engine, _) = engine("");
    let (feed, _writer) = feed();
    let (one, other) = (watch(&engine, &feed), watch(&engine, &feed));
    let table = &engine.inner.table;
    for _ in 0..100 {
        table.open_path(path(5000), &one.cell);
        table.open_path(path(5000), &other.cell);
    }
    assert_eq!(table.by_path(&path(5000)).unwrap().id, other.id());
    for port in 6000..6100 {
        table.open_path(path(port), &one.cell);
    }
    assert_eq!(table.sizes(), [2, 2, 33]);
    let tcp = |port| Path { transport: Transport::Tcp, ..path(port) };
    let lost = (7000..7009).filter_map(|port| table.open_path(tcp(port), &other.cell)).collect::<Vec<_>>();
    assert_eq!(lost, [tcp(7000)]);
    drop((one, other));
    assert_eq!(table.sizes(), [0, 0, 0]);
}

#[tokio::test]
async fn who_connects_over_tcp_and_says_nothing_makes_room() {
    use tokio::{io::AsyncReadExt as _, net::TcpStream};
    let (engine, _) = engine("");
    let address = engine.tcp_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let tcp = engine.inner.tcp.as_ref().unwrap();
    until("four connections", || tcp.connections() == 4).await;
    let _fifth = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    let end = tokio::time::timeout(SOON, silent[0].read_u8()).await.expect("the oldest stays").unwrap_err();
    println!("the oldest ended after {:?}: {end}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(3), "it would have ended by itself after five seconds");
    assert_eq!(tcp.connections(), 4);
}

/// A connection without a network: both ends of SRTP have the same keys.
fn sender(feed: &Arc<Feed>) -> Sender {
    Sender::new(
        Arc::clone(feed),
        Negotiated { ssrc: 9, payload_type: 96, rtx: Some((10, 97)), extensions: Extensions::default() },
    )
}

#[tokio::test]
async fn what_is_sent_again_is_counted_in_bytes() {
    let provider = rtc_crypto::providers::AwsLcRsProvider::new();
    let srtp = crate::srtp::tests::pair(rtc_crypto::RTCCryptoProvider::crypto(&provider));
    let mut outlet = Outlet::new(srtp, Instant::now());
    let (feed, mut writer) = feed();
    writer.write(&unit(0)).unwrap();
    let (mut sender, mut batch) = (sender(&feed), Batch::default());
    let entry = feed.at(0).unwrap();
    sender.send(&entry, &mut outlet, &mut batch).unwrap();
    let [_, _, high, low, ..] = batch.buffer[..] else { panic!("a packet") };
    let missing = crate::rtcp::Missing { first: u16::from_be_bytes([high, low]), following: 1 };
    sender.resend(missing, &mut outlet, &mut batch).unwrap();
    let counters = sender.counters;
    assert_eq!((counters.packets, counters.resent, counters.not_resent), (1, 1, 1));
    assert_eq!((counters.bytes, counters.resent_bytes), (entry.item.payloads.bytes() as u64, counters.bytes));
    // The original, and the retransmission with its two bytes.
    let length = 12 + entry.item.payloads.bytes() + 16;
    assert_eq!(batch.packets().map(<[u8]>::len).collect::<Vec<_>>(), [length, length + 2]);
}

/// An offer that sends and receives pictures in so many sections, all of which announce the same SSRCs.
fn offer(sections: usize, mid: impl Fn(usize) -> String) -> Result<Offer, sdp::OfferError> {
    let mids = (0..sections).map(&mid).collect::<Vec<_>>();
    let media = mids.iter().map(|mid| {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:{mid}\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
             a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 7 8\r\na=ssrc:7 cname:x\r\na=ssrc:8 cname:x\r\n"
        )
    });
    let text = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=fingerprint:sha-256 {}\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\n{}",
        mids.join(" "),
        ["AB"; 32].join(":"),
        media.collect::<String>(),
    );
    Offer::parse(&text, 65_536)
}

#[tokio::test]
async fn offers_with_many_sections_are_answered_section_by_section() {
    let (engine, _) = engine("");
    let (feed, _writer) = feed();
    let send = vec![Sending { feed, stream: "camera".to_owned() }];
    let receive = Receive { codecs: vec![Codec::Vp8], bit_rate: 0 };
    let session = Session { send, receive, ..Session::default() };
    let (peer, answer) = engine.answer(&offer(64, |index| index.to_string()).unwrap(), session).unwrap();
    assert_eq!(answer.matches("m=video").count(), 64);
    assert_eq!((answer.matches("a=sendonly").count(), answer.matches("a=recvonly").count()), (1, 63));
    // All sections announce one SSRC: it is one track, of the first that receives.
    let mut connection = peer.cell.connection.lock();
    for sequence in 0..50 {
        let mut packet = vec![0x80, 96, 0, sequence, 0, 0, 0, 9, 0, 0, 0, 7];
        packet.extend_from_slice(&[0x10, 0, 1, 2, 3]);
        connection.incoming.packet(&packet.into(), Instant::now());
    }
    let tracks = std::iter::from_fn(|| connection.incoming.poll());
    let tracks = tracks.filter_map(|received| match received {
        crate::Received::Track(track) => Some(track.mid),
        _ => None,
    });
    assert_eq!(tracks.collect::<Vec<_>>(), ["1"]);
    drop(connection);
    assert!(offer(65, |index| index.to_string()).unwrap_err().to_string().contains("more than 64"));
    assert!(offer(2, |_| "same".to_owned()).unwrap_err().to_string().contains("same"));
}

#[tokio::test]
async fn what_a_peer_has_sent_before_its_end_is_received_and_then_the_end() {
    const UNITS: u8 = 200;
    let (engine, _) = engine("");
    let receive = Receive { codecs: vec![Codec::Vp8], bit_rate: 0 };
    let session = Session { receive, ..Session::default() };
    let (mut peer, _) = engine.answer(&offer(1, |index| index.to_string()).unwrap(), session).unwrap();
    for sequence in 0..UNITS {
        let mut packet = vec![0x80, 224, 0, sequence, 0, 0, sequence, 9, 0, 0, 0, 7];
        // Payload type 96 with the marker; the start of a partition, and a frame that is a key frame where its first bit says so.
        packet.extend_from_slice(&[0x10, u8::from(sequence > 0), 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        peer.cell.connection.lock().incoming.packet(&packet.into(), Instant::now());
    }
    peer.close();
    let mut received = 0;
    while let Some(what) = tokio::time::timeout(SOON, peer.received()).await.expect("there is an end") {
        received += usize::from(matches!(what, crate::Received::Unit { .. }));
    }
    assert_eq!(received, usize::from(UNITS));
    assert_eq!(peer.try_received(), None);
}
