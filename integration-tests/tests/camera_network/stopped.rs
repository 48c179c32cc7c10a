//! Viewers that stand still: their process is stopped in the middle, so that nobody reads what they are sent.

use crate::{add, metric, relay, variable};
use anyhow::{Context, Result, ensure};
use integration_tests::{
    camera::{HERE, Relay, SDP, SOON, exchange, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::{
    process::{Launch, Process},
    wait::{wait_for, wait_until},
    webrtc::{ForeignPeer, Happened, Swarm, Wants},
};
use std::{
    env,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    media::{Direction, MediaKind},
    net::{Protocol, Receive, TcpType},
};
use tokio::net::TcpSocket;

/// Viewers of the process that is stopped, which come over UDP; one more comes over TCP.
const STOPPED: usize = 5;

/// Viewers whose pictures are looked at.
const WATCHING: usize = 5;

/// Seconds that they are looked at while all go on, and after the others were stopped: until a connection over TCP has filled all buffers of the system,
/// and of the relay after them.
const BEFORE: u32 = 8;
const AFTER: u32 = 20;

/// Many bits a second, so that buffers are soon full.
const CAMERA: &str = "busy";

/// Receive buffer of the viewer over TCP, in bytes.
const BUFFER: u32 = 16 * 1024;

/// Where the stopped viewers' process finds the relay: HTTP and media.
const HTTP: &str = "PATCHBAY_STOPPED_HTTP";
const MEDIA: &str = "PATCHBAY_STOPPED_MEDIA";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_whose_process_is_stopped_hold_nobody_up() -> TestResult {
    // Nobody is let go before the end.
    let (relay, folder) = relay(open_settings().set("media.idle_timeout", "90s")).await?;
    let others = others(&relay, folder.path()).await?;
    let mut swarm = Swarm::new()?;
    add(&mut swarm, &relay, CAMERA, WATCHING).await?;
    let (swarm, before) = spacing(swarm, BEFORE).await?;
    others.pause()?;
    let (watched, filled) = tokio::join!(spacing(swarm, AFTER), fill(relay.media));
    let ((_swarm, after), (unread, full)) = (watched?, filled?);
    let (left, skips) = (metric(&relay, "viewers").await?, metric(&relay, "skips_total").await?);
    let factor = after.as_secs_f64() / before.as_secs_f64();
    report(&format!(
        "p99 of the time between pictures, median of seconds: {before:?} beside {} viewers, {after:?} when they were stopped ({factor:.2} times); the \
         buffers of the connection over TCP were full with {unread} bytes after {full:?}; {left} viewers are there, {skips} skips",
        STOPPED + 1
    ));
    assert!(after <= (before * 3).max(before + Duration::from_millis(20)), "{before:?} became {after:?}");
    others.resume()?;
    Ok(())
}

/// Waits until the system takes nothing more for the connection over TCP: how many bytes wait, and how long it took.
async fn fill(media: SocketAddr) -> Result<(u64, Duration)> {
    let (mut last, mut since) = (0, Instant::now());
    let limit = Duration::from_secs(AFTER.into());
    wait_for("the buffers are full", limit, async || {
        let now = unread(media).ok()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (now > 0 && since.elapsed() > Duration::from_secs(2)).then_some(now)
    })
    .await
}

/// Bytes that wait in the system's buffers of TCP connections with this port, on either side.
fn unread(media: SocketAddr) -> Result<u64> {
    let port = format!(":{:04X}", media.port());
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let queues = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = [fields.next()?, fields.next()?];
        let (sent, received) = fields.nth(1)?.split_once(':')?;
        let connected = ends.iter().any(|end| end.ends_with(&port)) && !ends[1].ends_with(":0000");
        connected
            .then(|| Some(u64::from_str_radix(sent, 16).ok()? + u64::from_str_radix(received, 16).ok()?))?
    });
    Ok(queues.sum())
}

/// The others, as a process of their own that watches already.
async fn others(relay: &Relay, folder: &Path) -> Result<Process> {
    let test = env::current_exe()?;
    let process = Launch::program(test, "stopped", folder)
        .arg("--ignored")
        .arg("--exact")
        .arg("stopped::watch_until_killed")
        .arg("--nocapture")
        .env(HTTP, relay.http.to_string())
        .env(MEDIA, relay.media.to_string())
        .start()?;
    for who in ["UDP", "TCP"] {
        let told = format!("{who} viewers watch");
        wait_until(&told, SOON, async || process.log().contains(&told))
            .await
            .with_context(|| process.log())?;
    }
    Ok(process)
}

/// Watches for some seconds. Of all viewers' times between pictures the 99th percentile in each second; the median of these.
async fn spacing(mut swarm: Swarm, seconds: u32) -> Result<(Swarm, Duration)> {
    tokio::task::spawn_blocking(move || {
        let mut windows = Windows::new(swarm.peers.len(), seconds);
        swarm.run_until(SOON * 2, |_, happened| match happened {
            Some((viewer, Happened::Frame(_))) => windows.picture(viewer),
            _ => false,
        })?;
        Ok((swarm, windows.median()?))
    })
    .await?
}

