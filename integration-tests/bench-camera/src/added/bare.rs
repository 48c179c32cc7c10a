//! The forwarder of bare UDP: as fast as a server can be that does nothing but send.

use super::{Delays, EVERY, Frame, STRAGGLERS, VIEWERS, forward::Forwarder, stamped};
use anyhow::Result;
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use std::{
    io,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// Bytes of a packet: those of a frame with what RTP, VP8's descriptor and SRTP add.
const SIZE: usize = super::webrtc::SIZE + 12 + 1 + 10;

/// Sends for a time, and tells how long it took to come back.
pub(super) fn measure(forwarder: &mut Forwarder, window: Duration) -> Result<Delays> {
    let server = forwarder.bare();
    let mut poll = Poll::new()?;
    let mut viewers = Vec::with_capacity(VIEWERS);
    for number in 0..VIEWERS {
        let mut viewer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        poll.registry().register(&mut viewer, Token(number), Interest::READABLE)?;
        forwarder.add_bare(viewer.local_addr()?)?;
        viewers.push(viewer);
    }
    let sender = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let clock = Instant::now();
    let (mut delays, mut next, mut events, mut buffer) =
        (Delays::default(), clock, Events::with_capacity(VIEWERS), vec![0; 2048]);
    while clock.elapsed() < window + STRAGGLERS && delays.milliseconds.len() < expected(window) {
        if Instant::now() >= next && clock.elapsed() < window {
            sender.send_to(&stamped(clock, SIZE, Frame::Delta), server)?;
            delays.sent += 1;
            next += EVERY;
        }
        let sleep = next.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), EVERY);
        poll.poll(&mut events, Some(sleep))?;
        for event in &events {
            let Some(viewer) = viewers.get(event.token().0) else { continue };
            read(viewer, &mut buffer, |packet| delays.add(clock, packet, Instant::now()))?;
        }
    }
    Ok(delays)
}

/// Packets that all viewers together get at most.
fn expected(window: Duration) -> usize {
    usize::try_from(window.as_millis() / EVERY.as_millis() + 1).unwrap_or(usize::MAX / VIEWERS) * VIEWERS
}

fn read(viewer: &UdpSocket, buffer: &mut [u8], mut packet: impl FnMut(&[u8])) -> Result<()> {
    loop {
        match viewer.recv_from(buffer) {
            Ok((size, _)) => packet(buffer.get(..size).unwrap_or(&[])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
