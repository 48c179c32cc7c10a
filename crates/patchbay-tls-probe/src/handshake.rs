//! One whole handshake, as a current client makes it: what comes out of it, and the certificates and the staple that a server shows to nobody else.
//!
//! Nothing is refused here, so that servers with bad certificates can be looked at: `chain` judges what is kept. No secret is ever sent over such a connection.

mod keeper;
mod strict_transport;

pub(crate) use strict_transport::strict_transport;

use self::keeper::Keeper;
use crate::{
    connection::{Connection, Connector, Patience, Stop},
    report::Version,
    wire::version_of,
};
use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::ServerName,
};
use std::sync::Arc;
use tokio::{net::TcpStream, sync::SemaphorePermit};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What a client wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    alpn: &'a [&'a str],
    groups: Groups,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Groups {
    /// With those that a quantum computer does not break, first.
    All,
    /// Curves alone: some boxes between lose hellos that do not fit one packet.
    Curves,
}

impl<'a> Wish<'a> {
    /// As browsers and current libraries ask.
    pub(crate) const fn current(alpn: &'a [&'a str]) -> Self {
        Self { alpn, groups: Groups::All }
    }

    /// With one application protocol.
    pub(crate) const fn only(name: &'a &'a str) -> Self {
        Self { alpn: std::slice::from_ref(name), groups: Groups::All }
    }
}

/// What came out of a handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) version: Version,
    /// The suite's number.
    pub(crate) suite: u16,
    /// The group's number.
    pub(crate) group: Option<u16>,
    /// The application protocol; empty where none was agreed upon.
    pub(crate) alpn: String,
}

/// What a server showed, whether or not the handshake came to its end.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) staple: Option<Vec<u8>>,
    pub(crate) proof: Proof,
}

/// Whether the server showed that it has the key of its certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It did.
    Given,
    /// What it signed is not signed with that key.
    Wrong,
    /// It was not looked at: older versions, and signatures that are out of use.
    #[default]
    Unchecked,
}

/// A connection after its handshake.
struct Established<'a> {
    stream: TlsStream<TcpStream>,
    wait: crate::connection::Wait,
    _turn: SemaphorePermit<'a>,
}

impl Handshake {
    /// Makes one and closes the connection; none where the server and this client find nothing in common.
    pub(crate) async fn make(
        connector: &Connector<'_>,
        server_name: &ServerName<'static>,
        wish: Wish<'_>,
    ) -> Result<Option<Self>, Stop> {
        let (established, _) = establish(connector, server_name, wish, Patience::Full).await?;
        Ok(established.as_ref().and_then(Self::of))
    }

    /// Makes one as a current client does, and keeps what the server showed. Where it comes to nothing, or the hello is lost, it is made again with curves alone.
    pub(crate) async fn current(
        connector: &Connector<'_>,
        server_name: &ServerName<'static>,
        alpn: &[&str],
    ) -> Result<(Option<Self>, Shown), Stop> {
        let wish = Wish::current(alpn);
        match establish(connector, server_name, wish, Patience::Brief).await {
            Ok((Some(established), shown)) => return Ok((Self::of(&established), shown)),
            Ok((None, shown)) if !shown.certificates.is_empty() => return Ok((None, shown)),
            Ok((None, _)) => {}
            Err(Stop::Unanswered(_)) => connector.remember_that_long_hellos_are_lost(),
            Err(stop) => return Err(stop),
        }
        let curves = Wish { groups: Groups::Curves, ..wish };
        let (established, shown) = establish(connector, server_name, curves, Patience::Full).await?;
        Ok((established.as_ref().and_then(Self::of), shown))
    }

    fn of(established: &Established<'_>) -> Option<Self> {
        let (_, connection) = established.stream.get_ref();
        Some(Self {
            version: version_of(connection.protocol_version()?.into())?,
            suite: connection.negotiated_cipher_suite()?.suite().into(),
            group: connection.negotiated_key_exchange_group().map(|group| group.name().into()),
            alpn: String::from_utf8_lossy(connection.alpn_protocol().unwrap_or_default()).into_owned(),
        })
    }
}

async fn establish<'a>(
    connector: &'a Connector<'_>,
    server_name: &ServerName<'static>,
    wish: Wish<'_>,
    patience: Patience,
) -> Result<(Option<Established<'a>>, Shown), Stop> {
    let keeper = Arc::new(Keeper::new());
    let groups = if connector.loses_long_hellos() { Groups::Curves } else { wish.groups };
    let Some(config) = config(&keeper, Wish { groups, ..wish }) else { return Ok((None, Shown::default())) };
    let Connection { stream, wait, turn } = connector.open(patience).await?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(server_name.clone(), stream);
    let established =
        wait.for_it(handshake).await?.ok().map(|stream| Established { stream, wait, _turn: turn });
    Ok((established, keeper.shown()))
}

fn config(keeper: &Arc<Keeper>, wish: Wish<'_>) -> Option<ClientConfig> {
    let provider = CryptoProvider { kx_groups: kx_groups(wish.groups), ..aws_lc_rs::default_provider() };
    let builder =
        ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().ok()?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(keeper) as Arc<_>)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = wish.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Some(config)
}

fn kx_groups(groups: Groups) -> Vec<&'static dyn SupportedKxGroup> {
    use aws_lc_rs::kx_group::{
        MLKEM768, MLKEM1024, SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768,
    };
    match groups {
        Groups::All => {
            vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1, SECP256R1MLKEM768, MLKEM768, MLKEM1024]
        }
        Groups::Curves => vec![X25519, SECP256R1, SECP384R1],
    }
}
