//! A camera of ONVIF that others have written, in front of a real RTSP server: from its address to a picture, by REST.

use anyhow::{Result, ensure};
use integration_tests::{
    camera::{OPERATOR, Relay, open_settings},
    report::report,
    verdict::TestResult,
};
use patchbay_testkit::{binaries::workspace, keys::Keys, onvif::OnvifDevice, rtsp::gstreamer::GstCamera};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command, time::Instant};

const SECRET: &str = "S3cret-of-the-eye";

/// A Python that has ipycam: that of `scripts/test`, else that of the system.
fn python() -> Option<PathBuf> {
    let candidates = [workspace().join("target/tools/onvif/bin/python"), PathBuf::from("python3")];
    // Not imported: the package loads OpenCV, which is not installed with it.
    let question = "import importlib.util, numpy, sys; sys.exit(importlib.util.find_spec('ipycam') is None)";
    candidates.into_iter().find(|python| {
        Command::new(python).args(["-c", question]).output().is_ok_and(|output| output.status.success())
    })
}

#[tokio::test]
async fn a_camera_of_others_tells_its_stream_and_is_seen() -> TestResult {
    let Some(python) = python() else {
        report("skipped: Python's ipycam is not installed; scripts/test does that");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let settings = open_settings().set("cameras.egress.allow", r#"["127.0.0.0/8"]"#);
    let relay = Relay::start(folder.path(), "relay", &keys, settings).await?;
    let token = keys.token("operator", &OPERATOR)?;
    let locks = ["--user", "admin", "--password", SECRET];
    let camera = GstCamera::start(folder.path(), &[&["--auth", "digest"], &locks[..]].concat()).await?;
    let url = format!("rtsp://{}/live", camera.address());
    let device =
        OnvifDevice::foreign(python, folder.path(), &[&["--rtsp", &url], &locks[..]].concat()).await?;

    let describe = async |login: Value| -> Result<Value> {
        let request = json!({ "address": device.address().to_string(), "login": login });
        let (status, told) = relay.rest(&token, "POST", "/v1/sources/describe", &request).await?;
        ensure!(status == 200, "{status}: {told}");
        Ok(told)
    };
    let without = describe(Value::Null).await?;
    assert_eq!(without["reason"], "UNAUTHORIZED", "{without}");
    let wrong = describe(json!({ "username": "admin", "password": "wrong" })).await?;
    assert_eq!(wrong["reason"], "UNAUTHORIZED", "{wrong}");

    let login = json!({ "username": "admin", "password": SECRET });
    let begun = Instant::now();
    let told = describe(login.clone()).await?;
    report(&format!("ipycam's camera has told its streams after {:.1?}: {told}", begun.elapsed()));
    assert_eq!((&told["ok"], &told["maker"]), (&true.into(), &"PythonCam".into()), "{told}");
    let main = &told["streams"][0];
    assert_eq!((&main["url"], &main["codec"]), (&url.into(), &"H264".into()), "{told}");
    assert_eq!((&main["width"], &main["height"]), (&1920.into(), &1080.into()), "{told}");

    let eye = json!({ "camera": { "name": "eye", "rtsp": { "url": main["url"], "login": login } } });
    let (status, added) = relay.rest(&token, "POST", "/v1/cameras", &eye).await?;
    assert_eq!(status, 200, "{added}");
    let (status, picture) = relay.rest(&token, "GET", "/v1/cameras/eye/snapshot", &Value::Null).await?;
    assert_eq!((status, &picture["width"]), (200, &320.into()), "{picture}");
    assert!(!relay.process.log().contains(SECRET));
    Ok(())
}
