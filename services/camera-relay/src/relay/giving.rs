//! `patchbay.media.v1.Relay`: streams of cameras that are captured here, for whoever may have them.

use super::{
    SIGN_OF_LIFE,
    metrics::{Counted, RelayFigures},
    owners::{Held, Over},
    wire,
};
use crate::{caller::Caller, cameras::CameraName, core::Core, error::Error};
use futures_util::stream::{self, BoxStream, StreamExt};
use patchbay_auth::Requirement;
use patchbay_media::{
    Codec, Kind, TrackId,
    hub::{Ended, Reason, Reordering, SourceError, StreamName, SubscribeError, Wanted},
    relay::{Outgoing, Step},
};
use patchbay_proto::media::v1::{
    Open, SubscribeRequest, SubscribeResponse, relay_server, subscribe_request::Request as Asked,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};
use tonic::{Request, Response, Status, Streaming};

/// The method, as scopes and tests name it.
pub const METHOD: &str = "/patchbay.media.v1.Relay/Subscribe";

/// What it asks of its caller before the stream is known.
pub(crate) const REQUIREMENT: Requirement = Requirement::Scope { service: "media", action: "relay" };

/// Time for the first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);

/// A subscriber that is further behind goes on at a newer key frame.
const PATIENCE: Duration = Duration::from_secs(2);

/// Names of codecs in a list at most.
const MAX_CODECS: usize = 16;

/// The service.
pub(crate) struct Relays {
    pub(crate) core: Arc<Core>,
}

#[tonic::async_trait]
impl relay_server::Relay for Relays {
    type SubscribeStream = BoxStream<'static, Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = Caller::of(&request)?;
        let mut requests = request.into_inner();
        let open = opening(&mut requests).await?;
        let (name, held, outgoing) = self.open(&caller, &open)?;
        let figures = self.core.owners.shared.figures.clone();
        let giving = Giving {
            name,
            outgoing,
            requests: Some(requests),
            over: held.over(),
            last: None,
            _subscriber: Subscriber::new(Arc::clone(&held)),
            _counted: Counted::one(&figures.given),
            held,
            figures,
        };
        // Pulled by the connection: what the subscriber does not read waits in the ring, which is the queue.
        let messages = stream::unfold(Some(giving), |giving| async move {
            let mut giving = giving?;
            match giving.next().await {
                Ok(message) => Some((Ok(message), Some(giving))),
                Err(error) => Some((Err(error.into()), None)),
            }
        });
        Ok(Response::new(messages.boxed()))
    }
}

impl Relays {
    fn open(&self, caller: &Caller, open: &Open) -> Result<(StreamName, Arc<Held>, Outgoing), Error> {
        let name: StreamName =
            open.stream.parse().map_err(|error| Error::bad("open.stream", format!("{error}")))?;
        if !caller.identity().allows("media", "relay", name.as_str()) {
            return Err(Error::Denied(format!("media:relay:{name}")));
        }
        let wanted = wanted(open)?;
        let camera = camera_of(&name).ok_or_else(|| Error::NoStream(name.clone()))?;
        self.core.cameras.get(&camera)?;
        let held = self.core.owners.held(&camera, open.epoch);
        let held = held.ok_or_else(|| Error::NotOwner(name.clone()))?;
        let hub = &self.core.hub;
        let outgoing = match wanted {
            None => hub.subscribe_whole(&name).map(|whole| Outgoing::new(whole, PATIENCE)),
            Some(wanted) => hub.subscribe(&name, wanted).map(|chosen| Outgoing::chosen(chosen, PATIENCE)),
        };
        let outgoing = outgoing.map_err(|error| match error {
            SubscribeError::NotFound(name) => Error::NoStream(name),
            SubscribeError::TooManyConsumers(_) => Error::Busy,
            SubscribeError::Closed => Error::Unavailable,
        })?;
        Ok((name, held, outgoing))
    }
}

fn camera_of(stream: &StreamName) -> Option<CameraName> {
    stream.as_str().strip_prefix("camera/")?.parse().ok()
}

/// The first message.
async fn opening(requests: &mut Streaming<SubscribeRequest>) -> Result<Open, Status> {
    let missing = |why: &str| Status::from(Error::bad("open", why));
    let first = timeout(FIRST_MESSAGE, requests.message()).await;
    let first = first.map_err(|_| missing("must come within 5 s"))??;
    match first.and_then(|first| first.request) {
        Some(Asked::Open(open)) => Ok(open),
        _ => Err(missing("must be the first message")),
    }
}

