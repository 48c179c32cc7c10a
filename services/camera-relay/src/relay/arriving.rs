//! A stream that comes from its owner: one call, on a connection of its own, so that no camera waits for another.

use super::{
    ANSWER, MAX_MESSAGE, SILENCE,
    metrics::{Counted, RelayFigures},
    owners::Owners,
    record::Owner,
    wire,
};
use patchbay_media::{
    Codec,
    hub::{SourceError, StreamName},
    relay::Incoming,
};
use patchbay_proto::media::v1::{
    Open, SubscribeRequest, SubscribeResponse, Tracks, Unit, relay_client::RelayClient,
    subscribe_request::Request, subscribe_response::Step,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

/// Requests that may wait to be sent; more are left out, because viewers ask for key frames again.
const QUEUE: usize = 8;

/// What viewers take, best first: what is none of these is made at the owner, once for all replicas.
const PICTURES: [Codec; 4] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1];
const SOUND: [Codec; 3] = [Codec::Opus, Codec::Pcmu, Codec::Pcma];

/// Why a stream has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The camera cannot be captured.
    Failed(SourceError),
    /// The owner is gone, is none, or does not answer; whether there were tracks before.
    Broken {
        /// For the log.
        why: String,
        /// There were tracks.
        has_begun: bool,
    },
}

/// Publishes an owner's stream until it ends. Cancel-safe: dropping it ends the subscription.
pub(super) async fn follow(
    owners: &Owners,
    stream: StreamName,
    owner: &Owner,
    incoming: &mut Incoming,
) -> End {
    let broken = |why: String| End::Broken { why, has_begun: false };
    let (requests, outgoing) = mpsc::channel(QUEUE);
    let answered = timeout(ANSWER, subscribe(owners, &stream, owner, &requests, outgoing)).await;
    let messages = match answered {
        Ok(Ok(messages)) => messages,
        Ok(Err(status)) => return refused(&status, false),
        Err(_) => return broken("it does not answer".to_owned()),
    };
    let figures = owners.shared.figures.clone();
    let _counted = Counted::one(&figures.received);
    Arriving { messages, requests, incoming, figures, epoch: owner.epoch, has_begun: false }.run().await
}

async fn subscribe(
    owners: &Owners,
    stream: &StreamName,
    owner: &Owner,
    requests: &mpsc::Sender<SubscribeRequest>,
    outgoing: mpsc::Receiver<SubscribeRequest>,
) -> Result<Streaming<SubscribeResponse>, Status> {
    let target = format!("http://{}", owner.address);
    let client = owners.shared.context.connect("camera-owner", &target);
    let client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    let open = Open {
        stream: stream.to_string(),
        epoch: owner.epoch,
        video_codecs: PICTURES.map(|codec| codec.name().to_owned()).into(),
        audio_codecs: SOUND.map(|codec| codec.name().to_owned()).into(),
    };
    // There is room: it is the first.
    drop(requests.try_send(SubscribeRequest { request: Some(Request::Open(open)) }));
    let mut client = RelayClient::new(client).max_decoding_message_size(MAX_MESSAGE);
    Ok(client.subscribe(ReceiverStream::new(outgoing)).await?.into_inner())
}

struct Arriving<'a> {
    messages: Streaming<SubscribeResponse>,
    requests: mpsc::Sender<SubscribeRequest>,
    incoming: &'a mut Incoming,
    figures: RelayFigures,
    epoch: u64,
    has_begun: bool,
}

impl Arriving<'_> {
    async fn run(mut self) -> End {
        let mut deadline = Instant::now() + SILENCE;
        loop {
            // Cancel-safe: a message that has not come whole stays in the stream, and a request is taken only when it is given.
            let message = tokio::select! {
                message = timeout_at(deadline, self.messages.message()) => message,
                track = self.incoming.key_request() => {
                    let request = Request::KeyFrame(track.0.into());
                    // Full: one is under way.
                    drop(self.requests.try_send(SubscribeRequest { request: Some(request) }));
                    continue;
                }
            };
            let taken = match message {
                Ok(Ok(Some(message))) => self.take(message),
                Ok(Ok(None)) => Err(self.broken("it has ended the stream")),
                Ok(Err(status)) => Err(refused(&status, self.has_begun)),
                Err(_) => Err(self.broken(format!("it has not said anything for {} s", SILENCE.as_secs()))),
            };
            if let Err(end) = taken {
                return end;
            }
            deadline = Instant::now() + SILENCE;
        }
    }

    fn take(&mut self, message: SubscribeResponse) -> Result<(), End> {
        match message.step {
            None => Ok(()),
            Some(Step::Failure(failure)) => Err(End::Failed(wire::failed(failure))),
            Some(Step::Tracks(tracks)) => self.begin(tracks).map_err(|why| self.broken(why)),
            Some(Step::Unit(unit)) => self.publish(unit).map_err(|why| self.broken(why)),
        }
    }

    fn begin(&mut self, tracks: Tracks) -> Result<(), String> {
        // An owner that has lost its lease and not seen it yet, and whose successor is known.
        if tracks.epoch < self.epoch && tracks.epoch > 0 {
            return Err("it has become the owner of an older epoch".to_owned());
        }
        let tracks = wire::tracks(tracks.tracks).map_err(|error| error.to_string())?;
        self.incoming.tracks(tracks).map_err(|error| error.to_string())?;
        self.has_begun = true;
        Ok(())
    }

    fn publish(&mut self, unit: Unit) -> Result<(), String> {
        self.figures.bytes_received.inc_by(unit.data.len() as u64);
        let unit = wire::unit(unit).ok_or("a unit has no track")?;
        self.incoming.unit(unit).map_err(|error| error.to_string())
    }

    fn broken(&self, why: impl Into<String>) -> End {
        End::Broken { why: why.into(), has_begun: self.has_begun }
    }
}

/// Only a relay itself says that a camera has failed, one of an older version in this way; a connection that breaks carries no reason.
fn refused(status: &Status, has_begun: bool) -> End {
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    match (status.code(), reason.as_deref()) {
        (Code::Unavailable, Some("UNAVAILABLE")) => End::Failed(SourceError::temporary(status.message())),
        (Code::PermissionDenied | Code::Unauthenticated, _) => {
            tracing::warn!(%status, "the replica that captures a camera refuses its stream");
            let text = "the replica that captures the camera refuses to give its stream";
            End::Failed(SourceError::temporary(text))
        }
        _ => End::Broken { why: status.to_string(), has_begun },
    }
}
