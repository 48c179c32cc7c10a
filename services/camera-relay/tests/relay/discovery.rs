//! Looking for cameras: by a real multicast on loopback, where a camera written by hand answers, and among devices.

use super::world::{World, reason, with};
use anyhow::{Context, Result};
use patchbay_chassis::config::Layer;
use patchbay_proto::camera::v1 as pb;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::tempdir;
use tokio::net::UdpSocket;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

/// Hears what is sent to the group on loopback.
fn camera() -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // Others on this machine may listen too.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3702)).into())?;
    socket.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// Answers each question as a camera does; gives how many there were.
async fn answers(socket: &UdpSocket, asked: &mut usize) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let question = std::str::from_utf8(&buffer[..length])?;
        let (_, rest) = question.split_once("MessageID>").context("it has an id")?;
        let (id, _) = rest.split_once('<').context("the id ends")?;
        *asked += 1;
        let answer = format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header><a:RelatesTo>{id}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:door</a:Address></a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/Dahua%20Door</d:Scopes><d:XAddrs>http://127.0.0.1:8899/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        );
        socket.send_to(answer.as_bytes(), from).await?;
    }
}

fn search(token: &str) -> tonic::Request<pb::DiscoverSourcesRequest> {
    let timeout = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    with(token, pb::DiscoverSourcesRequest { timeout })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_near_the_service_is_found_where_it_may_be_reached() -> Result<()> {
    let folder = tempdir()?;
    // The first replica may reach this machine, the second may not.
    let change = |name: &str, flags: Layer| match name {
        "camera-relay" => flags.set("camera-relay.cameras.egress.allow", vec!["127.0.0.0/8"]),
        _ => flags,
    };
    let mut world = World::start_with(folder.path(), &change).await?;
    let token = world.token(&["media:write:*"])?;
    let socket = camera()?;
    let mut asked = 0;
    let found = tokio::select! {
        found = world.one.client.discover_sources(search(&token)) => found?.into_inner(),
        failed = answers(&socket, &mut asked) => anyhow::bail!("the camera ended: {failed:?}"),
    };
    let expected = pb::DiscoveredSource {
        kind: "onvif".into(),
        name: "Dahua Door".into(),
        address: "http://127.0.0.1:8899/onvif/device_service".into(),
        urls: vec!["rtsp://127.0.0.1/cam/realmonitor?channel=1&subtype=0".into()],
    };
    assert_eq!(found.sources, [expected]);
    println!("{asked} questions were answered");
    let hidden = tokio::select! {
        found = world.other.client.discover_sources(search(&token)) => found?.into_inner(),
        failed = answers(&socket, &mut asked) => anyhow::bail!("the camera ended: {failed:?}"),
    };
    assert_eq!(hidden.sources, []);
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_few_and_can_be_switched_off() -> Result<()> {
    let folder = tempdir()?;
    let change = |name: &str, flags: Layer| match name {
        "camera-relay" => flags,
        other => flags
            .set(&format!("{other}.cameras.devices"), vec!["/dev/video998"])
            .set(&format!("{other}.probe.discovery"), false),
    };
    let mut world = World::start_with(folder.path(), &change).await?;
    let token = world.token(&["media:write:*"])?;
    let client = world.one.client.clone();
    let all = (0..3).map(|_| {
        let (mut client, token) = (client.clone(), token.clone());
        async move { client.discover_sources(search(&token)).await }
    });
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort_by_key(Result::is_err);
    assert_eq!(reason(answers.pop().context("three were asked")?), "BUSY");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    drop(client);
    // A device that is not there is not found, and nobody is asked.
    let begun = std::time::Instant::now();
    let found = world.other.client.discover_sources(search(&token)).await?.into_inner();
    println!("without a search it took {:?}", begun.elapsed());
    assert_eq!(found.sources, []);
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    world.stop().await
}
