//! What cannot be configured is told at once, with its key.

use super::world::load;
use patchbay_chassis::config::Layer;
use std::fs;

/// What is said of a file.
fn problems(toml: &str) -> String {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("patchbay.toml");
    fs::write(&file, toml).expect("a file can be written");
    load(Some(file), Layer::new("test")).expect_err("it must be refused")
}

#[test]
fn nothing_needs_to_be_configured() {
    load(None, Layer::new("test")).unwrap();
}

#[test]
fn all_problems_are_told_at_once() {
    let said = problems(
        r#"
            [camera-relay.listen]
            allowed_origins = ["cameras.example.org"]
            [camera-relay.media]
            max_viewers = 0
            public_addresses = ["0.0.0.0"]
            ice_servers = [{ urls = ["http://x"], username = "u" }]
            [camera-relay.cameras]
            max = 0
            cache.bytes = "1KiB"
            [camera-relay.snapshot]
            quality = 101
            [camera-relay.mjpeg]
            fps = 0
            [camera-relay.instant_start]
            max_rate = 1
            [camera-relay.limits]
            request_timeout = "0s"
        "#,
    );
    for key in [
        "media.max_viewers",
        "media.public_addresses",
        "media.ice_servers[0].urls",
        "media.ice_servers[0].username",
        "cameras.max",
        "cameras.cache.bytes",
        "snapshot.quality",
        "mjpeg.fps",
        "instant_start.max_rate",
        "limits.request_timeout",
        "listen.allowed_origins",
    ] {
        assert!(said.contains(key), "{key} is missing in: {said}");
    }
}

#[test]
fn configured_cameras_are_checked_each() {
    let said = problems(
        r#"
            [camera-relay.cameras]
            configured = [
                { name = "../x", test = {} },
                { name = "both", test = {}, file = { path = "a.mp4" } },
                { name = "none" },
                { name = "small", test = { width = 8, fps = 61 } },
                { name = "file", file = { path = "../a.mp4" } },
                { name = "small", test = {} },
            ]
        "#,
    );
    for key in [
        "cameras.configured[0].name",
        "cameras.configured[1].test",
        "cameras.configured[2].test",
        "cameras.configured[3].test.width",
        "cameras.configured[3].test.fps",
        "cameras.configured[4].file.path",
        "cameras.configured[4].file",
        "cameras.configured[5].name",
    ] {
        assert!(said.contains(key), "{key} is missing in: {said}");
    }
}

#[test]
fn tcp_can_be_switched_off() {
    load(None, Layer::new("test").set("camera-relay.media.tcp", "")).unwrap();
}
