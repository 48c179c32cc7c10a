//! Somebody who looks at a camera by WebRTC, whichever door negotiated it: from the offer to the end.
//!
//! Called by `http::whep` and `http::websocket`, which carry offers and answers. What is sent comes from `feeds`, who looks is in
//! [`ViewerTable`](crate::viewers::ViewerTable), and the peer is one of `patchbay_rtc`'s engine.

mod error;
mod farewell;
mod feeds;
mod shared_peer;
mod slate;
mod steps;

pub(crate) use error::ViewError;
pub(crate) use farewell::Farewell;
pub(crate) use slate::{EVERY as SLATE_EVERY, Playing as Slate};

use crate::{
    addresses::{self, Families},
    caller::Caller,
    cameras::CameraName,
    core::Core,
    error::Error,
    metrics,
    viewers::{Newcomer, Registration, SentAway},
};
use farewell::Stopping;
use feeds::{Feeds, Held};
use patchbay_chassis::{Context, StartError};
use patchbay_media::{
    Codec, Kind, Spawn, Task,
    hub::{Again, Ended, NotStarted, Reordering, Selected, StreamName, SubscribeError, Subscription, Wanted},
    ring::Caps,
};
use patchbay_rtc::{
    Adapt, Engine, EngineConfig, InstantStart, PeerEvent, Sending, Session,
    sdp::{Answer, Credentials, Offer},
};
use shared_peer::SharedPeer;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use steps::Steps;

/// Sound and pictures are streams of their own (`msid`), for a browser holds pictures back to keep one stream in step.
const PICTURES: &str = "pictures";
const SOUND: &str = "sound";

/// Time between two looks at all viewers, so that many revocations at once cost no more than a few looks.
const REVOCATIONS: Duration = Duration::from_millis(200);

/// What all WebRTC viewers of a replica share.
pub(crate) struct Viewings {
    pub(crate) core: Arc<Core>,
    engine: Engine,
    feeds: Feeds,
    /// Bursts of the engine that are in the metrics.
    bursts: AtomicU64,
    stopping: Stopping,
}

/// An offer, and what is known of who made it.
pub(crate) struct Asked<'a> {
    /// Who, at what, by which door.
    pub(crate) newcomer: Newcomer,
    /// The authority that was dialled, as in `Host`.
    pub(crate) host: Option<&'a str>,
    /// The offer.
    pub(crate) offer: &'a str,
}

/// A viewer. Dropped, its connection is closed.
pub(crate) struct Viewing {
    viewings: Arc<Viewings>,
    /// Before the peer, which it measures for a last time when it is dropped.
    registration: Registration,
    peer: SharedPeer,
    feeds: Vec<Held>,
    steps: Steps,
    farewell: Farewell,
}

/// What happens to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// Pictures go to it.
    Connected,
    /// It is over.
    Ended(End),
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection has ended, by the viewer or because nothing was heard of it.
    Gone,
    /// The viewer was sent away.
    SentAway(SentAway),
    /// The camera was removed, or has other tracks now than those that were promised.
    NoMorePictures,
    /// The replica stops.
    Stopping,
}

impl End {
    /// In words, for the viewer and the log.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Gone => "the connection has ended",
            Self::SentAway(SentAway::Kicked) => "an operator has ended the connection",
            Self::SentAway(SentAway::CameraRemoved) => "the camera was removed",
            Self::SentAway(SentAway::Revoked) => "the token was revoked",
            Self::NoMorePictures => "the camera has changed, connect again",
            Self::Stopping => "the service is stopping, connect again",
        }
    }
}

impl Viewings {
    /// Binds the media port.
    pub(crate) fn open(core: &Arc<Core>) -> Result<Arc<Self>, StartError> {
        let spawn: Arc<dyn Spawn> = Arc::new(UntilHard(core.context.clone()));
        let engine = Engine::bind(engine_config(core), Arc::clone(&spawn))
            .map_err(|error| StartError::failed("bind the media port", error))?;
        let cache = &core.config.cameras.cache;
        let caps = Caps { bytes: cache.bytes.as_usize(), time: cache.time.duration(), ..Caps::default() };
        let feeds = Feeds::new(core.hub.clone(), spawn, caps);
        core.context.tasks.spawn_critical("revocations", enforce_revocations(Arc::clone(core)));
        Ok(Arc::new(Self {
            core: Arc::clone(core),
            engine,
            feeds,
            bursts: AtomicU64::new(0),
            stopping: Stopping::new(),
        }))
    }

