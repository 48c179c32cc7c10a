//! One page at the WebSocket door, from the handshake to the close frame.

use super::{
    protocol::{self, Incoming, Outgoing},
    socket::{Came, Close, Socket, pings},
};
use crate::{
    cameras::CameraName,
    http::{Doors, visitor::Visitor},
    viewers::{Newcomer, ViewerKind},
    viewing::{Asked, End, Farewell, Happened, ViewError, Viewing},
};
use hyper::upgrade::Upgraded;
use patchbay_rtc::sdp::{Fingerprint, Offer};
use patchbay_websocket::CloseCode;
use std::{future::pending, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long a page may look at nothing before it makes an offer.
const OFFER_PATIENCE: Duration = Duration::from_mins(5);

/// A page.
pub(super) struct Session {
    doors: Arc<Doors>,
    visitor: Visitor,
    camera: CameraName,
    viewing: Option<Watching>,
    farewell: Farewell,
    /// Until when there must be an offer.
    idle_until: Instant,
}

/// What the page sees.
struct Watching {
    viewing: Viewing,
    /// Of the page's certificate, which tells a further offer of the same connection from that of another.
    fingerprint: Fingerprint,
}

impl Session {
    pub(super) fn new(doors: &Arc<Doors>, visitor: Visitor, camera: CameraName) -> Self {
        let farewell = doors.viewings.farewell();
        let idle_until = Instant::now() + OFFER_PATIENCE;
        Self { doors: Arc::clone(doors), visitor, camera, viewing: None, farewell, idle_until }
    }

    /// Serves the page until one of both ends it.
    pub(super) async fn run(mut self, upgraded: Upgraded) {
        let mut socket = Socket::new(upgraded);
        let hard = self.doors.viewings.core.context.shutdown.hard();
        let served = hard.run_until_cancelled(self.serve(&mut socket)).await;
        let close = served.unwrap_or_else(|| Close::with(CloseCode::GOING_AWAY, End::Stopping.words()));
        if let Some(watching) = self.viewing.take() {
            watching.viewing.close(End::Gone);
        }
        if let Close::With(code, reason) = close {
            socket.close(code, &reason).await;
        }
    }

    async fn serve(&mut self, socket: &mut Socket) -> Close {
        let mut pings = pings();
        loop {
            let idle_until = self.idle_until;
            // Cancel-safe: a message is taken whole or not at all, and the others only wait.
            let step = tokio::select! {
                came = socket.next() => self.take(socket, came).await,
                happened = next(&mut self.viewing) => self.follow(socket, happened).await,
                _ = pings.tick() => socket.ask().await,
                () = sleep_until(idle_until), if self.viewing.is_none() => {
                    Err(Close::with(CloseCode::NORMAL, "there was no offer for a long time"))
                }
                () = self.farewell.time_to_go() => Err(Close::with(CloseCode::GOING_AWAY, End::Stopping.words())),
            };
            if let Err(close) = step {
                return close;
            }
        }
    }

    async fn take(&mut self, socket: &mut Socket, came: Came) -> Result<(), Close> {
        let text = match came {
            Came::Text(text) => text,
            Came::Ping(payload) => return Ok(socket.pong(&payload).await?),
            Came::Close(code, reason) => return Err(Close::With(code, reason)),
            Came::Gone => return Err(Close::Gone),
        };
        match protocol::read(&text) {
            Ok(Incoming::Offer(sdp)) => self.offer(socket, &sdp).await,
            Ok(Incoming::Candidate) => Ok(()),
            Err(error) => tell(socket, &error.to_string()).await,
        }
    }

    async fn offer(&mut self, socket: &mut Socket, sdp: &str) -> Result<(), Close> {
        if let Err(problem) = self.doors.take_offer(self.visitor.address) {
            return tell(socket, &problem.message).await;
        }
        // A camera may take its time to start, and who has gone gives the place back meanwhile. Cancel-safe: an answer is there whole or not at all.
        let answer = tokio::select! {
            biased;
            () = socket.gone() => return Ok(()),
            answer = self.answer(sdp) => answer,
        };
        match answer {
            Ok(answer) => {
                socket.send(&protocol::write(&Outgoing::Answer { sdp: &answer })).await?;
                for candidate in protocol::candidates(&answer) {
                    socket.send(&protocol::write(&Outgoing::Ice { candidate })).await?;
                }
                Ok(())
            }
            Err(error) if error.is_internal() => {
                tracing::error!(error = &error as &dyn std::error::Error, "an offer could not be answered");
                tell(socket, "internal error").await?;
                Err(Close::with(CloseCode::INTERNAL_ERROR, "internal error"))
            }
            Err(error) => tell(socket, &error.to_string()).await,
        }
    }

    async fn answer(&mut self, sdp: &str) -> Result<String, ViewError> {
        let offer = Offer::parse(sdp, sdp.len())?;
        if let Some(watching) = &self.viewing
            && watching.fingerprint == offer.fingerprint
        {
            return watching.viewing.answer_again(&offer);
        }
        // Another connection of the same page: the one before gives its place back first.
        if let Some(before) = self.viewing.take() {
            before.viewing.close(End::Gone);
        }
        self.idle_until = Instant::now() + OFFER_PATIENCE;
        let identity = Arc::clone(self.visitor.caller.identity());
        let (camera, address) = (self.camera.clone(), self.visitor.address);
        let newcomer = Newcomer { camera, kind: ViewerKind::WebSocket, identity, address };
        let asked = Asked { newcomer, host: self.visitor.host.as_deref(), offer: sdp };
        let (viewing, answer) = self.doors.viewings.answer(asked).await?;
        self.viewing = Some(Watching { viewing, fingerprint: offer.fingerprint });
        Ok(answer)
    }

    async fn follow(&mut self, socket: &mut Socket, happened: Happened) -> Result<(), Close> {
        let Happened::Ended(end) = happened else { return Ok(()) };
        if let Some(watching) = self.viewing.take() {
            watching.viewing.close(end);
        }
        match end {
            End::Stopping => Err(Close::with(CloseCode::GOING_AWAY, end.words())),
            End::Gone => Err(Close::with(CloseCode::NORMAL, end.words())),
            End::SentAway(_) | End::NoMorePictures => {
                tell(socket, end.words()).await?;
                Err(Close::with(CloseCode::NORMAL, end.words()))
            }
        }
    }
}

async fn next(viewing: &mut Option<Watching>) -> Happened {
    match viewing {
        Some(watching) => watching.viewing.next().await,
        None => pending().await,
    }
}

async fn tell(socket: &mut Socket, message: &str) -> Result<(), Close> {
    Ok(socket.send(&protocol::write(&Outgoing::Error { message })).await?)
}
