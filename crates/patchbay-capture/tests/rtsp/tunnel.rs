//! The tunnel for clients of another origin: ffmpeg's, which knows nothing of TLS, logins or addresses that are forbidden to it.

use super::harness::*;
use patchbay_capture::{
    CaptureLimits, Trust, fingerprint,
    rtsp::tunnel::{Deliver, Lower, Target, Tunnel},
};
use patchbay_egress::Guard;
use patchbay_media::hub::Reason;
use patchbay_testkit::{
    rtsp::{
        gstreamer::GstCamera,
        scripted::{ScriptedServer, status},
    },
    wait::wait_until,
};
use std::{net::TcpStream, process::Command, time::Duration};
use tempfile::TempDir;
use url::Url;

async fn probe(url: String) -> String {
    let probing = tokio::task::spawn_blocking(move || {
        Command::new("ffprobe")
            .args(["-v", "error", "-rtsp_transport", "tcp", "-timeout", "10000000", "-count_packets"])
            .args([
                "-read_intervals",
                "%+1",
                "-show_entries",
                "stream=codec_name,nb_read_packets",
                "-of",
                "csv=p=0",
            ])
            .arg(url)
            .output()
            .expect("this test needs the program ffprobe")
    });
    let output = probing.await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn target(url: &str) -> Target {
    let limits = CaptureLimits { connect_timeout: Duration::from_secs(10), ..CaptureLimits::default() };
    Target { url: Url::parse(url).unwrap(), credentials: None, trust: Trust::Authorities, limits }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_comes_through_login_tls_and_udp() {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let login_options = ["--auth", "digest", "--user", "admin", "--password", "s3cret", "--audio", "aac"];
    let tls_options = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap(), "--audio", "aac"];
    for (scheme, options, lower) in [
        ("rtsp", &login_options[..], Lower::Tcp),
        ("rtsp", &login_options[..], Lower::Udp),
        ("rtsps", &tls_options[..], Lower::Tcp),
    ] {
        let camera = GstCamera::start(folder.path(), options).await.unwrap();
        let mut target = target(&format!("{scheme}://{}/live", camera.address()));
        target.credentials = Some(login("admin", "s3cret"));
        target.trust = Trust::Fingerprint(fingerprint(made.cert.der()));
        let tunnel = Tunnel::open(target, lower, Deliver::Client, &Guard::open(), &OnRuntime).await.unwrap();
        assert!(tunnel.url().as_str().starts_with("rtsp://127.0.0.1:"));
        let seen = probe(tunnel.url().to_string()).await;
        println!("{scheme} {lower:?}: {seen:?}");
        assert_eq!(tunnel.failure(), None);
        let packets = |codec: &str| {
            let line = seen.lines().find(|line| line.starts_with(codec)).expect(codec);
            line.rsplit(',').next().unwrap().parse::<u32>().unwrap()
        };
        assert!(packets("h264") >= 20 && packets("aac") >= 20, "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_opens_once_and_for_who_knows_the_secret() {
    let server = ScriptedServer::start(super::film::Clip::h264().script()).unwrap();
    let url = format!("rtsp://{}/live", server.address());
    let open = async || {
        let target = target(&url);
        Tunnel::open(target, Lower::Tcp, Deliver::Client, &Guard::open(), &OnRuntime).await.unwrap()
    };
    let tunnel = open().await;
    let seen = probe(tunnel.url().join("/other").unwrap().to_string()).await;
    assert!(!seen.contains("h264") && server.requests().is_empty(), "{seen}");
    wait_until("the tunnel says so", LONG, async || tunnel.failure().is_some()).await.unwrap();

    let tunnel = open().await;
    assert!(probe(tunnel.url().to_string()).await.contains("h264"));
    let address = tunnel.url().socket_addrs(|| None).unwrap()[0];
    assert!(TcpStream::connect(address).is_err(), "the door is shut");
    wait_until("the session is ended", LONG, async || server.was_asked("TEARDOWN")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_is_not_led_elsewhere() {
    let elsewhere = ScriptedServer::start(super::film::Clip::h264().script()).unwrap();
    let moved = format!("Moved\r\nLocation: rtsp://{}/live", elsewhere.address());
    let script = super::film::Clip::h264().script().with("DESCRIBE", status(302, &moved));
    let server = ScriptedServer::start(script).unwrap();
    let target = target(&format!("rtsp://{}/live", server.address()));
    let tunnel = Tunnel::open(target, Lower::Tcp, Deliver::Client, &Guard::open(), &OnRuntime).await.unwrap();
    let seen = probe(tunnel.url().to_string()).await;
    assert!(!seen.contains("h264"), "{seen}");
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(tunnel.failure().map(|error| error.reason()), Some(Reason::Protocol));
}