    /// Tells all viewers to go, spread over a time, so that they do not all come back at once.
    pub(crate) fn send_everybody_away(&self, spread: Duration) {
        self.stopping.begin(spread);
    }

    /// Tells one viewer when to go.
    pub(crate) fn farewell(&self) -> Farewell {
        self.stopping.farewell(self.core.context.ids.random_u64())
    }

    /// Counts a viewer that has connected.
    fn connected(&self, took: Option<Duration>) {
        let metrics = &self.core.metrics;
        if let Some(took) = took {
            metrics::observe(&metrics.connect_seconds, took);
        }
        let bursts = self.engine.counters().bursts.load(Ordering::Relaxed);
        let told = self.bursts.fetch_max(bursts, Ordering::Relaxed);
        metrics.bursts.inc_by(bursts.saturating_sub(told));
    }

    /// Whether the replica stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.has_begun()
    }

    /// Gives a viewer its place, by whichever door it comes.
    pub(crate) fn admit(&self, newcomer: Newcomer) -> Result<Registration, ViewError> {
        let registration = self.core.viewers.register(newcomer).inspect_err(|_| {
            self.core.metrics.refused_viewers.inc();
        })?;
        // Revoked between the check of the token and now, it would be seen by nobody.
        if self.core.context.auth.is_revoked(registration.identity()) {
            return Err(ViewError::Other(Error::TokenMissing));
        }
        Ok(registration)
    }

    /// What one viewer is shown of a camera that has no picture yet; none in the codecs that it takes.
    pub(crate) async fn slate(&self, wanted: &Wanted) -> Option<Slate> {
        self.feeds.slate(slate_codec(wanted)?).await
    }

    /// Answers an offer. Waits for the camera to start, as long as that may take.
    pub(crate) async fn answer(self: &Arc<Self>, asked: Asked<'_>) -> Result<(Viewing, String), ViewError> {
        let offer = Offer::parse(asked.offer, self.core.config.limits.body.as_usize())?;
        let wanted = Wanted {
            video: cheapest_first(offer.video_codecs()),
            audio: offer.audio_codecs(),
            reordered: Reordering::NotAllowed,
            limit: None,
        };
        if wanted.video.is_empty() && wanted.audio.is_empty() {
            return Err(ViewError::NothingWanted);
        }
        let camera = self.core.cameras.get(&asked.newcomer.camera)?;
        let registration = self.admit(asked.newcomer)?;
        self.feeds.meet(&camera);
        let name = camera.stream();
        // Kept until the feeds have subscriptions of their own, so that the source runs on.
        let subscribed = self.core.hub.subscribe(&name, wanted.clone());
        let mut subscription = subscribed.map_err(|error| not_subscribed(&error, &camera.name))?;
        let feeds = match self.started(&mut subscription, &wanted, &registration).await? {
            Some(selected) => {
                self.check(&wanted, &selected, registration.camera())?;
                let tracks = [&selected.video, &selected.audio];
                tracks.into_iter().flatten().map(|track| self.feeds.join(&name, track)).collect()
            }
            None => self.waiting(&name, &wanted).await,
        };
        let feeds = feeds.map_err(|error| not_subscribed(&error, &camera.name))?;
        let session = Session {
            addresses: self.addresses(asked.host),
            send: feeds.iter().map(sending).collect(),
            adapt: Adapt::Steps,
            ..Session::default()
        };
        let (peer, answer) = self.engine.answer(&offer, session)?;
        let peer = SharedPeer::new(peer);
        registration.measure(peer.measured());
        let (farewell, steps) = (self.farewell(), Steps::new(name, &feeds));
        Ok((Viewing { viewings: Arc::clone(self), registration, peer, feeds, steps, farewell }, answer))
    }

    /// The first tracks; none where the viewer shall see the slate until there are some, because the camera is away or slow.
    async fn started(
        &self,
        subscription: &mut Subscription,
        wanted: &Wanted,
        registration: &Registration,
    ) -> Result<Option<Selected>, ViewError> {
        let camera = registration.camera();
        let cameras = &self.core.config.cameras;
        let has_slate = slate_codec(wanted).is_some();
        // The hub limits the time for a source to start, and again for a transcoder; three times that is only for what nobody has thought of.
        let patience =
            if has_slate { cameras.slate_after.duration() } else { cameras.start_timeout.duration() * 3 };
        match tokio::time::timeout(patience, subscription.tracks_or_failure()).await {
            Ok(Ok(selected)) => Ok(Some(selected)),
            Err(_) if has_slate => Ok(None),
            // One that must be changed first is told as an error.
            Ok(Err(NotStarted::Failed(error))) if has_slate && error.again() == Again::Yes => Ok(None),
            Err(_) => Err(ViewError::NotStarted("it takes too long".to_owned())),
            Ok(Err(NotStarted::Failed(error))) => {
                let caller = Caller::from(Arc::clone(registration.identity()));
                Err(ViewError::NotStarted(caller.told(camera, &error)))
            }
            Ok(Err(NotStarted::Ended(Ended::Closed))) => Err(ViewError::Stopping),
            Ok(Err(NotStarted::Ended(Ended::Removed))) => Err(Error::NoCamera(camera.clone()).into()),
        }
    }

    /// Feeds of a camera that is away: the slate or the last picture, and the sound that may come.
    async fn waiting(&self, name: &StreamName, wanted: &Wanted) -> Result<Vec<Held>, SubscribeError> {
        let sound = wanted.audio.iter().copied().find(|codec| *codec == Codec::Opus);
        let mut feeds = Vec::new();
        for codec in slate_codec(wanted).into_iter().chain(sound) {
            if let Some(joined) = self.feeds.join_waiting(name, codec).await {
                feeds.push(joined?);
            }
        }
        Ok(feeds)
    }

    /// Pictures, where the camera has some and the viewer wants some, must be among what it gets.
    pub(crate) fn check(
        &self,
        wanted: &Wanted,
        selected: &Selected,
        camera: &CameraName,
    ) -> Result<(), ViewError> {
        let stream = self.core.hub.state(&crate::cameras::stream_of(camera));
        let has: Vec<_> =
            stream.map(|stream| stream.tracks.iter().map(|track| track.codec).collect()).unwrap_or_default();
        let of = |kind| has.iter().any(|codec: &Codec| codec.kind() == kind);
        let lacks_pictures = selected.video.is_none() && !wanted.video.is_empty() && of(Kind::Video);
        if !lacks_pictures && !selected.is_empty() {
            return Ok(());
        }
        let takes = wanted.video.iter().chain(&wanted.audio).copied().collect();
        Err(ViewError::NoCommonCodec { takes, has, why: selected.missing() })
    }

    fn addresses(&self, host: Option<&str>) -> Vec<IpAddr> {
        let configured = &self.core.config.media.public_addresses;
        let interfaces = if configured.is_empty() { addresses::interfaces() } else { Vec::new() };
        let families = Families::of(self.engine.udp_address().ip());
        addresses::choose(configured, host, &interfaces, families)
    }
}

