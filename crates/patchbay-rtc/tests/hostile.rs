//! What strangers and bad peers send to the port, while somebody watches.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec, MediaTime, Spawn, Task, TrackId,
    track::{KeyFrames, TrackInfo},
};
use patchbay_rtc::{Engine, EngineConfig, Feed, FeedConfig, FeedWriter, Peer, Sending, Session, sdp::Offer};
use patchbay_testkit::webrtc::{ForeignPeer, Happened, Swarm, Wants};
use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(30);
const DATAGRAMS: u64 = 40_000;

struct OnRuntime(tokio::runtime::Handle);

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        self.0.spawn(task);
    }
}

fn engine(runtime: &tokio::runtime::Runtime) -> Result<Engine> {
    let config =
        EngineConfig { udp: (HERE, 0).into(), tcp: Some((HERE, 0).into()), ..EngineConfig::default() };
    let _entered = runtime.enter();
    Ok(Engine::bind(config, Arc::new(OnRuntime(runtime.handle().clone())))?)
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
    Feed::new(&info, FeedConfig { key_frames: KeyFrames::AsTheyCome, ..FeedConfig::default() })
}

fn unit(number: u32) -> AccessUnit {
    let time = MediaTime::from_nanos(i64::from(number) * 33_333_333);
    let key = number.is_multiple_of(300);
    let mut data = vec![u8::from(!key); 4000];
    data[10..14].copy_from_slice(&number.to_be_bytes());
    AccessUnit { track: TrackId(0), dts: time, pts: time, key, data: data.into() }
}

fn watch(
    runtime: &tokio::runtime::Runtime,
    engine: &Engine,
    feed: &Arc<Feed>,
) -> Result<(ForeignPeer, Peer)> {
    let (mut foreign, offer) = ForeignPeer::offer(HERE, Wants::Video)?;
    let _entered = runtime.enter();
    let send = vec![Sending { feed: Arc::clone(feed), stream: "camera".to_owned() }];
    let offer = Offer::parse(&offer, 65_536)?;
    let (peer, answer) =
        engine.answer(&offer, Session { addresses: vec![HERE], send, ..Session::default() })?;
    foreign.accept(&answer)?;
    Ok((foreign, peer))
}

/// The same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % (most + 1)).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A check with a user name that may be known, and an integrity that nobody has computed.
fn check(noise: &mut Noise, user: &str) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut add = |kind: u16, value: &[u8]| {
        attributes.extend_from_slice(&kind.to_be_bytes());
        attributes.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        attributes.extend_from_slice(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    };
    add(0x0006, user.as_bytes());
    if noise.next().is_multiple_of(2) {
        add(0x0025, &[]);
    }
    let integrity = if noise.next().is_multiple_of(4) { noise.bytes(40) } else { vec![7; 20] };
    add(0x0008, &integrity);
    let mut message = vec![0, 1];
    message.extend_from_slice(&u16::try_from(attributes.len()).expect("short").to_be_bytes());
    message.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    message.extend_from_slice(&[9; 12]);
    message.extend_from_slice(&attributes);
    if noise.next().is_multiple_of(4) {
        let at = usize::try_from(noise.next()).unwrap_or(0) % message.len();
        message[at] ^= noise.next().to_le_bytes()[0] | 1;
    }
    message
}

fn garbage(noise: &mut Noise, user: &str) -> Vec<u8> {
    let first = |byte: u8, noise: &mut Noise| [vec![byte], noise.bytes(1400)].concat();
    match noise.next() % 8 {
        0 => Vec::new(),
        1 => check(noise, user),
        2 => check(noise, "nobody:nobody"),
        3 => first(22, noise),
        4 => [vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 200, 1], noise.bytes(300)].concat(),
        5 => first(0x80, noise),
        6 => [vec![0x81, 206], noise.bytes(200)].concat(),
        _ => noise.bytes(1500),
    }
}

