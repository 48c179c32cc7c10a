//! Logins and TLS, against `GStreamer`'s server.

use super::harness::*;
use patchbay_capture::{RtspSettings, Trust, fingerprint};
use patchbay_media::hub::Reason;
use patchbay_testkit::rtsp::gstreamer::GstCamera;
use std::{net::SocketAddr, time::Duration};
use tempfile::TempDir;
use url::Url;

fn patient(address: SocketAddr) -> RtspSettings {
    let mut settings = settings(address);
    settings.limits.connect_timeout = Duration::from_secs(10);
    settings
}

const SECRET: &str = "s3cret & more";

#[tokio::test(flavor = "multi_thread")]
async fn basic_and_digest_logins_are_given_and_wrong_ones_told() {
    let folder = TempDir::new().unwrap();
    for kind in ["basic", "digest"] {
        let options = ["--auth", kind, "--user", "admin", "--password", SECRET];
        let camera = GstCamera::start(folder.path(), &options).await.unwrap();
        let with = |credentials| RtspSettings { credentials, ..patient(camera.address()) };
        let mut viewer = Viewer::of(with(Some(login("admin", SECRET))));
        assert!(units(&*viewer.video().await, 3).await[0].key, "{kind}");
        for (credentials, words) in [
            (None, "asks for a login"),
            (Some(login("admin", "wr0ng")), "does not accept this login"),
            (Some(login("nobody", SECRET)), "does not accept this login"),
        ] {
            let (text, reason) = Viewer::of(with(credentials)).failure().await;
            assert_eq!(reason, Reason::Unauthorized);
            assert!(text.contains(words), "{kind}: {text}");
            assert!(!text.contains("s3cret") && !text.contains("wr0ng") && !text.contains("admin"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_by_authority_or_pinned() {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
    let options = ["--cert", files[0], "--key", files[1], "--audio", "pcma"];
    let camera = GstCamera::start(folder.path(), &options).await.unwrap();
    let url = Url::parse(&format!("rtsps://{}/live", camera.address())).unwrap();
    let with = |trust| RtspSettings { url: url.clone(), trust, ..patient(camera.address()) };
    let pinned = fingerprint(made.cert.der());

    let mut viewer = Viewer::of(with(Trust::Fingerprint(pinned)));
    assert!(units(&*viewer.video().await, 10).await[0].key);

    let shown = patchbay_capture::fingerprint_text(&pinned);
    for trust in [Trust::Authorities, Trust::Fingerprint([7; 32])] {
        let (text, reason) = Viewer::of(with(trust)).failure().await;
        assert!(reason == Reason::Tls && text.contains(&shown), "{text}");
    }

    let plain = GstCamera::start(folder.path(), &[]).await.unwrap();
    let url = Url::parse(&format!("rtsps://{}/live", plain.address())).unwrap();
    let mut settings = RtspSettings { url, ..patient(plain.address()) };
    settings.limits.connect_timeout = Duration::from_secs(1);
    let (text, reason) = Viewer::of(settings).failure().await;
    assert!(reason == Reason::Tls && text.contains("TLS"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_is_told() {
    let folder = TempDir::new().unwrap();
    let camera = GstCamera::start(folder.path(), &[]).await.unwrap();
    let url = Url::parse(&format!("rtsp://{}/other?token=s3cret", camera.address())).unwrap();
    let (text, reason) = Viewer::of(RtspSettings { url, ..patient(camera.address()) }).failure().await;
    assert!(reason == Reason::NotFound && !text.contains("s3cret"), "{text}");
}
