//! Cameras that have nothing but JPEG (RFC 2435): `retina` puts the pictures together, and they are encoded to H.264. Their sound is left out.

use super::session::{self, End, Parts};
use super::tunnel::Tunnel;
use bytes::Bytes;
use futures_util::StreamExt;
use patchbay_av::{LivePictures, LiveSettings, PictureSender, Shot};
use patchbay_media::hub::{Reason, SourceError};
use retina::{
    client::{Demuxed, Described, Session, SetupOptions, Stream},
    codec::CodecItem,
};
use tokio::time::timeout;

/// Most pictures a second that a camera is believed to have.
const MOST_RATE: u32 = 120;

fn is_jpeg(stream: &Stream) -> bool {
    stream.media() == "video" && stream.encoding_name() == "jpeg"
}

/// Plays a session that was described, until it ends.
pub(super) async fn play(parts: &Parts<'_>, tunnel: &Tunnel, session: Session<Described>) -> End {
    tunnel.deliver_to_client();
    let (playing, rate) = match begin(parts, tunnel, session).await {
        Ok(begun) => begun,
        Err(error) if tunnel.refuses_transport() => return End::Silent(error),
        Err(error) => return End::Failed(error),
    };
    let settings = LiveSettings { fps: rate.or(parts.live.fps), ..parts.live.clone() };
    let (sender, pictures) = LivePictures::new(settings);
    let mut encoding = pictures.run(parts.publisher.clone(), parts.stop.clone());
    tokio::select! {
        encoded = &mut encoding => encoded.err().map_or(End::Stopped, End::Failed),
        end = receive(parts, tunnel, playing, sender) => match encoding.await {
            // What the encoder says is nearer to the cause: the pictures could not be used.
            Err(error) => End::Failed(error),
            Ok(()) => end,
        },
    }
}

/// Sets the pictures up, and plays them. Gives how many come in a second, too, where the camera says it.
async fn begin(
    parts: &Parts<'_>,
    tunnel: &Tunnel,
    mut session: Session<Described>,
) -> Result<(Demuxed, Option<u32>), SourceError> {
    let limits = &parts.settings.limits;
    let found = session.streams().iter().enumerate().find(|(_, stream)| is_jpeg(stream));
    let (index, rate) = found
        .map(|(index, stream)| (index, stream.framerate().map(f64::from)))
        .ok_or_else(|| SourceError::temporary("the camera has no pictures").because(Reason::NoTracks))?;
    let setup = session.setup(index, SetupOptions::default());
    session::step(tunnel, limits, session::PREPARE, setup).await?;
    let play = session.play(session::play_options());
    let playing: Session<_> = session::step(tunnel, limits, session::PLAY, play).await?;
    let demuxed = playing.demuxed().map_err(|error| session::unexpected(session::PLAY, &error))?;
    Ok((demuxed, rate.and_then(whole_rate)))
}

fn whole_rate(rate: f64) -> Option<u32> {
    (1..=MOST_RATE).find(|whole| f64::from(*whole) >= rate.round()).filter(|_| rate >= 0.5)
}

async fn receive(parts: &Parts<'_>, tunnel: &Tunnel, mut playing: Demuxed, sender: PictureSender) -> End {
    let mut patience = parts.patience;
    let mut has_come = false;
    loop {
        let next = match timeout(patience, playing.next()).await {
            Ok(next) => next,
            Err(_) if has_come => return End::Failed(session::stalled()),
            Err(_) => return End::Silent(session::silent()),
        };
        match next {
            Some(Ok(CodecItem::VideoFrame(frame))) => {
                (has_come, patience) = (true, parts.settings.limits.stall_timeout);
                parts.publisher.health().lose(u64::from(frame.loss()));
                if !sender.send(Shot::Jpeg(Bytes::from(frame.into_data()))) {
                    return End::Failed(session::ended(tunnel));
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let failure = tunnel.failure().unwrap_or_else(|| session::unexpected(session::PLAY, &error));
                return End::Failed(failure);
            }
            None => return End::Failed(session::ended(tunnel)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_whole_numbers() {
        assert_eq!(
            [29.97, 25.0, 0.7, 0.1, 500.0, f64::NAN].map(whole_rate),
            [Some(30), Some(25), Some(1), None, None, None]
        );
    }
}
