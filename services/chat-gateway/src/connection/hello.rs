//! The opening handshake: which door, from where, and whether there is room.

use super::{Connection, classic::Classic, native::Native};
use crate::gateway::Gateway;
use bytes::Bytes;
use patchbay_websocket::handshake::{Handshake, Limits, Refusal, Upgrade};
use std::{net::IpAddr, sync::Arc};

/// The subprotocol of the native door.
const SUBPROTOCOL: &str = "patchbay.v1.json";
/// What a browser is told that comes without a WebSocket.
const ABOUT: &str =
    "Patchbay chat-gateway. WebSocket clients connect to /ws (patchbay.v1.json) or / (classic).\n";

/// A connection before its upgrade.
#[derive(Default)]
pub(super) struct Hello {
    head: Vec<u8>,
}

/// What became of a handshake.
pub(super) enum Welcome {
    /// The head is not whole yet.
    NotYet,
    /// It was answered with something else than an upgrade.
    Refused,
    /// The native door.
    Native(Native),
    /// The classic door.
    Classic(Classic),
}

/// Whether signed-in users may come from a page's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginTrust {
    /// No browser, the gateway's own host, or a configured origin.
    Trusted,
    /// Any other page: guests only.
    GuestsOnly,
}

impl Hello {
    /// Takes bytes; what follows the head is given back.
    pub(super) fn input(
        &mut self,
        gateway: &Arc<Gateway>,
        connection: &Arc<Connection>,
        bytes: &[u8],
    ) -> (Welcome, Vec<u8>) {
        self.head.extend_from_slice(bytes);
        let head = std::mem::take(&mut self.head);
        match Handshake::parse(&head, Limits::default()) {
            Handshake::NeedMore => {
                self.head = head;
                (Welcome::NotYet, Vec::new())
            }
            Handshake::NotUpgrade(request) => {
                refuse(connection, plain_answer(request.method, request.target));
                (Welcome::Refused, Vec::new())
            }
            Handshake::Bad(refusal) => {
                refuse(connection, refusal.response());
                (Welcome::Refused, Vec::new())
            }
            Handshake::Upgrade(upgrade) => {
                let welcome = welcome(gateway, connection, &upgrade);
                let rest = head.get(upgrade.head_len..).unwrap_or_default().to_vec();
                (welcome, rest)
            }
        }
    }
}

/// Gives back what a connection has claimed.
pub(super) fn release(gateway: &Gateway, connection: &Connection) {
    if connection.has_claim() {
        gateway.connections.release_address(connection.address());
    }
    if let Some(person) = connection.person()
        && person.identity.kind != patchbay_auth::IdentityKind::Guest
    {
        gateway.connections.release_user(&person.profile.user);
    }
}

fn welcome(gateway: &Arc<Gateway>, connection: &Arc<Connection>, upgrade: &Upgrade<'_>) -> Welcome {
    match admit(gateway, connection, upgrade) {
        Ok(welcome) => welcome,
        Err(refusal) => {
            gateway.metrics.refused.inc();
            refuse(connection, refusal.response());
            Welcome::Refused
        }
    }
}

fn admit(
    gateway: &Arc<Gateway>,
    connection: &Arc<Connection>,
    upgrade: &Upgrade<'_>,
) -> Result<Welcome, Refusal> {
    let limits = &gateway.config.connections;
    if gateway.is_draining() {
        return Err(Refusal::new(503, "Shutting down, come back elsewhere"));
    }
    if gateway.connections.open() > limits.max {
        return Err(Refusal::new(503, "Too many connections, come back later"));
    }
    let classic_room = gateway.classic_room.clone().filter(|_| upgrade.path == "/");
    if classic_room.is_none() && upgrade.path != "/ws" {
        return Err(Refusal::new(404, "No such door: use /ws"));
    }
    let address = client_address(gateway, connection.address(), upgrade.forwarded_for);
    if !gateway.connections.claim_address(address, limits.max_per_address) {
        return Err(Refusal::new(503, "Too many connections from this address"));
    }
    connection.claimed(address);
    let Some(room) = classic_room else {
        let protocol = upgrade.protocols.contains(&SUBPROTOCOL).then_some(SUBPROTOCOL);
        connection.outbound.send(&Bytes::from(upgrade.accept(protocol)));
        return Ok(Welcome::Native(Native::new(gateway, origin_trust(gateway, upgrade))));
    };
    let classic = Classic::new(gateway, room).ok_or(Refusal::new(403, "Guests are not allowed here"))?;
    connection.outbound.send(&Bytes::from(upgrade.accept(None)));
    classic.enter(gateway, connection);
    Ok(Welcome::Classic(classic))
}

/// The client's address: what the nearest trusted proxy says it is, else the peer's.
fn client_address(gateway: &Gateway, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
    let trusted = |address: IpAddr| {
        gateway.config.listen.trusted_proxies.iter().any(|network| network.contains(address))
    };
    if !trusted(peer) {
        return peer;
    }
    let hops = forwarded_for.unwrap_or_default().rsplit(',');
    let mut named = hops.filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
    named.find(|&address| !trusted(address)).unwrap_or(peer)
}

fn origin_trust(gateway: &Gateway, upgrade: &Upgrade<'_>) -> OriginTrust {
    let Some(origin) = upgrade.origin else { return OriginTrust::Trusted };
    let own_host = origin.split_once("://").is_some_and(|(_, host)| host.eq_ignore_ascii_case(upgrade.host));
    let allowed = &gateway.config.listen.allowed_origins;
    let configured = allowed.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
    if own_host || configured { OriginTrust::Trusted } else { OriginTrust::GuestsOnly }
}

fn refuse(connection: &Connection, response: Vec<u8>) {
    connection.outbound.finish(response.into());
}

fn plain_answer(method: &str, target: &str) -> Vec<u8> {
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET" | "HEAD", "/") => {
            let body = if method == "HEAD" { "" } else { ABOUT };
            let length = ABOUT.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            )
            .into_bytes()
        }
        (_, "/" | "/ws") => Refusal::new(426, "Upgrade Required: this is a WebSocket").response(),
        _ => Refusal::new(404, "Not Found").response(),
    }
}
