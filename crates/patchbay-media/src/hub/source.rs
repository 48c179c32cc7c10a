//! What a source is, and how it brings its tracks into the hub.

use super::{
    observe::{self, Observer, Told},
    stream::Stream,
};
use crate::{
    ring::Caps,
    track::{KeyFrames, Track, TrackInfo, TrackWriter},
};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio_util::sync::CancellationToken;

/// Most tracks of one stream.
pub const MAX_TRACKS: usize = 16;

/// Where pictures and sound come from: a camera, a file, a publisher, another replica, a transcoder.
pub trait Source: Send + Sync + 'static {
    /// Opens the source, publishes its tracks and writes their units until `stop` is cancelled or something fails. Publishing again makes a new
    /// generation of tracks. Runs once at a time; may be run again after it has returned. Work that blocks belongs on threads of the source, which end
    /// soon after `stop`. Returning without `stop` means that the source has ended: it is run again after a while if somebody still wants it.
    fn run(
        self: Arc<Self>,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), SourceError>>;
}

/// Whether it makes sense to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It may be better soon: a camera that is away.
    Yes,
    /// Not before somebody changes something: a file that is not there. Tried again when the source is replaced, or for a new consumer who comes later than the
    /// longest retry time, or ten minutes where a login was refused; before that, new consumers are told of the failure. By itself after half an hour, while it is wanted.
    No,
}

/// Why a source cannot give what it should, in words for the user who looks at it. Holds no secrets, and no addresses that a viewer shall not see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SourceError {
    text: String,
    again: Again,
    reason: Reason,
}

impl SourceError {
    /// Something that may be better soon.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), again: Again::Yes, reason: Reason::Other }
    }

    /// Something that somebody must change.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), again: Again::No, reason: Reason::Other }
    }

    /// A source that has ended without being told to, and may be opened again.
    pub fn ended() -> Self {
        Self::temporary("the source has ended").because(Reason::Ended)
    }

    /// The same with a reason for programs.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    /// Whether trying again makes sense.
    pub fn again(&self) -> Again {
        self.again
    }

    /// What is wrong, for programs.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

/// What is wrong with a source, for programs, in words of one kind for all sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name of its host has no address.
    NameNotFound,
    /// Its address may not be reached from here, by the configuration.
    Forbidden,
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// It did not answer, or stopped sending, in time.
    TimedOut,
    /// The TLS handshake failed, or its certificate is not the expected one.
    Tls,
    /// It asks for a login, or does not accept the one that it got.
    Unauthorized,
    /// It answers, and has nothing under that path.
    NotFound,
    /// It does not speak the protocol as it should.
    Protocol,
    /// It has neither pictures nor sound.
    NoTracks,
    /// What it sends is in a codec, or a form of one, that cannot be used.
    Codec,
    /// It runs and sends nothing with which a picture can begin.
    NoKeyFrame,
    /// The device is not there, is in use, or may not be opened.
    Device,
    /// It has ended by itself.
    Ended,
    /// Anything else; the words tell.
    #[default]
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::NameNotFound,
        Self::Forbidden,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Tls,
        Self::Unauthorized,
        Self::NotFound,
        Self::Protocol,
        Self::NoTracks,
        Self::Codec,
        Self::NoKeyFrame,
        Self::Device,
        Self::Ended,
        Self::Other,
    ];

    /// Word for APIs, metrics and logs: `NAME_NOT_FOUND`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NameNotFound => "NAME_NOT_FOUND",
            Self::Forbidden => "FORBIDDEN",
            Self::Refused => "REFUSED",
            Self::Unreachable => "UNREACHABLE",
            Self::TimedOut => "TIMED_OUT",
            Self::Tls => "TLS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NotFound => "NOT_FOUND",
            Self::Protocol => "PROTOCOL",
            Self::NoTracks => "NO_TRACKS",
            Self::Codec => "CODEC",
            Self::NoKeyFrame => "NO_KEY_FRAME",
            Self::Device => "DEVICE",
            Self::Ended => "ENDED",
            Self::Other => "OTHER",
        }
    }

    /// The reason of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// What goes wrong with a source while it runs; counted since its stream was added.
#[derive(Debug, Default)]
pub struct Health {
    lost: AtomicU64,
    discarded: AtomicU64,
    jumps: AtomicU64,
}

