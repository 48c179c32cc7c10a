//! Accepts connections.

use crate::{
    connection::ConnectionTask,
    gateway::Gateway,
    tls::{self, Passages},
};
use patchbay_tls::Acceptor;
use patchbay_websocket::handshake::Refusal;
use std::{io, net::IpAddr, pin::pin, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// How long to wait when the process has run out of file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Accepts until the process drains.
pub(crate) async fn accept(gateway: Arc<Gateway>, listener: TcpListener, tls: Option<Acceptor>) {
    let soft = gateway.context.shutdown.soft();
    let passages = tls.map(|tls| Passages::new(tls, most(&gateway)));
    let mut stopped = pin!(soft.cancelled());
    loop {
        tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => receive(&gateway, passages.as_ref(), stream, peer.ip().to_canonical()),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
        }
    }
}

fn receive(gateway: &Arc<Gateway>, passages: Option<&Passages>, stream: TcpStream, address: IpAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    match passages {
        None => {
            if let Some(connection) = welcome(gateway, stream, address) {
                gateway.context.tasks.spawn_light(connection);
            }
        }
        Some(passages) => tls::receive(gateway, passages, stream, address),
    }
}

/// Makes the task of a connection, where there is room for it; `stream` is in plain text.
pub(crate) fn welcome(gateway: &Arc<Gateway>, stream: TcpStream, address: IpAddr) -> Option<ConnectionTask> {
    if gateway.connections.open() > most(gateway) {
        gateway.metrics.refused.inc();
        refuse(&stream);
        return None;
    }
    Some(ConnectionTask::new(gateway.clone(), stream, address))
}

/// A quarter more than the limit may be open, so that those beyond it can be told so in their own protocol.
fn most(gateway: &Gateway) -> usize {
    let max = gateway.config.connections.max;
    max + max / 4
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
