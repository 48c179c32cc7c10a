//! Asks by multicast and gathers answers, for a time.

use super::message::{self, Device, TYPES};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until},
};

/// Where cameras listen (WS-Discovery, section 2.4).
pub(super) const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3702);

/// Bytes of an answer at most; a longer one is cut, and then not well formed.
const DATAGRAM: usize = 16 * 1024;

/// Answers that are read, and those of one address; more are left out.
const ANSWERS: usize = 512;
const OF_ONE: usize = 16;

/// Interfaces that are asked on.
const INTERFACES: usize = 16;

/// A question is repeated, because datagrams get lost (SOAP-over-UDP, section 2.2).
const AGAIN: Duration = Duration::from_millis(400);

/// The IPv4 addresses of this machine.
pub(super) fn interfaces() -> Vec<Ipv4Addr> {
    let all = crate::addresses::interfaces().into_iter();
    let v4 = all.filter_map(|interface| match interface.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    v4.take(INTERFACES).collect()
}

/// Everybody who answers within the time, with the address that the answer came from.
pub(super) async fn run(group: SocketAddrV4, from: &[Ipv4Addr], within: Duration) -> Vec<(IpAddr, Device)> {
    let end = Instant::now() + within;
    let asking = from.iter().map(|interface| async move {
        match ask(group, *interface, end).await {
            Ok(heard) => heard,
            Err(error) => {
                // An interface without multicast is none to find cameras on.
                tracing::debug!(%interface, %error, "cameras cannot be looked for there");
                Vec::new()
            }
        }
    });
    futures_util::future::join_all(asking).await.into_iter().flatten().collect()
}

async fn ask(group: SocketAddrV4, interface: Ipv4Addr, end: Instant) -> io::Result<Vec<(IpAddr, Device)>> {
    let socket = open(interface)?;
    let ids = TYPES.map(|_| uuid());
    let questions: Vec<String> = TYPES.iter().zip(&ids).map(|(kind, id)| message::probe(id, *kind)).collect();
    let mut heard = Heard { ids: ids.map(|id| format!("urn:uuid:{id}")), ..Heard::default() };
    let mut sends = 0;
    let mut due = Instant::now();
    let mut datagram = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            () = sleep_until(due.min(end)) => {
                if Instant::now() >= end {
                    return Ok(heard.devices);
                }
                for question in &questions {
                    socket.send_to(question.as_bytes(), SocketAddr::V4(group)).await?;
                }
                sends += 1;
                due = if sends < 2 { Instant::now() + AGAIN } else { end };
            }
            received = socket.recv_from(&mut datagram) => {
                // The system tells here of what was sent before and did not arrive: no reason to hear nothing more.
                if let Ok((length, sender)) = received {
                    heard.take(sender.ip(), datagram.get(..length).unwrap_or_default());
                }
                if heard.answers >= ANSWERS {
                    return Ok(heard.devices);
                }
            }
        }
    }
}

fn open(interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.bind(&SocketAddr::from((interface, 0)).into())?;
    UdpSocket::from_std(socket.into())
}

/// Version 4 of RFC 9562.
fn uuid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[derive(Default)]
struct Heard {
    ids: [String; TYPES.len()],
    answers: usize,
    by_sender: HashMap<IpAddr, usize>,
    devices: Vec<(IpAddr, Device)>,
}

impl Heard {
    fn take(&mut self, sender: IpAddr, datagram: &[u8]) {
        self.answers += 1;
        let count = self.by_sender.entry(sender).or_default();
        *count += 1;
        if *count > OF_ONE {
            return;
        }
        match message::answer(datagram) {
            Ok(answer) if answer.relates_to.as_ref().is_none_or(|id| self.ids.contains(id)) => {
                self.devices.extend(answer.devices.into_iter().map(|device| (sender, device)));
            }
            Ok(_) => tracing::debug!(%sender, "an answer to another question"),
            Err(error) => tracing::debug!(%sender, %error, "an answer that cannot be read"),
        }
    }
}
