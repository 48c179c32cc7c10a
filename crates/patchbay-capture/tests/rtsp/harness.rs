//! A hub with a camera, and what a viewer sees of it.

use patchbay_capture::{CaptureLimits, Credentials, RtspSettings, RtspSource, RtspTransport, Trust};
use patchbay_egress::Guard;
use patchbay_media::{
    AccessUnit, Codec, Spawn, Task,
    hub::{Hub, HubConfig, Mode, NotStarted, Reason, Selected, State, StreamName, Subscription, Wanted},
    ring::{Reader, Start},
    track::Track,
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use url::Url;

/// Longest wait for anything.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct OnRuntime;

impl Spawn for OnRuntime {
    fn spawn(&self, _: &'static str, task: Task) {
        drop(tokio::runtime::Handle::current().spawn(task));
    }
}

pub(crate) fn hub() -> Hub {
    let config = HubConfig { linger: Duration::from_millis(1), jitter: 0, ..HubConfig::default() };
    Hub::new(config, Arc::new(OnRuntime))
}

/// A camera at an address, over TCP, with limits that are short enough for tests.
pub(crate) fn settings(address: SocketAddr) -> RtspSettings {
    RtspSettings {
        url: Url::parse(&format!("rtsp://{address}/live")).unwrap(),
        credentials: None,
        transport: RtspTransport::Tcp,
        trust: Trust::Authorities,
        limits: CaptureLimits {
            connect_timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(2),
            key_frame_timeout: Duration::from_secs(3),
            start_timeout: Duration::from_secs(3),
            ..CaptureLimits::default()
        },
    }
}

pub(crate) fn login(username: &str, password: &str) -> Credentials {
    Credentials { username: username.to_owned(), password: password.into() }
}

pub(crate) fn everything() -> Wanted {
    let is_video = |codec: &Codec| codec.kind() == patchbay_media::Kind::Video;
    let (video, audio) = Codec::ALL.into_iter().partition(is_video);
    Wanted { video, audio, ..Wanted::default() }
}

/// A viewer of one camera.
pub(crate) struct Viewer {
    pub(crate) hub: Hub,
    pub(crate) name: StreamName,
    pub(crate) subscription: Subscription,
    pub(crate) started: Instant,
}

impl Viewer {
    pub(crate) fn of(settings: RtspSettings) -> Self {
        Self::in_hub(hub(), "camera/one", settings)
    }

    pub(crate) fn in_hub(hub: Hub, name: &str, settings: RtspSettings) -> Self {
        let name = StreamName::parse(name).unwrap();
        let source = RtspSource::new(settings, Guard::open(), Arc::new(OnRuntime));
        let started = Instant::now();
        hub.add(name.clone(), Arc::new(source), Mode::OnDemand).unwrap();
        let subscription = hub.subscribe(&name, everything()).unwrap();
        Self { hub, name, subscription, started }
    }

    /// The next tracks.
    pub(crate) async fn tracks(&mut self) -> Selected {
        timeout(LONG, self.subscription.tracks()).await.expect("tracks in time").expect("tracks")
    }

    pub(crate) async fn video(&mut self) -> Arc<Track> {
        self.tracks().await.video.expect("pictures")
    }

    /// The next failure, as words and reason.
    pub(crate) async fn failure(&mut self) -> (String, Reason) {
        loop {
            let next = timeout(LONG, self.subscription.tracks_or_failure()).await.expect("a failure in time");
            match next {
                Ok(_) => {}
                Err(NotStarted::Failed(error)) => {
                    println!("{:?} after {:?}: {error}", error.reason(), self.started.elapsed());
                    return (error.to_string(), error.reason());
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Waits until the stream has failed, whether it ran before or not.
    pub(crate) async fn failed(&self) -> (String, Reason) {
        let mut states = self.hub.watch(&self.name).unwrap();
        let failed = states.wait_for(|state| state.state == State::Failed);
        let state = timeout(LONG, failed).await.expect("a failure in time").unwrap().clone();
        println!("{:?} after {:?}: {}", state.reason, self.started.elapsed(), state.detail);
        (state.detail, state.reason.expect("a reason"))
    }

    /// Waits until the stream has been started so many times.
    pub(crate) async fn starts(&self, starts: u64) {
        let mut states = self.hub.watch(&self.name).unwrap();
        timeout(LONG, states.wait_for(|state| state.starts >= starts))
            .await
            .expect("starts in time")
            .unwrap();
    }
}

pub(crate) fn reader(track: &Track) -> Reader<AccessUnit> {
    track.reader(Start::NewestKey)
}

/// The next unit of a track.
pub(crate) async fn next(reader: &mut Reader<AccessUnit>) -> AccessUnit {
    let read = timeout(LONG, reader.next()).await.expect("a unit in time").expect("a unit");
    read.entry.item.clone()
}

/// The first units of a track.
pub(crate) async fn units(track: &Track, count: usize) -> Vec<AccessUnit> {
    let mut reader = reader(track);
    let mut units = Vec::new();
    while units.len() < count {
        units.push(next(&mut reader).await);
    }
    units
}