/// What the subscriber takes; none for all tracks as they are.
fn wanted(open: &Open) -> Result<Option<Wanted>, Error> {
    if open.video_codecs.is_empty() && open.audio_codecs.is_empty() {
        return Ok(None);
    }
    let video = codecs("open.video_codecs", &open.video_codecs, Kind::Video)?;
    let audio = codecs("open.audio_codecs", &open.audio_codecs, Kind::Audio)?;
    Ok(Some(Wanted { video, audio, reordered: Reordering::NotAllowed, limit: None }))
}

/// Names that this version does not know are passed over, as long as there are others.
fn codecs(field: &str, names: &[String], kind: Kind) -> Result<Vec<Codec>, Error> {
    if names.len() > MAX_CODECS {
        return Err(Error::bad(field, format!("must have {MAX_CODECS} names at most")));
    }
    let known = names.iter().filter_map(|name| Codec::from_name(name)).filter(|codec| codec.kind() == kind);
    let known: Vec<_> = known.collect();
    if known.is_empty() && !names.is_empty() {
        return Err(Error::bad(field, "has no name of a coding that is known here"));
    }
    Ok(known)
}

/// A stream on its way to one subscriber.
struct Giving {
    name: StreamName,
    outgoing: Outgoing,
    /// None once the subscriber has nothing more to ask.
    requests: Option<Streaming<SubscribeRequest>>,
    over: watch::Receiver<Option<Over>>,
    /// What the call ends with, once the subscriber has been told why.
    last: Option<Error>,
    held: Arc<Held>,
    figures: RelayFigures,
    _subscriber: Subscriber,
    _counted: Counted,
}

impl Giving {
    async fn next(&mut self) -> Result<SubscribeResponse, Error> {
        if let Some(error) = self.last.take() {
            return Err(error);
        }
        loop {
            // Cancel-safe: what loses has taken nothing.
            let step = tokio::select! {
                biased;
                over = over(&mut self.over) => return self.ended(&over),
                asked = asked(&mut self.requests) => {
                    if let Some(track) = asked {
                        self.outgoing.request_key_frame(track);
                    }
                    continue;
                }
                step = timeout(SIGN_OF_LIFE, self.outgoing.next()) => step,
            };
            return match step {
                Err(_) => Ok(wire::sign_of_life()),
                Ok(Ok(step)) => Ok(self.message(step)),
                Ok(Err(Ended::Removed)) => Err(Error::NoStream(self.name.clone())),
                Ok(Err(Ended::Closed)) => Err(Error::NotOwner(self.name.clone())),
            };
        }
    }

    fn message(&mut self, step: Step) -> SubscribeResponse {
        match &step {
            Step::Tracks(tracks) if tracks.is_empty() => {
                let text = "it has no track in the codings that were asked for";
                return self.failed(&SourceError::temporary(text).because(Reason::Codec));
            }
            Step::Tracks(_) => {}
            Step::Unit { unit, .. } => drop(self.figures.bytes_given.inc_by(unit.data.len() as u64)),
        }
        wire::step(step, self.held.epoch())
    }

    fn ended(&mut self, over: &Over) -> Result<SubscribeResponse, Error> {
        match over {
            Over::GivenUp => Err(Error::NotOwner(self.name.clone())),
            Over::Failed(error) => Ok(self.failed(error)),
        }
    }

    /// The call ends after this, in words that a subscriber of an older version understands.
    fn failed(&mut self, error: &SourceError) -> SubscribeResponse {
        self.last = Some(Error::SourceFailed(error.to_string()));
        wire::failure(error)
    }
}

async fn over(over: &mut watch::Receiver<Option<Over>>) -> Over {
    let over = over.wait_for(Option::is_some).await;
    over.ok().and_then(|over| over.clone()).unwrap_or(Over::GivenUp)
}

/// Waits for a request for a key frame; for ever when there will be none.
async fn asked(requests: &mut Option<Streaming<SubscribeRequest>>) -> Option<TrackId> {
    let Some(open) = requests else { return std::future::pending().await };
    match open.message().await {
        Ok(Some(SubscribeRequest { request: Some(Asked::KeyFrame(track)) })) => {
            u8::try_from(track).ok().map(TrackId)
        }
        Ok(Some(_)) => None,
        Ok(None) | Err(_) => {
            *requests = None;
            None
        }
    }
}

/// One more subscriber of a camera, as long as it is kept.
struct Subscriber(Arc<Held>);

impl Subscriber {
    fn new(held: Arc<Held>) -> Self {
        held.subscribers.fetch_add(1, Ordering::Relaxed);
        Self(held)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}
