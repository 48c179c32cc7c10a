//! TLS of clients ends here, in a task beside the connection's own: that one is made for a socket in plain text, and gets
//! one end of a pair of local sockets. So connections without TLS cost what they did, and those with it cost a task more.

use crate::{gateway::Gateway, listener::welcome};
use patchbay_chassis::error::chain;
use patchbay_tls::{Acceptor, TlsStream};
use std::{io, net::IpAddr, os::fd::OwnedFd, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A connection of this kind begins with HTTP/1.1.
pub(crate) const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// After one side has said its last word, the other has so long for its own.
const FAREWELL: Duration = Duration::from_secs(5);

/// After everything was told to stop, what is on its way has so long to be written.
const LAST: Duration = Duration::from_millis(500);

/// The way in by TLS.
pub(crate) struct Passages {
    acceptor: Acceptor,
    /// As many as connections may be open, handshakes included; more are closed, for there is no telling them before a handshake.
    room: Arc<Semaphore>,
}

impl Passages {
    pub(crate) fn new(acceptor: Acceptor, most: usize) -> Self {
        Self { acceptor, room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

/// Spawns what ends a client's TLS.
pub(crate) fn receive(gateway: &Arc<Gateway>, passages: &Passages, stream: TcpStream, address: IpAddr) {
    let Ok(place) = Arc::clone(&passages.room).try_acquire_owned() else {
        gateway.metrics.refused.inc();
        return;
    };
    let task = pass(gateway.clone(), passages.acceptor.clone(), stream, address, place);
    gateway.context.tasks.spawn_light(task);
}

async fn pass(
    gateway: Arc<Gateway>,
    acceptor: Acceptor,
    stream: TcpStream,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
) {
    let soft = gateway.context.shutdown.soft();
    // A handshake that is not made when the process drains is not made at all.
    let client = match soft.run_until_cancelled_owned(acceptor.accept(stream)).await {
        Some(Ok(client)) => client,
        Some(Err(error)) => return tracing::debug!(%address, error = chain(&error), "no TLS"),
        None => return,
    };
    let (ours, theirs) = match pair() {
        Ok(ends) => ends,
        Err(error) => return tracing::warn!(%error, "could not make a pair of sockets for a client with TLS"),
    };
    welcome(&gateway, theirs, address);
    let hard = gateway.context.shutdown.hard();
    // It is not to keep the gateway alive.
    drop(gateway);
    let last = async {
        hard.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        () = join(client, ours) => {}
        () = last => {}
    }
}

/// Two ends of a local connection. The connection's task takes a [`TcpStream`], of which it reads, writes and closes
/// nothing but bytes; a pair of Unix sockets can do that as well, without ports, and nobody else can get hold of an end.
fn pair() -> io::Result<(UnixStream, TcpStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let theirs = std::net::TcpStream::from(OwnedFd::from(theirs));
    Ok((UnixStream::from_std(ours)?, TcpStream::from_std(theirs)?))
}

/// Carries bytes both ways. A side that takes nothing is given nothing: its bytes wait in the sockets, and then in the
/// connection's own queue, which has a limit.
async fn join(client: TlsStream, gateway: UnixStream) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_gateway, to_gateway) = gateway.into_split();
    let (up, down) = (carry(from_client, to_gateway), carry(from_gateway, to_client));
    tokio::pin!(up, down);
    // Cancel-safe: whichever is not at its end is polled on, for a time.
    let late = tokio::select! {
        () = &mut up => timeout(FAREWELL, down).await.is_err(),
        () = &mut down => timeout(FAREWELL, up).await.is_err(),
    };
    if late {
        tracing::debug!("a client did not end its TLS connection, and was cut");
    }
}

/// Carries until the end and tells it on. A client that breaks off is one that has ended.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let carried = tokio::io::copy(&mut from, &mut to).await;
    let ended = to.shutdown().await;
    if let Err(error) = carried.and(ended) {
        tracing::debug!(%error, "a connection with TLS broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_pair_carries_bytes_and_the_end_both_ways() {
        let (mut ours, theirs) = pair().unwrap();
        theirs.writable().await.unwrap();
        assert_eq!(theirs.try_write(b"down").unwrap(), 4);
        let mut bytes = [0; 4];
        ours.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"down");
        ours.write_all(b"up").await.unwrap();
        let (mut reader, writer) = theirs.into_split();
        reader.read_exact(&mut bytes[..2]).await.unwrap();
        assert_eq!(&bytes[..2], b"up");
        drop(writer);
        assert_eq!(ours.read(&mut bytes).await.unwrap(), 0, "the half that was dropped has ended");
        drop(ours);
        assert_eq!(reader.read(&mut bytes).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_full_pair_says_so_and_tells_when_there_is_room() {
        let (mut ours, theirs) = pair().unwrap();
        let piece = vec![0; 64 * 1024];
        let mut sent = 0;
        theirs.writable().await.unwrap();
        while let Ok(written) = theirs.try_write(&piece) {
            sent += written;
            assert!(sent < 64 << 20, "it has no end");
        }
        assert!(sent > 0);
        let taken = async {
            let mut rest = vec![0; sent];
            ours.read_exact(&mut rest).await.unwrap();
        };
        let (writable, ()) = tokio::join!(theirs.writable(), taken);
        writable.unwrap();
        assert!(theirs.try_write(&piece).unwrap() > 0);
    }
}