/// Runs tasks until the process stops: those of the engine serve its sockets for ever.
struct UntilHard(Context);

impl Spawn for UntilHard {
    fn spawn(&self, name: &'static str, task: Task) {
        let hard = self.0.shutdown.hard();
        let until = async move {
            hard.run_until_cancelled_owned(task).await;
        };
        // They end by themselves; nobody aborts them.
        drop(self.0.tasks.spawn(name, until));
    }
}

/// Sends viewers away whose token was revoked after they came. One that expires ends nobody: it was good when they came.
async fn enforce_revocations(core: Arc<Core>) {
    let hard = core.context.shutdown.hard();
    let mut revocations = core.context.auth.revocations();
    // Cancel-safe: a watch loses nothing when dropped, and what changes during the pause is looked at after it.
    while let Some(Ok(())) = hard.run_until_cancelled(revocations.changed()).await {
        let ended = core.viewers.revoked(&core.context.auth);
        if ended > 0 {
            tracing::info!(viewers = ended, "sent viewers away whose token was revoked");
        }
        hard.run_until_cancelled(tokio::time::sleep(REVOCATIONS)).await;
    }
}

fn engine_config(core: &Core) -> EngineConfig {
    let (media, start) = (&core.config.media, &core.config.instant_start);
    EngineConfig {
        udp: media.udp,
        tcp: media.tcp,
        public_port: media.public_port,
        max_peers: media.max_viewers,
        max_tcp: media.max_tcp_connections,
        connect_timeout: media.connect_timeout.duration(),
        idle_timeout: media.idle_timeout.duration(),
        start: InstantStart {
            max_rate: start.max_rate,
            max_time: start.max_time.duration(),
            max_frames: start.max_frames,
            max_bytes: start.max_bytes.0,
            concurrent: start.concurrent,
        },
        ..EngineConfig::default()
    }
}

