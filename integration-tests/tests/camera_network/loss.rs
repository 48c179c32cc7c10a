//! A network that loses packets.

use crate::{add, metric, relay};
use anyhow::{Result, ensure};
use integration_tests::{
    camera::{HERE, SOON, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::webrtc::{Happened, Swarm};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, task::JoinSet};

/// A UDP port that passes datagrams on, both ways, to whom they belong by their source address, and loses some of those that come from the server.
struct LossyPort {
    address: SocketAddr,
    front: Arc<UdpSocket>,
    counts: Arc<Counts>,
    /// Ends with the port.
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    passed: AtomicUsize,
    lost: AtomicUsize,
}

impl LossyPort {
    async fn bind() -> Result<Self> {
        let front = Arc::new(UdpSocket::bind((HERE, 0)).await?);
        Ok(Self { address: front.local_addr()?, front, counts: Arc::default(), tasks: JoinSet::new() })
    }

    /// Begins to pass datagrams on; of those from the server each is lost by chance, one in `one_in`.
    fn open(&mut self, server: SocketAddr, one_in: u32) {
        let (front, counts) = (Arc::clone(&self.front), Arc::clone(&self.counts));
        self.tasks.spawn(async move {
            let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut answers = JoinSet::new();
            let mut buffer = vec![0; 2048];
            while let Ok((size, client)) = front.recv_from(&mut buffer).await {
                let known = ways.get(&client).map(Arc::clone);
                let way = if let Some(way) = known {
                    way
                } else {
                    let Ok(way) = UdpSocket::bind((HERE, 0)).await.map(Arc::new) else { return };
                    let (front, counts) = (Arc::clone(&front), Arc::clone(&counts));
                    answers.spawn(answer(Arc::clone(&way), front, client, one_in, counts));
                    ways.insert(client, Arc::clone(&way));
                    way
                };
                // What cannot be sent is lost, as on any network.
                drop(way.send_to(&buffer[..size], server).await);
            }
        });
    }
}

async fn answer(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    one_in: u32,
    counts: Arc<Counts>,
) {
    let mut chance = 1_u32;
    let mut buffer = vec![0; 2048];
    while let Ok((size, _)) = back.recv_from(&mut buffer).await {
        // A linear congruential generator: the same in each run, as far as the packets are.
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if (chance >> 8).is_multiple_of(one_in) {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counts.passed.fetch_add(1, Ordering::Relaxed);
        drop(front.send_to(&buffer[..size], client).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_packets_of_which_five_in_a_hundred_are_lost_every_picture_arrives_whole() -> TestResult {
    const PICTURES: usize = 300;
    let mut lossy = LossyPort::bind().await?;
    // No TCP, which would be a way around.
    let settings = open_settings().set("media.public_port", &lossy.address.port());
    let (relay, _folder) = relay(settings).await?;
    lossy.open(relay.media, 20);
    let mut swarm = Swarm::new()?;
    add(&mut swarm, &relay, "test", 1).await?;
    let (mut pictures, mut torn, mut last, mut still) = (0, 0, None::<Instant>, Duration::ZERO);
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || {
        swarm.run_until(SOON * 2, |_, happened| {
            if let Some((_, Happened::Frame(frame))) = happened {
                torn += usize::from(!frame.contiguous && pictures > 0);
                pictures += 1;
                still = still.max(last.replace(Instant::now()).map_or(Duration::ZERO, |last| last.elapsed()));
            }
            pictures >= PICTURES
        })?;
        let rate = f64::from(u32::try_from(pictures)?) / begun.elapsed().as_secs_f64();
        report(&format!("{pictures} pictures at {rate:.1}/s, {torn} torn, longest still {still:?}"));
        ensure!(torn == 0, "{torn} of {pictures} pictures have a gap before them");
        Ok(())
    })
    .await??;
    let (passed, missing) =
        (lossy.counts.passed.load(Ordering::Relaxed), lossy.counts.lost.load(Ordering::Relaxed));
    let resent = metric(&relay, "packets_resent_total").await?;
    report(&format!("{missing} of {} packets were lost, {resent} were sent again", passed + missing));
    assert!(missing * 100 > (passed + missing) * 3, "only {missing} of {passed} were lost");
    assert!(resent > 0.0);
    Ok(())
}
