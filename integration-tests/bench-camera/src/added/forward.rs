//! The process that hands on what it gets, and the way to give it orders: lines of JSON on its standard input, each with its answer.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use patchbay_media::{
    AccessUnit, Codec, MediaTime, Spawn, Task, TrackId,
    track::{KeyFrames, TrackInfo},
};
use patchbay_rtc::{
    Engine, EngineConfig, Feed, FeedConfig, FeedWriter, Peer, Receive, Received, Sending, Session, sdp::Offer,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{io::AsyncBufReadExt as _, net::UdpSocket};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Ticks a second of VP8.
const CLOCK: u32 = 90_000;

/// What the process is told.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// An offer to publish; answered with the answer.
    Publish(String),
    /// An offer to watch; answered with the answer.
    Watch(String),
    /// Another receiver of bare UDP; answered with nothing.
    Bare(SocketAddr),
}

/// The same as a child process, which ends when it is dropped.
pub(super) struct Forwarder {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    bare: SocketAddr,
}

impl Forwarder {
    pub(super) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("forward")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().context("the input is not there")?;
        let mut answers = BufReader::new(child.stdout.take().context("the output is not there")?).lines();
        let bare = next(&mut answers)?;
        Ok(Self { child, orders, answers, bare })
    }

    /// Where bare packets go.
    pub(super) fn bare(&self) -> SocketAddr {
        self.bare
    }

    pub(super) fn add_bare(&mut self, receiver: SocketAddr) -> Result<()> {
        self.order(&Order::Bare(receiver))
    }

    pub(super) fn publish(&mut self, offer: String) -> Result<String> {
        self.order(&Order::Publish(offer))
    }

    pub(super) fn watch(&mut self, offer: String) -> Result<String> {
        self.order(&Order::Watch(offer))
    }

    fn order<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        next(&mut self.answers)
    }
}

fn next<T: DeserializeOwned>(answers: &mut Lines<BufReader<ChildStdout>>) -> Result<T> {
    let line = answers.next().context("the forwarder has ended")??;
    serde_json::from_str(&line).with_context(|| format!("the forwarder said {line}"))
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The process itself, until its standard input ends.
pub(crate) async fn run() -> Result<()> {
    let spawner = OnRuntime(tokio::runtime::Handle::current());
    let config = EngineConfig { udp: (HERE, 0).into(), tcp: None, ..EngineConfig::default() };
    let engine = Engine::bind(config, Arc::new(spawner.clone()))?;
    let bare = UdpSocket::bind((HERE, 0)).await?;
    say(&bare.local_addr()?)?;
    let receivers = Receivers::default();
    spawner.spawn("bare", Box::pin(hand_on(bare, Arc::clone(&receivers))));
    let (feed, writer) = feed();
    let mut server = Server { spawner, engine, feed, writer: Some(writer), viewers: Vec::new(), receivers };
    let mut orders = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        match serde_json::from_str(&order)? {
            Order::Publish(offer) => say(&server.publish(&offer)?)?,
            Order::Watch(offer) => say(&server.watch(&offer)?)?,
            Order::Bare(receiver) => {
                server.receivers.lock().unwrap_or_else(PoisonError::into_inner).push(receiver);
                say(&())?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the parent process reads")]
fn say(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    std::io::stdout().flush().context("the parent is gone")
}

#[derive(Clone)]
struct OnRuntime(tokio::runtime::Handle);

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        self.0.spawn(task);
    }
}

/// Receivers of bare UDP.
type Receivers = Arc<Mutex<Vec<SocketAddr>>>;

async fn hand_on(socket: UdpSocket, receivers: Receivers) {
    let mut buffer = vec![0; 2048];
    while let Ok((size, _)) = socket.recv_from(&mut buffer).await {
        let receivers = receivers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for receiver in receivers {
            // What the system does not take is lost, and counts as lost.
            drop(socket.send_to(buffer.get(..size).unwrap_or(&[]), receiver).await);
        }
    }
}

/// A feed as of a publisher who cannot be asked for key frames often.
fn feed() -> (Arc<Feed>, FeedWriter) {
    let info = TrackInfo {
        id: TrackId(0),
        codec: Codec::Vp8,
        clock_rate: CLOCK,
        channels: 0,
        width: 640,
        height: 480,
        configuration: Bytes::new(),
        reordered: false,
    };
    Feed::new(&info, FeedConfig { key_frames: KeyFrames::AsTheyCome, ..FeedConfig::default() })
}

struct Server {
    spawner: OnRuntime,
    engine: Engine,
    feed: Arc<Feed>,
    /// Until the publisher comes.
    writer: Option<FeedWriter>,
    /// They watch as long as they are here.
    viewers: Vec<Peer>,
    receivers: Receivers,
}

impl Server {
    fn publish(&mut self, offer: &str) -> Result<String> {
        let Some(writer) = self.writer.take() else { bail!("there is a publisher already") };
        let receive = Receive { codecs: vec![Codec::Vp8], bit_rate: 10_000_000 };
        let session = Session { addresses: vec![HERE], receive, ..Session::default() };
        let (peer, answer) = self.engine.answer(&Offer::parse(offer, 65_536)?, session)?;
        self.spawner.spawn("publisher", Box::pin(feed_on(peer, writer)));
        Ok(answer)
    }

    fn watch(&mut self, offer: &str) -> Result<String> {
        let send = vec![Sending { feed: Arc::clone(&self.feed), stream: "forwarded".to_owned() }];
        let session = Session { addresses: vec![HERE], send, ..Session::default() };
        let (peer, answer) = self.engine.answer(&Offer::parse(offer, 65_536)?, session)?;
        self.viewers.push(peer);
        Ok(answer)
    }
}

/// Every unit goes on at once.
async fn feed_on(mut peer: Peer, mut writer: FeedWriter) {
    let mut first = None;
    while let Some(received) = peer.received().await {
        let Received::Unit { unit, .. } = received else { continue };
        // Its clock runs for thirteen hours before it begins anew.
        let time = MediaTime::from_ticks(
            i64::from(unit.timestamp.wrapping_sub(*first.get_or_insert(unit.timestamp))),
            CLOCK,
        );
        let unit = AccessUnit { track: TrackId(0), dts: time, pts: time, key: unit.key, data: unit.data };
        // A unit that cannot be cut is lost, and counts as lost.
        let (Ok(()) | Err(_)) = writer.write(&unit);
    }
}
