//! The UDP ports of a session: what they receive is put in order.

use bytes::Bytes;
use patchbay_media::rtp::reorder::{Limits, Reorder};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::ReadBuf,
    net::UdpSocket,
    time::{sleep_until, timeout_at},
};

/// What the system shall hold of datagrams that have not been read: a key frame of a camera of 4K comes in one burst. The system may give less.
const RECEIVE_BUFFER: usize = 2 * 1024 * 1024;
/// Most streams of a session: a description may name a thousand, and each takes two sockets.
const MOST_PAIRS: usize = 16;
/// Attempts to find two ports that follow each other.
const ATTEMPTS: usize = 50;
/// Longest datagram.
const DATAGRAM: usize = 65_536;
/// Datagrams that are read before they are passed on.
const BATCH: usize = 64;
/// Some cameras stop sending when nobody reports that he receives.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// An RTP packet without payload, which opens the way through firewalls; servers pass it over.
const HELLO: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// An RTCP receiver report without blocks (RFC 3550, section 6.4.2).
const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 0];

/// Datagrams on a line of their own are rarely out of order for long; what is missing does not come again.
const PATIENCE: Limits = Limits {
    packets: 512,
    patience: Duration::from_millis(100),
    ask_after: Duration::from_secs(1),
    ask_again_after: Duration::from_secs(1),
    asks: 0,
};

/// A datagram, with the channel on which the client would see it.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) channel: u8,
    pub(super) data: Bytes,
}

/// The ports of one stream.
#[derive(Debug)]
struct Pair {
    media: UdpSocket,
    reports: UdpSocket,
    channels: (u8, u8),
    /// Where the camera sends from, once it has said so.
    camera: Option<(u16, Option<u16>)>,
    order: Reorder<Bytes>,
}

/// The ports of all streams.
#[derive(Debug)]
pub(super) struct Ports {
    pairs: Vec<Pair>,
    camera: IpAddr,
    local: IpAddr,
    buffer: Vec<u8>,
    reported: Instant,
}

impl Ports {
    /// None yet. Datagrams are taken from this address alone, whatever the camera names as their source, and nothing is sent to any other.
    pub(super) fn new(camera: IpAddr, local: IpAddr) -> Self {
        Self { pairs: Vec::new(), camera, local, buffer: Vec::new(), reported: Instant::now() }
    }

    /// Opens two ports and gives their numbers.
    pub(super) fn open(&mut self, channels: (u8, u8)) -> io::Result<(u16, u16)> {
        if self.pairs.len() >= MOST_PAIRS {
            return Err(io::Error::other(format!("it has more than {MOST_PAIRS} streams")));
        }
        let (media, reports) = open_pair(self.local)?;
        self.buffer.resize(DATAGRAM, 0);
        let numbers = (media.local_addr()?.port(), reports.local_addr()?.port());
        self.pairs.push(Pair { media, reports, channels, camera: None, order: Reorder::new(PATIENCE) });
        Ok(numbers)
    }

    /// The camera has said where the newest stream comes from.
    pub(super) fn answered(&mut self, ports: Option<(u16, Option<u16>)>) {
        if let Some(pair) = self.pairs.last_mut() {
            pair.camera = ports;
            pair.greet(self.camera);
        }
    }

    /// Datagrams in order. Safe to cancel: what was read waits in the order.
    pub(super) async fn receive(&mut self) -> Vec<Datagram> {
        if self.pairs.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let mut out = self.ready();
            if !out.is_empty() {
                return out;
            }
            self.report();
            let next = self.pairs.iter().filter_map(|pair| pair.order.deadline()).min();
            let until = next.unwrap_or(self.reported + REPORT_EVERY);
            let Self { pairs, camera, buffer, .. } = self;
            let poll = poll_fn(|context| poll_all(pairs, *camera, buffer, &mut out, context));
            if timeout_at(until.into(), poll).await.is_err() {
                // A deadline that is past already must not spin.
                sleep_until((Instant::now() + Duration::from_millis(1)).into()).await;
            }
            if !out.is_empty() {
                out.extend(self.ready());
                return out;
            }
        }
    }

    fn ready(&mut self) -> Vec<Datagram> {
        let (now, mut out) = (Instant::now(), Vec::new());
        for pair in &mut self.pairs {
            while let Some((_, data)) = pair.order.pop(now) {
                out.push(Datagram { channel: pair.channels.0, data });
            }
        }
        out
    }

    fn report(&mut self) {
        if self.reported.elapsed() < REPORT_EVERY {
            return;
        }
        self.reported = Instant::now();
        for pair in &self.pairs {
            let port = pair.camera.and_then(|(_, reports)| reports);
            send(&pair.reports, &REPORT, self.camera, port);
        }
    }
}