/// What [`Health`] has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthFigures {
    /// Packets that were lost on the way from the source.
    pub lost: u64,
    /// Units that came and could not be used.
    pub discarded: u64,
    /// Jumps of the source's clock.
    pub jumps: u64,
}

impl Health {
    /// Packets were lost on the way from the source.
    pub fn lose(&self, packets: u64) {
        self.lost.fetch_add(packets, Ordering::Relaxed);
    }

    /// A unit came and could not be used.
    pub fn discard(&self) {
        self.discarded.fetch_add(1, Ordering::Relaxed);
    }

    /// The source's clock jumped.
    pub fn jump(&self) {
        self.jumps.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    pub fn figures(&self) -> HealthFigures {
        HealthFigures {
            lost: self.lost.load(Ordering::Relaxed),
            discarded: self.discarded.load(Ordering::Relaxed),
            jumps: self.jumps.load(Ordering::Relaxed),
        }
    }
}

/// Why tracks cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// None.
    #[error("the source has neither pictures nor sound")]
    NoTracks,
    /// Too many.
    #[error("the source has {0} tracks, more than {MAX_TRACKS}")]
    TooManyTracks(usize),
    /// Two with one number.
    #[error("the source has two tracks with the number {0}")]
    SameNumber(u8),
}

impl From<PublishError> for SourceError {
    fn from(error: PublishError) -> Self {
        let reason = match error {
            PublishError::NoTracks => Reason::NoTracks,
            PublishError::TooManyTracks(_) | PublishError::SameNumber(_) => Reason::Protocol,
        };
        Self::permanent(error.to_string()).because(reason)
    }
}

/// A run's right to publish; ends with the run.
#[derive(Clone, Debug)]
pub struct Publisher {
    place: Place,
    health: Arc<Health>,
    /// Told of all that is published; one for each source that observes this one.
    observers: Vec<Arc<Told>>,
}

/// Where tracks go.
#[derive(Clone, Debug)]
enum Place {
    /// To a stream of the hub, as a run of that number.
    Stream { stream: Arc<Stream>, run: u64 },
    /// Nowhere but to who observes; the bounds are those of the tracks' rings.
    Hidden(Caps),
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, run: u64) -> Self {
        let health = Arc::clone(&stream.health);
        Self { place: Place::Stream { stream, run }, health, observers: Vec::new() }
    }

    /// Makes these the tracks of the stream, in place of those before, and gives their writers in the same order. May be called from any thread. A publisher
    /// whose run is over gets writers that nobody reads.
    pub fn publish(&self, tracks: Vec<(TrackInfo, KeyFrames)>) -> Result<Vec<TrackWriter>, PublishError> {
        check(&tracks)?;
        let writers = match &self.place {
            Place::Stream { stream, run } => stream.publish(*run, tracks),
            Place::Hidden(caps) => {
                tracks.into_iter().map(|(info, key_frames)| Track::new(info, key_frames, *caps).1).collect()
            }
        };
        self.observers.iter().for_each(|observer| observer.tell(&writers));
        Ok(writers)
    }

    /// Where the source counts what goes wrong.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The same right for a source inside of this one, and a way to see the tracks that it publishes.
    pub fn observed(&self) -> (Self, Observer) {
        let (told, observer) = observe::pair();
        let mut publisher = self.clone();
        publisher.observers.push(Arc::new(told));
        (publisher, observer)
    }

    /// For a source inside of this one whose tracks nobody shall see but this one: they reach the observer alone. What goes wrong with it counts here.
    pub fn hidden(&self) -> (Self, Observer) {
        let (told, observer) = observe::pair();
        let caps = match &self.place {
            Place::Stream { stream, .. } => stream.caps,
            Place::Hidden(caps) => *caps,
        };
        let health = Arc::clone(&self.health);
        (Self { place: Place::Hidden(caps), health, observers: vec![Arc::new(told)] }, observer)
    }
}

fn check(tracks: &[(TrackInfo, KeyFrames)]) -> Result<(), PublishError> {
    if tracks.is_empty() {
        return Err(PublishError::NoTracks);
    }
    if tracks.len() > MAX_TRACKS {
        return Err(PublishError::TooManyTracks(tracks.len()));
    }
    let mut numbers: Vec<u8> = tracks.iter().map(|(info, _)| info.id.0).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => Err(PublishError::SameNumber(pair.first().copied().unwrap_or_default())),
        None => Ok(()),
    }
}
