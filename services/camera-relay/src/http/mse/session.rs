//! One page at the MSE door, from the handshake to the close frame.

use super::{
    counters::Counters,
    playing::{Playing, Step},
    protocol::{self, Outgoing},
};
use crate::{
    cameras::CameraName,
    http::{
        Doors,
        visitor::Visitor,
        websocket::{self, Came, Close, Socket},
    },
    metrics,
    viewers::{Measured, Newcomer, Registration, SentAway, ViewerKind},
    viewing::{End, Farewell, ViewError},
};
use hyper::upgrade::Upgraded;
use patchbay_fmp4::Fragment;
use patchbay_transcode::Problem;
use patchbay_websocket::CloseCode;
use std::{future::pending, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long a page may take to say what it can play.
const WISH_PATIENCE: Duration = Duration::from_secs(30);

/// A page.
pub(super) struct Session {
    doors: Arc<Doors>,
    visitor: Visitor,
    camera: CameraName,
    viewer: Option<Viewer>,
    farewell: Farewell,
    opened: Instant,
}

/// A page that has said what it can play.
struct Viewer {
    registration: Registration,
    playing: Playing,
    counters: Arc<Counters>,
    /// When it said so first.
    since: Instant,
}

impl Session {
    pub(super) fn new(doors: &Arc<Doors>, visitor: Visitor, camera: CameraName) -> Self {
        let farewell = doors.viewings.farewell();
        Self { doors: Arc::clone(doors), visitor, camera, viewer: None, farewell, opened: Instant::now() }
    }

    /// Serves the page until one of both ends it.
    pub(super) async fn run(mut self, upgraded: Upgraded) {
        let mut socket = Socket::new(upgraded);
        let hard = self.doors.viewings.core.context.shutdown.hard();
        let served = hard.run_until_cancelled(self.serve(&mut socket)).await;
        let close = served.unwrap_or_else(|| Close::with(CloseCode::GOING_AWAY, End::Stopping.words()));
        if let Some(viewer) = self.viewer.take() {
            viewer.leave(&close);
        }
        if let Close::With(code, reason) = close {
            socket.close(code, &reason).await;
        }
    }

    async fn serve(&mut self, socket: &mut Socket) -> Close {
        let mut pings = websocket::pings();
        let wish_by = self.opened + WISH_PATIENCE;
        loop {
            let Self { viewer, farewell, .. } = self;
            let is_waiting = viewer.is_none();
            // Cancel-safe: a message is taken whole or not at all, what was made for the page is kept, and the others only wait.
            let step = tokio::select! {
                came = socket.next() => self.take(socket, came).await,
                next = next(viewer) => self.follow(socket, next).await,
                _ = pings.tick() => socket.ask().await,
                () = sleep_until(wish_by), if is_waiting => {
                    Err(Close::with(CloseCode::POLICY_VIOLATION, "the page has not said what it can play"))
                }
                () = farewell.time_to_go() => Err(Close::with(CloseCode::GOING_AWAY, End::Stopping.words())),
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
        if let Err(problem) = self.doors.take_offer(self.visitor.address) {
            return end(socket, &problem).await;
        }
        let wanted = match protocol::read(&text) {
            Ok(wanted) => wanted,
            Err(error) => {
                return end(
                    socket,
                    &Problem::new(http::StatusCode::BAD_REQUEST, "BAD_REQUEST", error.to_string()),
                )
                .await;
            }
        };
        match self.begin(wanted) {
            Ok(()) => Ok(()),
            Err(error) => end(socket, &error.into()).await,
        }
    }

    /// Begins to play, or goes on with other codecs.
    fn begin(&mut self, wanted: patchbay_media::hub::Wanted) -> Result<(), ViewError> {
        let viewings = &self.doors.viewings;
        let looked = (&self.visitor.caller, &self.camera);
        if let Some(viewer) = &mut self.viewer {
            let (counters, before) = (&viewer.counters, Some(&viewer.playing));
            viewer.playing = Playing::begin(viewings, looked, wanted, counters, before)?;
            return Ok(());
        }
        viewings.core.cameras.get(&self.camera)?;
        let identity = Arc::clone(self.visitor.caller.identity());
        let (camera, address) = (self.camera.clone(), self.visitor.address);
        let newcomer = Newcomer { camera, kind: ViewerKind::Mse, identity, address };
        let registration = viewings.admit(newcomer)?;
        let counters = Arc::<Counters>::default();
        let playing = Playing::begin(viewings, looked, wanted, &counters, None)?;
        registration.measure(Arc::clone(&counters) as _);
        self.viewer = Some(Viewer { registration, playing, counters, since: Instant::now() });
        Ok(())
    }

    async fn follow(&mut self, socket: &mut Socket, next: Next) -> Result<(), Close> {
        match next {
            Next::Step(Step::Start { mime, init }) => {
                socket.send(&protocol::write(&Outgoing::Mse { mime: &mime })).await?;
                Ok(socket.send_binary([&init].into_iter(), self.write_timeout()).await?)
            }
            Next::Step(Step::Fragment(fragment)) => self.send(socket, &fragment).await,
            Next::Step(Step::Waiting(message)) => {
                Ok(socket.send(&protocol::write(&Outgoing::Waiting { message: &message })).await?)
            }
            Next::Step(Step::Over(error)) => end(socket, &error.into()).await,
            Next::SentAway(why) => send_away(socket, why).await,
        }
    }

    /// Sends a fragment, however long the page takes; who is sent away meanwhile is not waited for.
    async fn send(&mut self, socket: &mut Socket, fragment: &Fragment) -> Result<(), Close> {
        let patience = self.write_timeout();
        let Some(viewer) = &self.viewer else { return Ok(()) };
        tokio::select! {
            biased;
            sent = socket.send_binary(fragment.chunks(), patience) => sent?,
            _ = viewer.registration.sent_away() => return Err(Close::Gone),
        }
        let took = viewer.since.elapsed();
        if viewer.counters.sent(fragment.size(), took) {
            metrics::observe(&self.doors.viewings.core.metrics.connect_seconds, took);
        }
        Ok(())
    }

    fn write_timeout(&self) -> Duration {
        self.doors.viewings.core.config.mse.write_timeout.duration()
    }
}

impl Viewer {
    fn leave(self, close: &Close) {
        let figures = self.counters.figures();
        tracing::info!(
            viewer = self.registration.id().as_str(),
            camera = %self.registration.camera(),
            why = match close {
                Close::With(_, reason) if !reason.is_empty() => reason.as_str(),
                Close::With(..) | Close::Gone => End::Gone.words(),
            },
            fragments = figures.packets_sent,
            bytes = figures.bytes_sent,
            skips = figures.skips,
            "a viewer has gone",
        );
    }
}

/// What happens to a viewer.
enum Next {
    Step(Step),
    SentAway(SentAway),
}

async fn next(viewer: &mut Option<Viewer>) -> Next {
    let Some(Viewer { registration, playing, .. }) = viewer else { return pending().await };
    tokio::select! {
        biased;
        why = registration.sent_away() => Next::SentAway(why),
        step = playing.next() => Next::Step(step),
    }
}

/// Says what is wrong, and closes. 1008: the same request fails again; 1013: it may not, later.
async fn end(socket: &mut Socket, problem: &Problem) -> Result<(), Close> {
    if problem.http == http::StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(problem = problem.message, "a page could not be served");
    }
    let Problem { reason, message, .. } = problem;
    socket.send(&protocol::write(&Outgoing::Error { code: reason, message })).await?;
    let code = match problem.http.as_u16() {
        _ if reason == "STOPPING" => CloseCode::GOING_AWAY,
        429 | 503 => CloseCode::TRY_AGAIN_LATER,
        500.. => CloseCode::INTERNAL_ERROR,
        _ => CloseCode::POLICY_VIOLATION,
    };
    Err(Close::with(code, message))
}

async fn send_away(socket: &mut Socket, why: SentAway) -> Result<(), Close> {
    let (code, word) = match why {
        SentAway::Kicked => (CloseCode::NORMAL, "KICKED"),
        SentAway::CameraRemoved => (CloseCode::POLICY_VIOLATION, "NOT_FOUND"),
        SentAway::Revoked => (CloseCode::POLICY_VIOLATION, "TOKEN_REVOKED"),
    };
    let message = End::SentAway(why).words();
    socket.send(&protocol::write(&Outgoing::Error { code: word, message })).await?;
    Err(Close::with(code, message))
}
