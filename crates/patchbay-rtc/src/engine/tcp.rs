//! ICE over TCP (RFC 6544): peers open the connection, and packets are framed by their length (RFC 4571).

use super::Inner;
use crate::{
    ice::{self, Check},
    path::{Batch, Path},
    sdp::Transport,
};
use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};

/// Packets that wait for a connection. When it is full, the rest of the batch is lost, and the viewer goes on at the next key frame: two seconds at
/// 2.5 Mbit/s.
const QUEUE: usize = 512;

/// Greatest frame: a datagram.
const FRAME: usize = 16 * 1024;

/// Time for the first frame, which must be a check of a known peer.
const FIRST_FRAME: Duration = Duration::from_secs(5);

/// Time without a frame; checks come every few seconds.
const SILENCE: Duration = Duration::from_mins(1);

/// Bytes that the system takes before it has sent them: half a second at 2 Mbit/s.
const UNSENT: u32 = 128 * 1024;

/// Time for the system to take a write: a viewer that reads nothing is let go.
const WRITE: Duration = Duration::from_secs(10);

pub(super) struct Tcp {
    address: SocketAddr,
    connections: RwLock<HashMap<SocketAddr, mpsc::Sender<Bytes>>>,
    /// Those of them on which no check has been believed yet, the oldest first. They make room for new ones, so that nobody keeps others out by connecting
    /// and saying nothing.
    unproven: Mutex<VecDeque<SocketAddr>>,
}

impl Tcp {
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Self, TcpListener)> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((Self { address, connections: RwLock::default(), unproven: Mutex::default() }, listener))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes up a connection; false when there are too many.
    fn open(&self, remote: SocketAddr, queue: mpsc::Sender<Bytes>, limit: usize) -> bool {
        let mut unproven = self.unproven.lock();
        let mut connections = self.connections.write();
        if connections.len() >= limit {
            let Some(oldest) = unproven.pop_front() else { return false };
            connections.remove(&oldest);
        }
        connections.insert(remote, queue);
        unproven.push_back(remote);
        true
    }

    /// A check has been believed on the connection.
    pub(super) fn prove(&self, remote: SocketAddr) {
        self.unproven.lock().retain(|unproven| *unproven != remote);
    }

    /// Ends a connection, which does so when nobody can write to it any more.
    pub(super) fn close(&self, remote: SocketAddr) {
        self.connections.write().remove(&remote);
    }

    fn forget(&self, remote: SocketAddr, queue: &mpsc::WeakSender<Bytes>) {
        let mut unproven = self.unproven.lock();
        let mut connections = self.connections.write();
        // The next connection may come from the same address, and be here already.
        let is_ours =
            |known: &mpsc::Sender<Bytes>| queue.upgrade().is_some_and(|ours| known.same_channel(&ours));
        if connections.get(&remote).is_some_and(is_ours) {
            connections.remove(&remote);
            unproven.retain(|unproven| *unproven != remote);
        }
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.connections.read().len()
    }

    /// Queues packets and tells how many found room.
    pub(super) fn send(&self, path: Path, batch: &Batch) -> usize {
        let connections = self.connections.read();
        let Some(queue) = connections.get(&path.remote) else { return 0 };
        let mut frames = BytesMut::with_capacity(batch.buffer.len() + batch.ends.len() * 2);
        let mut sent = 0;
        for packet in batch.packets() {
            let Ok(length) = u16::try_from(packet.len()) else { break };
            frames.put_u16(length);
            frames.put_slice(packet);
            if queue.try_send(frames.split().freeze()).is_err() {
                break;
            }
            sent += 1;
        }
        sent
    }
}

/// Accepts connections, for ever.
pub(super) async fn accept(inner: Arc<Inner>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let Some(tcp) = &inner.tcp else { return };
                let (queue, packets) = mpsc::channel(QUEUE);
                let ours = queue.downgrade();
                if !tcp.open(remote, queue, inner.config.max_tcp) {
                    tracing::warn!(
                        limit = inner.config.max_tcp,
                        "a media connection over TCP was closed: there are too many"
                    );
                    continue;
                }
                inner.spawn("rtc-tcp-peer", serve(Arc::clone(&inner), stream, remote, packets, ours));
            }
            Err(error) => {
                // Out of descriptors, mostly: what is open goes on.
                tracing::warn!(%error, "accepting a media connection over TCP");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The system takes megabytes for a connection that is slow: at 1 Mbit/s the viewer would see what was half a minute ago. What it may not take waits
/// in the queue, and the viewer goes on at a newer key frame when that is full.
fn bound_unsent(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "a media connection over TCP may lag behind");
    }
}

async fn serve(
    inner: Arc<Inner>,
    stream: TcpStream,
    remote: SocketAddr,
    packets: mpsc::Receiver<Bytes>,
    queue: mpsc::WeakSender<Bytes>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a media connection over TCP waits with small packets");
    }
    bound_unsent(&stream);
    let (reader, writer) = stream.into_split();
    let ended = tokio::select! {
        ended = read(&inner, reader, remote) => ended,
        ended = write(writer, packets) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a media connection over TCP has ended");
    }
    if let Some(tcp) = &inner.tcp {
        tcp.forget(remote, &queue);
    }
}

async fn read(inner: &Arc<Inner>, mut reader: OwnedReadHalf, remote: SocketAddr) -> io::Result<()> {
    let path = Path { transport: Transport::Tcp, remote, local: None };
    let mut frame = vec![0_u8; FRAME];
    let mut batch = Batch::default();
    let first = timeout(FIRST_FRAME, read_frame(&mut reader, &mut frame)).await??;
    let first = frame.get(..first).unwrap_or(&[]);
    let is_known = ice::is_stun(first)
        && Check::parse(first).is_some_and(|check| inner.table.by_ufrag(&check.ours).is_some());
    if !is_known {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the first frame is not a check of a known peer",
        ));
    }
    inner.datagram(path, first, &mut batch);
    loop {
        let length = timeout(SILENCE, read_frame(&mut reader, &mut frame)).await??;
        inner.datagram(path, frame.get(..length).unwrap_or(&[]), &mut batch);
    }
}

async fn read_frame(reader: &mut OwnedReadHalf, frame: &mut [u8]) -> io::Result<usize> {
    let length = usize::from(reader.read_u16().await?);
    let frame = frame
        .get_mut(..length)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the frame is longer than a datagram"))?;
    reader.read_exact(frame).await
}

async fn write(mut writer: OwnedWriteHalf, mut packets: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut together = BytesMut::new();
    while let Some(packet) = packets.recv().await {
        together.clear();
        together.extend_from_slice(&packet);
        // What waits goes out with one call.
        while together.len() < FRAME
            && let Ok(packet) = packets.try_recv()
        {
            together.extend_from_slice(&packet);
        }
        timeout(WRITE, writer.write_all(&together)).await??;
    }
    Ok(())
}