impl Pair {
    fn greet(&self, camera: IpAddr) {
        let Some((media, reports)) = self.camera else { return };
        send(&self.media, &HELLO, camera, Some(media));
        send(&self.reports, &REPORT, camera, reports);
    }

    /// Reads one datagram of either port.
    fn poll(
        &mut self,
        camera: IpAddr,
        buffer: &mut [u8],
        out: &mut Vec<Datagram>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Poll::Ready(data) = poll_one(&self.reports, camera, buffer, context) {
            out.extend(data.map(|data| Datagram { channel: self.channels.1, data }));
            return Poll::Ready(());
        }
        let Poll::Ready(data) = poll_one(&self.media, camera, buffer, context) else { return Poll::Pending };
        if let Some((data, sequence)) = data.and_then(|data| Some((data.clone(), sequence(&data)?))) {
            // What becomes of it shows in the gaps of what comes out.
            self.order.insert(sequence, data, Instant::now());
        }
        Poll::Ready(())
    }
}

fn poll_all(
    pairs: &mut [Pair],
    camera: IpAddr,
    buffer: &mut [u8],
    out: &mut Vec<Datagram>,
    context: &mut Context<'_>,
) -> Poll<()> {
    let mut read = 0;
    loop {
        let mut any = false;
        for pair in &mut *pairs {
            any |= pair.poll(camera, buffer, out, context).is_ready();
        }
        read += 1;
        match (any, read) {
            (false, 1) => return Poll::Pending,
            (false, _) | (true, BATCH..) => return Poll::Ready(()),
            (true, _) => {}
        }
    }
}

/// A datagram of the camera; none where it is of somebody else, or the system has an old error of the port to tell.
fn poll_one(
    socket: &UdpSocket,
    camera: IpAddr,
    buffer: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    let mut read = ReadBuf::new(buffer);
    match socket.poll_recv_from(context, &mut read) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(from)) if from.ip().to_canonical() == camera.to_canonical() => {
            Poll::Ready(Some(Bytes::copy_from_slice(read.filled())))
        }
        Poll::Ready(_) => Poll::Ready(None),
    }
}

fn sequence(packet: &[u8]) -> Option<u16> {
    let &[first, _, high, low] = packet.first_chunk::<4>()?;
    (first >> 6 == 2).then(|| u16::from_be_bytes([high, low]))
}

fn send(socket: &UdpSocket, data: &[u8], camera: IpAddr, port: Option<u16>) {
    let Some(port) = port else { return };
    if let Err(error) = socket.try_send_to(data, SocketAddr::new(camera, port)) {
        tracing::trace!(%error, "a datagram to a camera was not sent");
    }
}

/// An even port and the one after it (RFC 3550, section 11).
fn open_pair(local: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..ATTEMPTS {
        let media = open(SocketAddr::new(local, 0))?;
        let port = media.local_addr()?.port();
        let Some(next) = port.checked_add(1).filter(|_| port % 2 == 0) else { continue };
        if let Ok(reports) = open(SocketAddr::new(local, next)) {
            return Ok((media, reports));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no two free ports that follow each other"))
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_of_a_thousand_streams_takes_few_sockets() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let mut ports = Ports::new(loopback, loopback);
        let opened = (0..1_000).filter(|_| ports.open((0, 1)).is_ok()).count();
        assert_eq!(opened, MOST_PAIRS);
    }
}