fn sending(held: &Held) -> Sending {
    let feed = Arc::clone(held.feed());
    let stream = match feed.kind() {
        Kind::Video => PICTURES,
        Kind::Audio => SOUND,
    };
    Sending { feed, stream: stream.to_owned() }
}

/// H.264 before all others: what has to be made is then made in the codec that costs least. What the camera has is not changed by it, for that comes as it is.
fn cheapest_first(mut codecs: Vec<Codec>) -> Vec<Codec> {
    codecs.sort_by_key(|codec| *codec != Codec::H264);
    codecs
}

/// The codec of the slate, in which the camera's own pictures follow: H.264 where the viewer takes it, which is what most cameras send.
fn slate_codec(wanted: &Wanted) -> Option<Codec> {
    wanted.video.iter().copied().find(|codec| slate::Strips::has(*codec))
}

/// A camera that was there a moment ago and has no stream was removed in between.
pub(crate) fn not_subscribed(error: &SubscribeError, camera: &CameraName) -> ViewError {
    match error {
        SubscribeError::Closed => ViewError::Stopping,
        SubscribeError::NotFound(_) => Error::NoCamera(camera.clone()).into(),
        SubscribeError::TooManyConsumers(_) => ViewError::NotStarted(error.to_string()),
    }
}

impl Viewing {
    /// Its place in the table.
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Credentials of the viewer's newest description.
    pub(crate) fn remote_credentials(&self) -> Credentials {
        self.peer.lock().remote_credentials()
    }

    /// Restarts ICE (RFC 8445, section 9). With credentials that are in use nothing changes.
    pub(crate) fn restart(&self, credentials: &Credentials) -> Answer {
        self.peer.lock().restart(credentials)
    }

    /// Answers a further offer of the same connection.
    pub(crate) fn answer_again(&self, offer: &Offer) -> Result<String, ViewError> {
        Ok(self.peer.lock().answer_again(offer)?)
    }

    /// What happens next. Cancel-safe. After [`Happened::Ended`] the viewing is to be dropped, or closed with a reason.
    pub(crate) async fn next(&mut self) -> Happened {
        let Self { viewings, registration, peer, feeds, steps, farewell } = self;
        loop {
            tokio::select! {
                event = peer.event() => match event {
                    Some(PeerEvent::Connected) => {
                        viewings.connected(peer.lock().statistics().connect_time);
                        return Happened::Connected;
                    }
                    Some(PeerEvent::Quality(quality)) => steps.order(viewings, peer, quality),
                    Some(PeerEvent::Closed(reason)) => {
                        tracing::debug!(?reason, "a peer was closed");
                        return Happened::Ended(End::Gone);
                    }
                    None => return Happened::Ended(End::Gone),
                },
                () = steps.change(peer) => {}
                why = registration.sent_away() => return Happened::Ended(End::SentAway(why)),
                () = any_ended(feeds) => return Happened::Ended(End::NoMorePictures),
                () = farewell.time_to_go() => return Happened::Ended(End::Stopping),
            }
        }
    }

    /// Closes the connection in its own protocol and logs what it was.
    pub(crate) fn close(self, end: End) {
        let figures = self.peer.lock().statistics();
        tracing::info!(
            viewer = self.registration.id().as_str(),
            camera = %self.registration.camera(),
            why = end.words(),
            packets = figures.packets_sent,
            bytes = figures.bytes_sent,
            resent = figures.packets_resent,
            "a viewer has gone",
        );
        self.peer.lock().close();
    }
}

async fn any_ended(feeds: &[Held]) {
    let ended: Vec<_> = feeds.iter().map(|feed| Box::pin(feed.ended())).collect();
    futures_util::future::select_all(ended).await;
}
