//! What cannot be configured. All problems are told at once.

use super::{Cameras, Listen, Media, RelayConfig};
use crate::cameras::is_device;
use patchbay_chassis::{Problems, Span};
use std::{collections::HashSet, time::Duration};

/// Looks at all sections.
pub(super) fn all(config: &RelayConfig, problems: &mut Problems) {
    listen(&config.listen, problems);
    media(&config.media, problems);
    cameras(&config.cameras, problems);
    qualities(config, problems);
    at_least_one(config, problems);
    some_time(config, problems);
    let address = config.replicas.address.as_deref();
    if address.is_some_and(|address| !is_host_and_port(address)) {
        problems.add("replicas.address", "must be a host and a port, such as \"10.0.0.7:9103\"");
    }
    if config.instant_start.max_rate < 1_000_000 {
        problems.add("instant_start.max_rate", "must be at least 1000000 bits a second");
    }
    if !(1..=15).contains(&config.motion.looks) {
        problems.add("motion.looks", "must be from 1 to 15");
    }
    if !(1..=60).contains(&config.mjpeg.fps) {
        problems.add("mjpeg.fps", "must be from 1 to 60");
    }
}

fn is_host_and_port(address: &str) -> bool {
    let authority = address.parse::<http::uri::Authority>();
    authority.is_ok_and(|authority| {
        !authority.host().is_empty() && authority.port_u16().is_some_and(|port| port > 0)
    })
}

fn listen(listen: &Listen, problems: &mut Problems) {
    for origin in &listen.allowed_origins {
        if origin != "*" && !origin.starts_with("http://") && !origin.starts_with("https://") {
            problems.add("listen.allowed_origins", format!("has `{origin}`, which is neither `*` nor an origin such as \"https://cameras.example.org\""));
        }
    }
}

fn media(media: &Media, problems: &mut Problems) {
    if media.public_port == Some(0) {
        problems.add("media.public_port", "must be a port from 1 to 65535");
    }
    if let Some(address) = media.public_addresses.iter().find(|address| address.is_unspecified()) {
        problems.add("media.public_addresses", format!("has {address}, which nobody can reach"));
    }
    for (index, server) in media.ice_servers.iter().enumerate() {
        let key = format!("media.ice_servers[{index}]");
        if server.urls.is_empty() {
            problems.add(format!("{key}.urls"), "must name a server");
        }
        let is_known = |url: &&String| {
            ["stun:", "stuns:", "turn:", "turns:"].iter().any(|scheme| url.starts_with(scheme))
                && !url
                    .contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"'))
        };
        if let Some(url) = server.urls.iter().find(|url| !is_known(url)) {
            problems.add(
                format!("{key}.urls"),
                format!("has `{url}`, which is no address such as \"stun:stun.example.org:3478\""),
            );
        }
        if server.username.is_some() != server.credential_file.is_some() {
            problems.add(format!("{key}.username"), "and credential_file must both be set, or neither");
        }
    }
}

fn cameras(cameras: &Cameras, problems: &mut Problems) {
    let mut names = HashSet::new();
    for (index, configured) in cameras.configured.iter().enumerate() {
        let key = |field: &str| format!("cameras.configured[{index}].{field}");
        let (name, spec) = match configured.parse() {
            Ok(parsed) => parsed,
            Err((field, problem)) => {
                problems.add(key(field), problem);
                continue;
            }
        };
        for violation in spec.violations() {
            problems.add(key(violation.field), violation.problem);
        }
        if let Some((field, problem)) = cameras.refuses(&spec.source) {
            problems.add(key(field), problem);
        }
        if !names.insert(name) {
            problems.add(key("name"), format!("is there twice: `{}`", configured.name));
        }
    }
    if cameras.configured.len() > cameras.max {
        problems.add("cameras.max", "must not be less than the number of configured cameras");
    }
    if let Some(path) = cameras.devices.iter().find(|path| !is_device(path)) {
        problems
            .add("cameras.devices", format!("has `{path}`, which is no video device such as /dev/video0"));
    }
    if cameras.retry.is_empty() || cameras.retry.iter().any(|span| *span < Span::millis(100)) {
        problems.add("cameras.retry", "must have a time at least, and none below 100ms");
    }
    if cameras.key_frame_gap > Span::seconds(10) {
        problems.add("cameras.key_frame_gap", "must be 10s at most");
    }
}

fn qualities(config: &RelayConfig, problems: &mut Problems) {
    for (key, quality) in
        [("snapshot.quality", config.snapshot.quality), ("mjpeg.quality", config.mjpeg.quality)]
    {
        if !(1..=100).contains(&quality) {
            problems.add(key, "must be from 1 to 100");
        }
    }
}

fn at_least_one(config: &RelayConfig, problems: &mut Problems) {
    let counts = [
        ("media.max_viewers", config.media.max_viewers),
        ("media.max_tcp_connections", config.media.max_tcp_connections),
        ("media.max_viewers_per_address", config.media.max_viewers_per_address),
        ("cameras.max", config.cameras.max),
        ("instant_start.max_frames", config.instant_start.max_frames),
        ("instant_start.concurrent", config.instant_start.concurrent),
        ("snapshot.concurrent", config.snapshot.concurrent),
        ("mjpeg.max_viewers", config.mjpeg.max_viewers),
        ("motion.max_kept", config.motion.max_kept),
        ("probe.concurrent", config.probe.concurrent),
        ("limits.connections", config.limits.connections),
        ("limits.offers_per_second", usize::try_from(config.limits.offers_per_second).unwrap_or(1)),
        ("limits.offers_burst", usize::try_from(config.limits.offers_burst).unwrap_or(1)),
    ];
    for (key, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
        problems.add(key, "must be at least 1");
    }
    let sizes = [
        ("cameras.cache.bytes", config.cameras.cache.bytes, 1 << 20),
        ("cameras.capture.max_rate", config.cameras.capture.max_rate, 1 << 16),
        ("instant_start.max_bytes", config.instant_start.max_bytes, 1 << 16),
        ("limits.body", config.limits.body, 1 << 12),
    ];
    for (key, size, least) in sizes {
        if size.0 < least {
            problems.add(key, format!("must be at least {least} bytes"));
        }
    }
}

fn some_time(config: &RelayConfig, problems: &mut Problems) {
    let spans = [
        ("media.connect_timeout", config.media.connect_timeout),
        ("media.idle_timeout", config.media.idle_timeout),
        ("cameras.start_timeout", config.cameras.start_timeout),
        ("cameras.cache.time", config.cameras.cache.time),
        ("cameras.retry_watched", config.cameras.retry_watched),
        ("cameras.slate_after", config.cameras.slate_after),
        ("cameras.capture.connect_timeout", config.cameras.capture.connect_timeout),
        ("cameras.capture.stall_timeout", config.cameras.capture.stall_timeout),
        ("motion.keep_for", config.motion.keep_for),
        ("announce.after", config.announce.after),
        ("snapshot.timeout", config.snapshot.timeout),
        ("mse.patience", config.mse.patience),
        ("mse.write_timeout", config.mse.write_timeout),
        ("limits.request_timeout", config.limits.request_timeout),
    ];
    for (key, _) in spans.into_iter().filter(|(_, span)| span.duration() < Duration::from_millis(100)) {
        problems.add(key, "must be at least 100ms");
    }
}
