//! Accepts connections.

use crate::{connection::ConnectionTask, gateway::Gateway};
use patchbay_websocket::handshake::Refusal;
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// How long to wait when the process has run out of file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Accepts until the process drains.
pub(crate) async fn accept(gateway: Arc<Gateway>, listener: TcpListener) {
    let soft = gateway.context.shutdown.soft();
    let mut stopped = pin!(soft.cancelled());
    loop {
        tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => welcome(&gateway, stream, peer.ip().to_canonical()),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
        }
    }
}

fn welcome(gateway: &Arc<Gateway>, stream: TcpStream, address: std::net::IpAddr) {
    // A quarter more than the limit may be open, so that those beyond it can be told so in their own protocol.
    let max = gateway.config.connections.max;
    if gateway.connections.open() > max + max / 4 {
        gateway.metrics.refused.inc();
        return refuse(&stream);
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let task = ConnectionTask::new(gateway.clone(), stream, address);
    gateway.context.tasks.spawn_light(task);
}

/// Tells a client that there is no room, if its socket takes that at once.
fn refuse(stream: &TcpStream) {
    let response = Refusal::new(503, "Too many connections, come back later").response();
    match stream.try_write(&response) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => tracing::debug!(%error, "could not refuse a connection"),
    }
}
