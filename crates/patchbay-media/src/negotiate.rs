//! Which track of a stream a consumer gets, and what must be made out of another.
//!
//! A track that the consumer can take as it is always wins over one that would have to be made; among those the consumer's order decides.

use crate::{AccessUnit, Codec, Kind, hub::Source, ring::Handle, track::Track};
use std::{sync::Arc, time::Duration};

/// Whether a consumer can take pictures that are shown in another order than they are decoded in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reordering {
    /// It can.
    #[default]
    Allowed,
    /// It cannot: WebRTC.
    NotAllowed,
}

/// What a consumer can take, best first. It gets no track of a kind for which the list is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Codecs for pictures.
    pub video: Vec<Codec>,
    /// Codecs for sound.
    pub audio: Vec<Codec>,
    /// Whether pictures may be reordered.
    pub reordered: Reordering,
    /// How large and how many bits the pictures may be, where that is limited.
    pub limit: Option<Limit>,
}

/// Bounds of pictures for viewers with little bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Lines of a picture at most.
    pub height: u16,
    /// Bits a second at most.
    pub bit_rate: u32,
}

/// What a transcoder is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Codec of the track.
    pub codec: Codec,
    /// Bounds of its pictures; none for sound.
    pub limit: Option<Limit>,
}

impl Target {
    /// A codec without further bounds.
    pub fn of(codec: Codec) -> Self {
        Self { codec, limit: None }
    }
}

/// How a consumer comes to what it gets of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// As the source gives it.
    AsItCame {
        /// Pictures or sound.
        kind: Kind,
        /// Its codec.
        codec: Codec,
    },
    /// Made from a track of the source.
    Transcoded {
        /// Pictures or sound.
        kind: Kind,
        /// Codec of the source's track.
        from: Codec,
        /// Codec of the track that the consumer gets.
        to: Codec,
        /// Reason, in words.
        why: String,
    },
    /// Wanted, but there is none.
    Missing {
        /// Pictures or sound.
        kind: Kind,
        /// Reason, in words.
        why: String,
    },
}

/// Makes tracks out of other tracks.
pub trait Transcoders: Send + Sync + 'static {
    /// A source that makes one track of the target's codec within its limit, without reordering, out of `from`; none when it cannot. Called often, so it
    /// opens nothing yet.
    fn transcoder(&self, from: &Arc<Track>, to: Target) -> Option<Arc<dyn Source>>;
}

/// What to do for one kind.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// Nothing is wanted.
    NotWanted,
    /// This track.
    AsItCame(Arc<Track>),
    /// One of these codecs, to be made out of this track.
    Make { from: Arc<Track>, to: Vec<Target>, why: String },
    /// There is nothing of that kind.
    Nothing(String),
}

impl Wanted {
    /// Whatever the source has, pictures and sound, as it is.
    pub fn anything() -> Self {
        let of = |kind| Codec::ALL.into_iter().filter(|codec| codec.kind() == kind).collect();
        Self { video: of(Kind::Video), audio: of(Kind::Audio), reordered: Reordering::Allowed, limit: None }
    }

    pub(crate) fn of(&self, kind: Kind) -> &[Codec] {
        match kind {
            Kind::Video => &self.video,
            Kind::Audio => &self.audio,
        }
    }

    /// Chooses among the tracks of a stream.
    pub(crate) fn choose(&self, kind: Kind, tracks: &[Arc<Track>]) -> Choice {
        let wanted = self.of(kind);
        if wanted.is_empty() {
            return Choice::NotWanted;
        }
        let mut offered = tracks.iter().filter(|track| track.info().codec.kind() == kind);
        let Some(first) = offered.clone().next() else {
            return Choice::Nothing(format!("the stream has no {}", words(kind)));
        };
        let fits =
            |codec: &Codec| offered.clone().find(|track| track.info().codec == *codec && self.takes(track));
        if let Some(track) = wanted.iter().find_map(fits) {
            return Choice::AsItCame(Arc::clone(track));
        }
        // A track that only its order keeps from being taken is the best one to begin with.
        let from = offered.find(|track| wanted.contains(&track.info().codec)).unwrap_or(first);
        let limit = self.limit.filter(|_| kind == Kind::Video);
        let to = wanted.iter().map(|codec| Target { codec: *codec, limit }).collect();
        Choice::Make { from: Arc::clone(from), to, why: self.why(from, wanted) }
    }

    fn takes(&self, track: &Track) -> bool {
        let in_order = self.reordered == Reordering::Allowed || !track.info().reordered;
        let is_video = track.info().codec.kind() == Kind::Video;
        in_order && self.limit.is_none_or(|limit| !is_video || limit.holds(track))
    }

    /// Why a track cannot be taken as it is.
    fn why(&self, from: &Track, wanted: &[Codec]) -> String {
        let limited = self.limit.is_some() && from.info().codec.kind() == Kind::Video;
        if limited && wanted.contains(&from.info().codec) {
            return "a smaller picture for viewers with little bandwidth".to_owned();
        }
        why(from, wanted)
    }
}

/// A mean over less than this says nothing of a track's bit rate: a key frame is as large as a second of pictures.
const LEAST_MEASURED: Duration = Duration::from_secs(1);

impl Limit {
    /// Whether a track keeps to it. One of which that is not known does not.
    fn holds(self, track: &Track) -> bool {
        let height = track.info().height;
        let is_small = (1..=self.height).contains(&height);
        is_small && bit_rate(track.ring()).is_some_and(|rate| rate <= u64::from(self.bit_rate))
    }
}

/// Mean bits a second of what a ring keeps; none while that is too short.
fn bit_rate(ring: &Handle<AccessUnit>) -> Option<u64> {
    let (oldest, newest) = (ring.get(ring.oldest())?, ring.newest()?);
    let time = newest.item.dts.since(oldest.item.dts);
    let millis = u64::try_from(time.as_millis()).ok()?;
    (time >= LEAST_MEASURED).then(|| ring.bytes().saturating_mul(8_000) / millis)
}

/// Why a track cannot be taken as it is, whatever its size.
fn why(from: &Track, wanted: &[Codec]) -> String {
    let codec = from.info().codec;
    if wanted.contains(&codec) {
        return format!(
            "the {} has pictures out of order (B-frames), which the viewer cannot take",
            codec.name()
        );
    }
    format!("the viewer takes {}, the source has {}", names(wanted), codec.name())
}

/// `H264, VP8 or AV1`.
pub(crate) fn names(codecs: &[Codec]) -> String {
    let mut text = String::new();
    for (index, codec) in codecs.iter().enumerate() {
        let before = if index == 0 {
            ""
        } else if index + 1 == codecs.len() {
            " or "
        } else {
            ", "
        };
        text.push_str(before);
        text.push_str(codec.name());
    }
    text
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "pictures",
        Kind::Audio => "sound",
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
