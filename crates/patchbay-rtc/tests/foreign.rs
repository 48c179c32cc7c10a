//! The engine against peers of another stack.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec, MediaTime, Spawn, Task, TrackId,
    track::{KeyFrames, TrackInfo},
};
use patchbay_rtc::{
    Engine, EngineConfig, Feed, FeedConfig, FeedWriter, Peer, PeerEvent, Receive, Received, Sending, Session,
    channels::{ChannelEvent, Limits, SendError},
    sdp::Offer,
};
use patchbay_testkit::webrtc::{ForeignPeer, Happened, Swarm, Wants};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(15);

struct OnRuntime(tokio::runtime::Handle);

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        self.0.spawn(task);
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
}

impl Bench {
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let config =
            EngineConfig { udp: (HERE, 0).into(), tcp: Some((HERE, 0).into()), ..EngineConfig::default() };
        let engine = {
            let _entered = runtime.enter();
            Engine::bind(config, Arc::new(OnRuntime(runtime.handle().clone())))?
        };
        Ok(Self { runtime, engine })
    }

    fn watch(&self, feed: &Arc<Feed>) -> Result<(ForeignPeer, Peer)> {
        let (mut foreign, offer) = ForeignPeer::offer(HERE, Wants::Video)?;
        let _entered = self.runtime.enter();
        let send = vec![Sending { feed: Arc::clone(feed), stream: "camera".to_owned() }];
        let offer = Offer::parse(&offer, 65_536)?;
        let (peer, answer) =
            self.engine.answer(&offer, Session { addresses: vec![HERE], send, ..Session::default() })?;
        foreign.accept(&answer)?;
        Ok((foreign, peer))
    }
}

fn feed(key_frames: KeyFrames) -> (Arc<Feed>, FeedWriter) {
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
    Feed::new(&info, FeedConfig { key_frames, ..FeedConfig::default() })
}

/// A frame whose first byte says whether it is a key frame, as VP8's does, and which holds its number.
fn unit(number: u32, every: u32, size: usize) -> AccessUnit {
    let time = MediaTime::from_nanos(i64::from(number) * 33_333_333);
    let key = number.is_multiple_of(every);
    let mut data = vec![u8::from(!key); size];
    data[10..14].copy_from_slice(&number.to_be_bytes());
    AccessUnit { track: TrackId(0), dts: time, pts: time, key, data: data.into() }
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[10..14].try_into().expect("four bytes"))
}

#[test]
fn a_newcomer_gets_everything_since_the_key_frame_and_then_what_is_live() -> Result<()> {
    let bench = Bench::new()?;
    let (feed, mut writer) = feed(KeyFrames::AsTheyCome);
    // The newest key frame is 300; 400 is live.
    for number in 0..400 {
        writer.write(&unit(number, 300, 4000))?;
    }
    let mut swarm = Swarm::new()?;
    let (foreign, mut peer) = bench.watch(&feed)?;
    swarm.add(foreign)?;
    let (mut got, mut live) = (Vec::new(), 400);
    let ran = swarm.run_until(LIMIT, |_, happened| {
        if let Some((_, Happened::Frame(frame))) = happened {
            assert!(frame.contiguous);
            got.push(number(&frame.data));
            assert_eq!(frame.data.len(), 4000);
            if got.len() >= 100 && live < 500 {
                writer.write(&unit(live, 300, 4000)).expect("it can be cut");
                live += 1;
            }
        }
        got.last() == Some(&499)
    });
    println!("{} {:?} {:?} {:?} {live}", got.len(), got.first(), got.last(), peer.statistics());
    ran?;
    assert_eq!(got, (300..500).collect::<Vec<_>>());
    assert_eq!(bench.runtime.block_on(peer.event()).context("no event")?, PeerEvent::Connected);
    let statistics = peer.statistics();
    println!("connected after {:?}", statistics.connect_time);
    assert_eq!((statistics.connected, statistics.skips), (true, 0));
    drop(peer);
    assert_eq!(bench.engine.peers(), 0);
    Ok(())
}

#[test]
fn an_encoder_is_asked_for_a_key_frame_when_the_cache_is_long() -> Result<()> {
    let bench = Bench::new()?;
    let (feed, mut writer) = feed(KeyFrames::OnRequest);
    for number in 0..100 {
        writer.write(&unit(number, 300, 4000))?;
    }
    let mut swarm = Swarm::new()?;
    let (foreign, _peer) = bench.watch(&feed)?;
    swarm.add(foreign)?;
    let (mut first, mut asked) = (None, false);
    swarm.run_until(LIMIT, |_, happened| {
        if let Some((_, Happened::Frame(frame))) = happened {
            first = Some(number(&frame.data));
        }
        if !asked && feed.key_requests().take() {
            asked = true;
            writer.write(&unit(100, 300, 4000)).expect("it can be cut");
            writer.write(&unit(600, 300, 4000)).expect("it can be cut");
        }
        first.is_some()
    })?;
    assert_eq!(first, Some(600), "the unit before the key frame is of no use to it");
    Ok(())
}

