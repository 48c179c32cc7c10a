//! TLS of clients ends here, in a task beside the connection's own: that one is made for a socket in plain text, and gets
//! one end of a pair of local sockets. So connections without TLS cost what they did, and those with it cost a task more.

use crate::{gateway::Gateway, listener::welcome};
use patchbay_chassis::error::chain;
use patchbay_tls::Acceptor;
use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

/// A connection of this kind begins with HTTP/1.1.
pub(crate) const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// After the connection has ended here, the client has so long to take what was said to it and to end its TLS.
const FAREWELL: Duration = Duration::from_secs(5);

/// After everything was told to stop, what is on its way has so long to be written.
const LAST: Duration = Duration::from_millis(500);

/// Bytes that are carried at a time: a little less than a TLS record.
const PIECE: usize = 8 * 1024;

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
    // Dropped when the connection has ended. A socket does not tell that to somebody who waits to write elsewhere.
    let (here, ended) = oneshot::channel::<()>();
    if let Some(connection) = welcome(&gateway, theirs, address) {
        gateway.context.tasks.spawn_light(async move {
            connection.await;
            drop(here);
        });
    }
    let hard = gateway.context.shutdown.hard();
    // It is not to keep the gateway alive.
    drop(gateway);
    let last = async {
        hard.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        () = join(client, ours, ended) => {}
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

/// Carries bytes both ways until both have ended. A side that takes nothing is given nothing: its bytes wait in the sockets,
/// and then in the connection's own queue, which has a limit. A client that takes nothing at all is cut once `ended` is.
async fn join(client: impl AsyncRead + AsyncWrite, gateway: UnixStream, ended: oneshot::Receiver<()>) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_gateway, to_gateway) = gateway.into_split();
    let late = async {
        // It is never sent anything, only dropped.
        drop(ended.await);
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        _ = async { tokio::join!(carry(from_client, to_gateway), carry(from_gateway, to_client)) } => {}
        () = late => tracing::debug!("a client did not end its TLS connection, and was cut"),
    }
}

/// Carries until the end and tells it on. A client that breaks off is one that has ended.
async fn carry(from: impl AsyncRead, to: impl AsyncWrite) {
    let (mut from, mut to) = (pin!(from), pin!(to));
    let carried = pump(from.as_mut(), to.as_mut()).await;
    let ended = to.shutdown().await;
    if let Err(error) = carried.and(ended) {
        tracing::debug!(%error, "a connection with TLS broke");
    }
}

async fn pump(mut from: Pin<&mut impl AsyncRead>, mut to: Pin<&mut impl AsyncWrite>) -> io::Result<()> {
    loop {
        let piece = read(from.as_mut()).await?;
        if piece.is_empty() {
            return Ok(());
        }
        to.write_all(&piece).await?;
        // TLS keeps back what the socket did not take.
        to.flush().await?;
    }
}

/// Reads some bytes, none at the end. Memory is taken when they have come: most connections say nothing most of the time.
async fn read(mut from: Pin<&mut impl AsyncRead>) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        let mut piece = [0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(from.as_mut().poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().to_vec()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncReadExt, time::timeout};

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_when_its_connection_ends() {
        let (ours, theirs) = pair().unwrap();
        let (client, _silent) = tokio::io::duplex(64);
        let (here, ended) = oneshot::channel();
        let mut joined = pin!(join(client, ours, ended));
        theirs.writable().await.unwrap();
        while theirs.try_write(&[0; 1024]).is_ok() {}
        drop((theirs, here));
        timeout(FAREWELL * 3, &mut joined).await.expect("its place is free again");
    }

    #[tokio::test]
    async fn the_last_words_come_before_the_end() {
        let (ours, theirs) = pair().unwrap();
        let (client, mut far) = tokio::io::duplex(16);
        let (here, ended) = oneshot::channel();
        far.write_all(b"not read by it").await.unwrap();
        theirs.writable().await.unwrap();
        assert_eq!(theirs.try_write(b"a farewell of two pieces").unwrap(), 24);
        drop((theirs, here));
        let mut heard = Vec::new();
        let ((), read) = tokio::join!(join(client, ours, ended), far.read_to_end(&mut heard));
        read.unwrap();
        assert_eq!(heard, b"a farewell of two pieces");
    }

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
