//! The UDP socket.

use super::Inner;
use crate::{
    path::{Batch, Path},
    sdp::Transport,
};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{io::Interest, net::UdpSocket};

/// Buffers of the system, in bytes; it may give less. A key frame for some hundred viewers has to fit.
const SYSTEM_BUFFER: usize = 4 * 1024 * 1024;

/// Datagrams read with one call, and bytes for each, which may hold several of one sender.
const DATAGRAMS: usize = 16;
const DATAGRAM: usize = 64 * 1024;

pub(super) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    /// The address is one of many: answers must name theirs.
    is_wildcard: bool,
}

impl Udp {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        for set in [Socket::set_send_buffer_size, Socket::set_recv_buffer_size] {
            if let Err(error) = set(&socket, SYSTEM_BUFFER) {
                tracing::debug!(%error, "the system keeps its buffers as they are");
            }
        }
        let socket = UdpSocket::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok(Self { socket, state, address, is_wildcard: address.ip().is_unspecified() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends as much as the system takes at once, and tells how many packets that were. What it does not take is lost, as on any network.
    pub(super) fn send(&self, path: Path, batch: &Batch) -> usize {
        let mut sent = 0;
        for (run, size) in batch.runs(self.state.max_gso_segments()) {
            let transmit = Transmit {
                destination: path.remote,
                ecn: None,
                contents: run,
                segment_size: (size < run.len()).then_some(size),
                src_ip: path.local,
            };
            let result = self
                .socket
                .try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
            if let Err(error) = result {
                tracing::debug!(%error, bytes = run.len(), "datagrams were not sent");
                break;
            }
            sent += run.len().div_ceil(size);
        }
        sent
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || self.state.recv((&self.socket).into(), buffers, metas))
    }

    fn path(&self, meta: &RecvMeta) -> Path {
        let local: Option<IpAddr> = meta.dst_ip.filter(|_| self.is_wildcard);
        Path { transport: Transport::Udp, remote: meta.addr, local }
    }
}

/// Reads datagrams and hands them to their peers, for ever.
pub(super) async fn receive(inner: Arc<Inner>) {
    let mut memory = vec![0_u8; DATAGRAMS * DATAGRAM];
    let mut batch = Batch::default();
    loop {
        // Others shall have their turn even while datagrams, or errors, pour in.
        tokio::task::consume_budget().await;
        if let Err(error) = inner.udp.socket.readable().await {
            tracing::error!(%error, "the media socket cannot be watched");
            return;
        }
        let mut metas = [RecvMeta::default(); DATAGRAMS];
        let count = {
            let mut buffers = memory.chunks_mut(DATAGRAM).map(IoSliceMut::new).collect::<Vec<_>>();
            match inner.udp.receive(&mut buffers, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // An address that refused an earlier datagram; the next read goes on.
                Err(error) => {
                    tracing::debug!(%error, "reading datagrams");
                    continue;
                }
            }
        };
        for (meta, buffer) in metas.iter().zip(memory.chunks(DATAGRAM)).take(count) {
            let path = inner.udp.path(meta);
            let bytes = buffer.get(..meta.len).unwrap_or(&[]);
            for datagram in bytes.chunks(meta.stride.max(1)) {
                inner.datagram(path, datagram, &mut batch);
            }
        }
    }
}