/// Times between the pictures of several viewers, by the second in which they end.
struct Windows {
    begun: Instant,
    last: Vec<Option<Instant>>,
    times: Vec<Vec<Duration>>,
}

impl Windows {
    fn new(viewers: usize, seconds: u32) -> Self {
        let times = (0..seconds).map(|_| Vec::new()).collect();
        Self { begun: Instant::now(), last: vec![None; viewers], times }
    }

    /// A viewer has got a picture. True at the end of the last second.
    fn picture(&mut self, viewer: usize) -> bool {
        let now = Instant::now();
        if self.last.iter().any(Option::is_none) {
            self.begun = now;
        }
        let second = usize::try_from((now - self.begun).as_secs()).unwrap_or(usize::MAX);
        let Some(window) = self.times.get_mut(second) else { return true };
        if let Some(before) = self.last[viewer].replace(now) {
            window.push(now - before);
        }
        false
    }

    fn median(self) -> Result<Duration> {
        let mut percentiles = self.times.into_iter().map(p99).collect::<Result<Vec<_>>>()?;
        percentiles.sort_unstable();
        percentiles.get(percentiles.len() / 2).copied().context("no second")
    }
}

fn p99(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().context("a second without a picture")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test, as a process that can be stopped"]
async fn watch_until_killed() -> TestResult {
    let http: SocketAddr = variable(HTTP).context("no relay")?.parse()?;
    let media: SocketAddr = variable(MEDIA).context("no relay")?.parse()?;
    let mut swarm = Swarm::new()?;
    for _ in 0..STOPPED {
        let (mut peer, offer) = ForeignPeer::offer(HERE, Wants::Video)?;
        peer.accept(&answer(http, &offer).await?)?;
        swarm.add(peer)?;
    }
    let mut tcp = TcpViewer::connect(http, media).await?;
    let udp = tokio::task::spawn_blocking(move || {
        let mut seen = [false; STOPPED];
        swarm.run_until(Duration::from_mins(10), |_, happened| {
            if let Some((viewer, Happened::Frame(_))) = happened {
                let before = seen.iter().all(|seen| *seen);
                seen[viewer] = true;
                if !before && seen.iter().all(|seen| *seen) {
                    report("UDP viewers watch");
                }
            }
            false
        })
    });
    let tcp = tokio::task::spawn_blocking(move || tcp.watch());
    tcp.await??;
    udp.await??;
    Ok(())
}

async fn answer(http: SocketAddr, offer: &str) -> Result<String> {
    let answer = exchange(http, "POST", &format!("/whep/{CAMERA}"), &[SDP], offer).await?;
    ensure!(answer.status == 201, "the offer was answered {}: {}", answer.status, answer.body);
    Ok(answer.body)
}

/// A viewer over TCP: RFC 6544, with the frames of RFC 4571.
struct TcpViewer {
    rtc: Rtc,
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    pictures: usize,
}

impl TcpViewer {
    async fn connect(http: SocketAddr, remote: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(BUFFER)?;
        let stream = socket.connect(remote).await?.into_std()?;
        stream.set_nonblocking(false)?;
        let local = stream.local_addr()?;
        let provider = str0m::crypto::from_feature_flags();
        let mut rtc = RtcConfig::new().set_crypto_provider(Arc::new(provider)).build(Instant::now());
        let candidate = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build()?;
        rtc.add_local_candidate(candidate).context("the candidate was refused")?;
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().context("the offer is empty")?;
        let answer = answer(http, &offer.to_sdp_string()).await?;
        rtc.sdp_api().accept_answer(pending, str0m::change::SdpAnswer::from_sdp_string(&answer)?)?;
        Ok(Self { rtc, stream, local, remote, pictures: 0 })
    }

    /// Until the connection ends.
    fn watch(&mut self) -> Result<()> {
        let mut kept = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let wait = self.drain()?.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(size) => kept.extend_from_slice(&buffer[..size]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
            self.take(&mut kept)?;
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        }
    }

    /// Sends what is to be sent; when it is to be woken.
    fn drain(&mut self) -> Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(wake) => return Ok(wake),
                Output::Transmit(transmit) => {
                    let length = u16::try_from(transmit.contents.len())?.to_be_bytes();
                    self.stream.write_all(&[&length, &transmit.contents[..]].concat())?;
                }
                Output::Event(Event::MediaData(_)) => {
                    self.pictures += 1;
                    if self.pictures == 10 {
                        report("TCP viewers watch");
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Takes whole frames.
    fn take(&mut self, kept: &mut Vec<u8>) -> Result<()> {
        while let Some((length, rest)) = kept.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(frame) = rest.get(..length) else { return Ok(()) };
            if let Ok(contents) = frame.try_into() {
                let receive =
                    Receive { proto: Protocol::Tcp, source: self.remote, destination: self.local, contents };
                self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                self.drain()?;
            }
            kept.drain(..2 + length);
        }
        Ok(())
    }
}
