//! Who is found by answers written by hand, and what of them is told.

use super::*;
use patchbay_egress::EgressConfig;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

fn guard(allow: &[&str]) -> Guard {
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    Guard::new(&EgressConfig { allow, ..EgressConfig::default() }, EGRESS)
}

fn answer(relates_to: &str, endpoint: &str, scopes: &str, addresses: &str) -> String {
    format!(
        "<e:Envelope><e:Header><a:RelatesTo>{relates_to}</a:RelatesTo></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{addresses}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
    )
}

/// Text of an element of a question.
fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<a:{name}>")).unwrap();
    rest.split_once("</").unwrap().0
}

/// A camera, and others who answer too.
async fn responder(socket: UdpSocket) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = std::str::from_utf8(&buffer[..length]).unwrap();
        let id = part(question, "MessageID");
        let own = "http://127.0.0.1:8000/onvif/device_service";
        let scopes = "onvif://www.onvif.org/name/AXIS%20M1065 onvif://www.onvif.org/hardware/M1065";
        let bomb = format!("<!DOCTYPE a [<!ENTITY x \"{}\">]><a>&x;</a>", "x".repeat(1000));
        let answers = [
            "not XML at all".to_owned(),
            bomb,
            answer("urn:uuid:of-somebody-else", "urn:uuid:stale", scopes, own),
            answer(id, "urn:uuid:metadata", scopes, "http://169.254.169.254/onvif"),
            answer(id, "urn:uuid:name", scopes, "http://metadata.internal/onvif"),
            answer(id, "urn:uuid:login", scopes, "http://admin:s3cret@127.0.0.1/onvif"),
            answer(id, "urn:uuid:cam", scopes, &format!("http://169.254.1.1/onvif {own}")),
        ];
        for answer in answers {
            socket.send_to(answer.as_bytes(), from).await.unwrap();
        }
    }
}

async fn found(guard: &Guard) -> Vec<Discovered> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let SocketAddr::V4(address) = socket.local_addr().unwrap() else { panic!("it is of IPv4") };
    let searching = search::run(address, &[Ipv4Addr::LOCALHOST], Duration::from_secs(1));
    tokio::select! {
        heard = searching => told(guard, heard),
        () = responder(socket) => unreachable!(),
    }
}

#[tokio::test]
async fn a_camera_is_found_once_among_strangers() {
    let expected = Discovered {
        kind: "onvif",
        name: "AXIS M1065".to_owned(),
        address: "http://127.0.0.1:8000/onvif/device_service".to_owned(),
        urls: vec!["rtsp://127.0.0.1/axis-media/media.amp".to_owned()],
    };
    assert_eq!(found(&guard(&["127.0.0.0/8"])).await, [expected]);
}

#[tokio::test]
async fn nobody_is_told_who_may_not_be_reached() {
    assert_eq!(found(&guard(&[])).await, []);
}

#[test]
fn a_flood_of_answers_is_cut() {
    let long = Device {
        addresses: vec![format!("http://10.0.0.9/{}", "x".repeat(MAX_ADDRESS))],
        ..Device::default()
    };
    assert!(told(&guard(&["10.0.0.0/8"]), vec![(IpAddr::from([10, 0, 0, 9]), long)]).is_empty());
    let many = (0..2000_u32).map(|index| {
        let device = Device {
            endpoint: format!("urn:{index}"),
            addresses: vec!["http://10.0.0.9/".to_owned()],
            ..Device::default()
        };
        (IpAddr::from([10, 0, 0, 9]), device)
    });
    let twice: Vec<_> = many.clone().chain(many).collect();
    assert_eq!(told(&guard(&["10.0.0.0/8"]), twice).len(), MOST);
}
