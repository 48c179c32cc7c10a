//! One session with a camera: described, set up and played by `retina`, which also keeps it alive; its media goes around it.

use super::{
    RtspSettings,
    assembly::Assembly,
    jpeg,
    offer::{self, Taken, Way},
    tunnel::{Deliver, Lower, MediaPacket, Tunnel},
};
use crate::CaptureLimits;
use futures_util::StreamExt;
use patchbay_av::LiveSettings;
use patchbay_egress::Guard;
use patchbay_media::{
    Spawn,
    hub::{Publisher, Reason, SourceError},
};
use retina::client::{
    Described, InitialSequenceNumberPolicy, InitialTimestampPolicy, PlayOptions, Playing, Session,
    SessionIdPolicy, SessionOptions, SetupOptions, TeardownPolicy, UnassignedChannelDataPolicy,
};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// Packets on their way from the tunnel; when there are more, the connection is not read, or datagrams are lost in the system's buffer, and counted.
const PACKETS: usize = 512;
/// Packets that are taken at once.
const BATCH: usize = 64;
/// How often it is looked at whether something should have come.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How a session ended.
pub(super) enum End {
    /// It was told to stop.
    Stopped,
    /// Something is wrong.
    Failed(SourceError),
    /// The camera does not send media in this way, or none has come: the other way may work.
    Silent(SourceError),
    /// The camera's pictures are in a codec that libav has to read.
    ForLibav,
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// What a session needs.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a RtspSettings,
    pub(super) guard: &'a Guard,
    pub(super) spawn: &'a dyn Spawn,
    pub(super) publisher: &'a Publisher,
    pub(super) stop: &'a CancellationToken,
    /// How pictures are encoded that do not pass through.
    pub(super) live: &'a LiveSettings,
    /// How long media is waited for before the session counts as silent.
    pub(super) patience: Duration,
}

/// Runs a session until it ends.
pub(super) async fn run(parts: &Parts<'_>, lower: Lower) -> End {
    tokio::select! {
        () = parts.stop.cancelled() => End::Stopped,
        end = open_and_play(parts, lower) => end,
    }
}

async fn open_and_play(parts: &Parts<'_>, lower: Lower) -> End {
    let target = parts.settings.target();
    let (sender, packets) = mpsc::channel(PACKETS);
    let opened = Tunnel::open(target, lower, Deliver::Channel(sender), parts.guard, parts.spawn).await;
    let tunnel = match opened {
        Ok(tunnel) => tunnel,
        Err(error) => return End::Failed(error),
    };
    let limits = parts.settings.limits;
    let session = match describe(&tunnel, &limits).await {
        Ok(session) => session,
        Err(error) => return End::Failed(error),
    };
    let formats = offer::formats(session.sdp());
    let chosen = offer::choose(session.streams());
    let has_pictures =
        chosen.as_ref().is_ok_and(|taken| taken.iter().any(|taken| taken.info.id == offer::VIDEO));
    // Pictures that have to be encoded are worth more than sound alone.
    match offer::other_way(session.streams()).filter(|_| !has_pictures) {
        Some(Way::Jpeg) => return jpeg::play(parts, &tunnel, session).await,
        Some(Way::Libav) => return End::ForLibav,
        None => {}
    }
    match chosen {
        Ok(taken) => play(parts, tunnel, session, taken, formats, packets).await,
        Err(error) => End::Failed(error),
    }
}

async fn play(
    parts: &Parts<'_>,
    tunnel: Tunnel,
    session: Session<Described>,
    mut taken: Vec<Taken>,
    formats: Vec<offer::Format>,
    packets: mpsc::Receiver<MediaPacket>,
) -> End {
    let limits = parts.settings.limits;
    let session = match begin(&tunnel, &limits, session, &mut taken).await {
        Ok(session) => session,
        Err(error) if tunnel.refuses_transport() => return End::Silent(error),
        Err(error) => return End::Failed(error),
    };
    match Assembly::new(&taken, formats, parts.publisher.clone(), &limits) {
        Ok(assembly) => {
            let begun = Instant::now();
            Running { assembly, session, packets, tunnel, limits, begun }.play(parts.patience).await
        }
        Err(error) => End::Failed(error),
    }
}

/// What the camera is asked to do, in words.
const DESCRIBE: &str = "describe its stream";
pub(super) const PREPARE: &str = "prepare its stream";
pub(super) const PLAY: &str = "play its stream";

/// Describes.
pub(super) async fn describe(
    tunnel: &Tunnel,
    limits: &CaptureLimits,
) -> Result<Session<Described>, SourceError> {
    let options = SessionOptions::default()
        // The tunnel ends sessions, and shows the camera another name than this library's.
        .teardown(TeardownPolicy::Never)
        .session_id(SessionIdPolicy::UseFirst)
        .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
    step(tunnel, limits, DESCRIBE, Session::describe(tunnel.url().clone(), options)).await
}

/// Times and numbers are told apart here, whatever the camera announces.
pub(super) fn play_options() -> PlayOptions {
    PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Ignore)
        .initial_seq(InitialSequenceNumberPolicy::Ignore)
}

