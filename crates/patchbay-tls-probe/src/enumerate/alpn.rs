//! The application protocols that a server takes, one by one.

use super::{Offer, groups_for, offer, usual};
use crate::{
    ask::{Answer, Asker},
    connection::Stop,
    handshake::{Handshake, Wish},
    report::Version,
};
use rustls::pki_types::ServerName;

/// Asks for each. Up to TLS 1.2 the answer is in the clear; later it takes a whole handshake.
pub(crate) async fn application_protocols(
    asker: &Asker<'_>,
    versions: &[Version],
    names: &[&str],
    server_name: &ServerName<'static>,
) -> (Vec<String>, Option<Stop>) {
    let in_the_clear =
        versions.iter().copied().filter(|version| (Version::Tls10..=Version::Tls12).contains(version)).max();
    let mut taken = Vec::new();
    for name in names {
        let answer = match in_the_clear {
            Some(version) => takes(asker, version, name).await,
            None => Handshake::make(&asker.connector, server_name, Wish::only(name))
                .await
                .map(|handshake| handshake.is_some_and(|handshake| handshake.alpn == **name)),
        };
        match answer {
            Ok(true) => taken.push((*name).to_owned()),
            Ok(false) => (),
            Err(stop) => return (taken, Some(stop)),
        }
    }
    (taken, None)
}

async fn takes(asker: &Asker<'_>, version: Version, name: &str) -> Result<bool, Stop> {
    let (suites, groups) = (usual(version), groups_for(version));
    let answer = asker.ask(Offer { alpn: &[name], ..offer(version, &suites, &groups) }).await?;
    let Answer::Chose(flight) = answer else { return Ok(false) };
    Ok(flight.hello.is_some_and(|hello| hello.alpn.as_deref() == Some(name.as_bytes())))
}