#[test]
fn many_viewers_get_the_same() -> Result<()> {
    const VIEWERS: usize = 150;
    let bench = Bench::new()?;
    let (feed, mut writer) = feed(KeyFrames::AsTheyCome);
    writer.write(&unit(0, 1000, 4000))?;
    let mut swarm = Swarm::new()?;
    let mut peers = Vec::new();
    for _ in 0..VIEWERS {
        let (foreign, peer) = bench.watch(&feed)?;
        swarm.add(foreign)?;
        peers.push(peer);
    }
    let mut got = vec![0; VIEWERS];
    let mut written = 1;
    swarm.run_until(LIMIT * 2, |_, happened| {
        if let Some((viewer, Happened::Frame(frame))) = happened {
            assert_eq!(number(&frame.data), got[viewer], "viewer {viewer}");
            got[viewer] += 1;
        }
        if got.iter().all(|count| *count == written) && written < 20 {
            writer.write(&unit(written, 1000, 4000)).expect("it can be cut");
            written += 1;
        }
        got.iter().all(|count| *count == 20)
    })?;
    assert_eq!(bench.engine.peers(), VIEWERS);
    Ok(())
}

#[test]
fn a_publisher_is_received_and_asked_for_key_frames() -> Result<()> {
    let bench = Bench::new()?;
    let (mut foreign, offer) = ForeignPeer::offer(HERE, Wants::Publish)?;
    let offer = Offer::parse(&offer, 65_536)?;
    let receive = Receive { codecs: vec![Codec::Vp8], bit_rate: 2_000_000 };
    let session = Session { addresses: vec![HERE], receive, ..Session::default() };
    let (mut peer, answer) = {
        let _entered = bench.runtime.enter();
        bench.engine.answer(&offer, session)?
    };
    foreign.accept(&answer)?;
    let mut swarm = Swarm::new()?;
    swarm.add(foreign)?;
    let (mut connected, mut sent, mut got, mut asked, mut before) = (false, 0, Vec::new(), 0, 0);
    swarm.run_until(LIMIT, |foreign, happened| {
        match happened {
            Some((_, Happened::Connected)) => connected = true,
            Some((_, Happened::KeyFrameAsked)) => asked += 1,
            _ => {}
        }
        while let Some(received) = peer.try_received() {
            match received {
                Received::Track(track) => assert_eq!((track.track, track.codec), (0, Codec::Vp8)),
                Received::Unit { unit, .. } => got.push(number(&unit.data)),
                Received::Ended { .. } => panic!("nobody has said goodbye"),
            }
        }
        if connected && sent < 200 && sent == u32::try_from(got.len()).expect("few") {
            foreign[0]
                .publish(u64::from(sent) * 3000, unit(sent, 1000, 4000).data.to_vec())
                .expect("it is sent");
            sent += 1;
        }
        if got.len() < 200 {
            before = asked;
        } else {
            peer.request_key_frame(0);
        }
        got.len() == 200 && asked > before
    })?;
    assert_eq!(got, (0..200).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn messages_are_echoed_over_data_channels() -> Result<()> {
    const MESSAGES: usize = 500;
    let bench = Bench::new()?;
    let (mut foreign, offer) = ForeignPeer::offer(HERE, Wants::Data)?;
    let offer = Offer::parse(&offer, 65_536)?;
    let session = Session { addresses: vec![HERE], channels: Some(Limits::default()), ..Session::default() };
    let (peer, answer) = {
        let _entered = bench.runtime.enter();
        bench.engine.answer(&offer, session)?
    };
    foreign.accept(&answer)?;
    bench.runtime.spawn(async move {
        let mut waiting = None;
        loop {
            // A full buffer stops the reading, and so the peer.
            if let Some((id, kind, data)) = waiting.take()
                && peer.send_message(id, kind, Bytes::clone(&data)) == Err(SendError::Full)
            {
                waiting = Some((id, kind, data));
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            }
            match peer.channel_event().await {
                Some(ChannelEvent::Message { id, content, data }) => waiting = Some((id, content, data)),
                Some(_) => {}
                None => return,
            }
        }
    });
    let mut swarm = Swarm::new()?;
    swarm.add(foreign)?;
    let (mut channel, mut sent, mut got) = (None, 0, 0);
    swarm.run_until(LIMIT, |foreign, happened| {
        match happened {
            Some((_, Happened::ChannelOpen(id, label))) => {
                assert_eq!(label, "test");
                channel = Some(id);
            }
            Some((_, Happened::Message(_, data))) => {
                assert_eq!(data, vec![u8::try_from(got % 251).expect("it is small"); 16_000]);
                got += 1;
            }
            _ => {}
        }
        if let Some(id) = channel {
            while sent < MESSAGES
                && foreign[0]
                    .send(id, &vec![u8::try_from(sent % 251).expect("it is small"); 16_000])
                    .expect("it is open")
            {
                sent += 1;
            }
        }
        got == MESSAGES
    })
}