/// Sets what was chosen up, and plays it. Sound that the camera does not give is left out where there are pictures.
async fn begin(
    tunnel: &Tunnel,
    limits: &CaptureLimits,
    mut session: Session<Described>,
    taken: &mut Vec<Taken>,
) -> Result<Session<Playing>, SourceError> {
    // Pictures come first: what fails behind them is sound.
    for number in 0..taken.len() {
        let Some(index) = taken.get(number).map(|taken| taken.index) else { break };
        let setup = session.setup(index, SetupOptions::default());
        match step(tunnel, limits, PREPARE, setup).await {
            Ok(()) => {}
            Err(error) if number > 0 && error.reason() == Reason::Protocol && tunnel.forgive() => {
                tracing::info!(%error, "a camera does not give its sound; going on without");
                taken.truncate(number);
            }
            Err(error) => return Err(error),
        }
    }
    step(tunnel, limits, PLAY, session.play(play_options())).await
}

/// One request and its answer.
pub(super) async fn step<T>(
    tunnel: &Tunnel,
    limits: &CaptureLimits,
    asked: &str,
    request: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, SourceError> {
    match timeout(limits.connect_timeout, request).await {
        Ok(Ok(done)) => Ok(done),
        // The tunnel has seen what went wrong, in our words.
        Ok(Err(error)) => Err(tunnel.failure().unwrap_or_else(|| unexpected(asked, &error))),
        Err(_) => {
            let text = format!("the camera did not answer in time when it was asked to {asked}");
            Err(SourceError::temporary(text).because(Reason::TimedOut))
        }
    }
}

/// An answer that has the right status and that the library cannot use. Its words hold addresses and bytes of the camera, and go to the log alone.
pub(super) fn unexpected(asked: &str, error: &retina::Error) -> SourceError {
    let first = error.to_string().lines().next().unwrap_or_default().to_owned();
    tracing::debug!(error = first, "a camera's answer cannot be used");
    let text = format!("the camera's answer cannot be used when it is asked to {asked}");
    let error = SourceError::temporary(text).because(Reason::Protocol);
    if first.contains("No parseable streams") {
        let text = "the camera offers neither pictures nor sound under this path";
        return SourceError::temporary(text).because(Reason::NoTracks);
    }
    error
}

struct Running {
    assembly: Assembly,
    session: Session<Playing>,
    packets: mpsc::Receiver<MediaPacket>,
    tunnel: Tunnel,
    limits: CaptureLimits,
    begun: Instant,
}

impl Running {
    async fn play(mut self, patience: Duration) -> End {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = self.packets.recv_many(&mut batch, BATCH) => {
                    for packet in batch.drain(..) {
                        if let Err(error) = self.assembly.packet(&packet) {
                            return End::Failed(error);
                        }
                    }
                    if count == 0 {
                        return End::Failed(ended(&self.tunnel));
                    }
                }
                item = self.session.next() => match item {
                    Some(Ok(_)) => {}
                    // What is still on its way comes before the end of the channel.
                    Some(Err(_)) | None if !self.packets.is_empty() => {}
                    Some(Err(error)) => return End::Failed(self.broken(&error)),
                    None => return End::Failed(ended(&self.tunnel)),
                },
                _ = look.tick() => {
                    if let Some(end) = self.look(patience) {
                        return end;
                    }
                }
            }
        }
    }

    /// Whether something should have come that has not.
    fn look(&self, patience: Duration) -> Option<End> {
        let seen = self.assembly.seen();
        let Some(packet) = seen.packet else {
            return (self.begun.elapsed() >= patience).then(|| End::Silent(silent()));
        };
        if packet.elapsed() >= self.limits.stall_timeout {
            return Some(stalled().into());
        }
        let key_patience =
            if seen.published { self.limits.key_frame_timeout } else { self.limits.start_timeout };
        if seen.unit.unwrap_or(self.begun).elapsed() >= key_patience {
            let text = format!(
                "the camera sends, but nothing with which a picture can begin within {} s: set a key frame (I-frame) interval of 1 to 4 s in the camera",
                key_patience.as_secs()
            );
            return Some(SourceError::temporary(text).because(Reason::NoKeyFrame).into());
        }
        None
    }

    fn broken(&self, error: &retina::Error) -> SourceError {
        self.tunnel.failure().unwrap_or_else(|| unexpected("keep the session", error))
    }
}

/// The session is open and nothing has come.
pub(super) fn silent() -> SourceError {
    let text = "the camera has accepted the session and sends nothing: is its stream switched on? Over UDP a firewall may be in the way; then set the transport to TCP";
    SourceError::temporary(text).because(Reason::TimedOut)
}

/// Nothing comes any more.
pub(super) fn stalled() -> SourceError {
    SourceError::temporary("the camera has stopped sending").because(Reason::TimedOut)
}

/// Why the connection has ended.
pub(super) fn ended(tunnel: &Tunnel) -> SourceError {
    let ended = || SourceError::temporary("the camera has closed the connection").because(Reason::Ended);
    tunnel.failure().unwrap_or_else(ended)
}
