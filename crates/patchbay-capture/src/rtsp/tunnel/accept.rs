//! Lets one client in: the one that knows the secret of the door. Others on this machine may find the port first; they are sent away, and keep nobody out.

use super::{
    Door,
    relay::{Client, client_side},
};
use crate::rtsp::message::{Head, Item};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until, timeout},
};

/// Connections that are looked at together; more wait in the system's queue.
const LOOKED_AT: usize = 64;
/// How long a connection may take to show that it knows the secret.
const SHOW: Duration = Duration::from_secs(2);

/// A client and its first request.
pub(super) struct Admitted {
    pub(super) client: Client,
    pub(super) request: Head,
    pub(super) body: Bytes,
}

/// Waits for the client; nothing when it has not come in time.
pub(super) async fn admit(listener: TcpListener, door: &Door, within: Duration) -> Option<Admitted> {
    let deadline = Instant::now() + within;
    let mut looked_at = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if looked_at.len() < LOOKED_AT => {
                let (stream, _) = accepted.ok()?;
                looked_at.push(timeout(SHOW, look(stream, door)));
            }
            looked = looked_at.next(), if !looked_at.is_empty() => {
                if let Some(Ok(Some(admitted))) = looked {
                    return Some(admitted);
                }
            }
            () = sleep_until(deadline) => return None,
        }
    }
}

/// Reads the first request; nothing where its address does not have the secret.
async fn look(stream: TcpStream, door: &Door) -> Option<Admitted> {
    let mut client = client_side(stream);
    loop {
        match client.reader.next().ok()? {
            Some(Item::Message(request, body)) => {
                let (_, address) = request.request()?;
                door.rewrite(address)?;
                return Some(Admitted { client, request, body });
            }
            Some(Item::Frame(..)) => return None,
            None if client.read.read_buf(client.reader.buffer()).await.ok()? == 0 => return None,
            None => {}
        }
    }
}