#[test]
fn a_viewer_sees_every_frame_while_garbage_pours_in() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let engine = engine(&runtime)?;
    let (feed, mut writer) = feed();
    writer.write(&unit(0))?;
    let mut swarm = Swarm::new()?;
    let (foreign, peer) = watch(&runtime, &engine, &feed)?;
    swarm.add(foreign)?;
    let user = format!("{}:{}", peer.answer().ice.ufrag, peer.remote_credentials().ufrag);
    let (target, tcp) = (engine.udp_address(), engine.tcp_address().context("TCP is on")?);
    let sent = Arc::new(AtomicU64::new(0));
    let attack = {
        let sent = Arc::clone(&sent);
        move || -> Result<()> {
            let socket = UdpSocket::bind((HERE, 0))?;
            let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
            let mut connection = TcpStream::connect(tcp)?;
            while sent.fetch_add(1, Ordering::Relaxed) < DATAGRAMS {
                let datagram = garbage(&mut noise, &user);
                socket.send_to(&datagram, target)?;
                // Over TCP the same, framed now and then as it should be; it is closed for it.
                let framed = [u16::try_from(datagram.len())?.to_be_bytes().to_vec(), datagram].concat();
                if noise.next().is_multiple_of(16) && connection.write_all(&framed).is_err() {
                    connection = TcpStream::connect(tcp)?;
                }
            }
            Ok(())
        }
    };
    let begun = Instant::now();
    let (mut got, mut written, mut attacker) = (0, 1, None);
    swarm.run_until(LIMIT, |_, happened| {
        if let Some((_, Happened::Frame(frame))) = happened {
            assert_eq!(u32::from_be_bytes(frame.data[10..14].try_into().expect("four bytes")), got);
            got += 1;
            if attacker.is_none() {
                attacker = Some(std::thread::spawn(attack.clone()));
            }
        }
        let is_over = sent.load(Ordering::Relaxed) >= DATAGRAMS;
        if got == written && !is_over {
            writer.write(&unit(written)).expect("it can be cut");
            written += 1;
        }
        is_over && got == written
    })?;
    attacker.context("nobody attacked")?.join().map_err(|_| anyhow::anyhow!("the attacker failed"))??;
    let strays = engine.counters().strays.load(Ordering::Relaxed);
    println!("{got} frames in {:?}, {strays} of {DATAGRAMS} datagrams belonged to nobody", begun.elapsed());
    assert!(got > 20 && strays > DATAGRAMS / 4, "{got} frames, {strays} strays");
    let statistics = peer.statistics();
    assert!(statistics.connected && statistics.skips == 0, "{statistics:?}");
    Ok(())
}

/// What looks like a packet of a session, and is none: records of all kinds and of both epochs, media and reports.
fn imitation(noise: &mut Noise) -> Vec<u8> {
    let body = noise.bytes(300);
    match noise.next() % 4 {
        0 => [vec![0x80, 96, 1], body].concat(),
        1 => [vec![0x81, 200 + noise.next().to_le_bytes()[0] % 8], body].concat(),
        _ => {
            let [kind, epoch, number, ..] = noise.next().to_le_bytes();
            let mut record = vec![20 + kind % 6, 254, 253, 0, epoch % 3, 0, 0, 0, 0, 1, number];
            record.extend_from_slice(&u16::try_from(body.len()).expect("short").to_be_bytes());
            if kind.is_multiple_of(2) {
                // A whole message of a handshake, numbered in order or not.
                let length = u16::try_from(body.len().saturating_sub(12)).expect("short").to_be_bytes();
                let header =
                    [number % 25, 0, length[0], length[1], 0, number % 16, 0, 0, 0, 0, length[0], length[1]];
                return [record, header.to_vec(), body.get(12..).unwrap_or(&[]).to_vec()].concat();
            }
            [record, body].concat()
        }
    }
}

#[test]
fn a_bad_peer_disturbs_no_other_one() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let engine = engine(&runtime)?;
    let (feed, mut writer) = feed();
    writer.write(&unit(0))?;
    let mut swarm = Swarm::new()?;
    let (good, peer) = watch(&runtime, &engine, &feed)?;
    let (bad, bad_peer) = watch(&runtime, &engine, &feed)?;
    swarm.add(good)?;
    swarm.add(bad)?;
    let target = engine.udp_address();
    let (mut noise, mut sent, mut got, mut written, mut bad_frames) =
        (Noise(0x1234_5678_9abc_def1), 0, 0, 1, 0);
    swarm.run_until(LIMIT, |peers, happened| {
        match happened {
            Some((0, Happened::Frame(frame))) => {
                assert_eq!(u32::from_be_bytes(frame.data[10..14].try_into().expect("four bytes")), got);
                got += 1;
            }
            Some((1, Happened::Frame(_))) => bad_frames += 1,
            _ => {}
        }
        // From the moment that its path is open.
        if bad_frames > 0 && sent < DATAGRAMS / 2 {
            for _ in 0..20 {
                peers[1].send_raw(target, &imitation(&mut noise)).expect("it is sent");
                sent += 1;
            }
        }
        let is_over = sent >= DATAGRAMS / 2;
        if got == written && !is_over {
            writer.write(&unit(written)).expect("it can be cut");
            written += 1;
        }
        is_over && got == written
    })?;
    println!("{got} frames, {bad_frames} at the bad peer, which sent {sent} datagrams");
    assert!(got > 20 && peer.statistics().skips == 0, "{got} frames, {:?}", peer.statistics());
    assert!(bad_peer.statistics().connected, "nobody who cannot encrypt ends a session");
    Ok(())
}
