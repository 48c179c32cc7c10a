//! Streams as messages, and back.

use patchbay_media::{
    AccessUnit, Codec, MediaTime, TrackId,
    hub::{Again, Reason, SourceError},
    relay::Step,
    track::{KeyFrames, Track, TrackInfo},
};
use patchbay_proto::media::v1 as pb;
use pb::subscribe_response::Step as Sent;
use std::sync::Arc;

/// A track that cannot be read, from an owner of another version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the track {id} is not understood: {what}")]
pub(super) struct BadTrack {
    id: u32,
    what: String,
}

/// One step of a stream.
pub(super) fn step(step: Step, epoch: u64) -> pb::SubscribeResponse {
    let sent = match step {
        Step::Tracks(tracks) => Sent::Tracks(pb::Tracks { tracks: places(&tracks).collect(), epoch }),
        Step::Unit { unit, after_break } => Sent::Unit(pb::Unit {
            track: unit.track.0.into(),
            dts: unit.dts.nanos(),
            pts: unit.pts.nanos(),
            key: unit.key,
            data: unit.data,
            after_break,
        }),
    };
    pb::SubscribeResponse { step: Some(sent) }
}

/// Says why there is no stream.
pub(super) fn failure(error: &SourceError) -> pb::SubscribeResponse {
    let failure = pb::Failure {
        reason: error.reason().word().to_owned(),
        permanent: error.again() == Again::No,
        words: error.to_string(),
    };
    pb::SubscribeResponse { step: Some(Sent::Failure(failure)) }
}

/// Why an owner has no stream. A reason that only a newer version knows is none here, and its words tell.
pub(super) fn failed(failure: pb::Failure) -> SourceError {
    let pb::Failure { reason, permanent, words } = failure;
    let error = if permanent { SourceError::permanent(words) } else { SourceError::temporary(words) };
    error.because(Reason::parse(&reason).unwrap_or_default())
}

/// Says only that the owner lives.
pub(super) fn sign_of_life() -> pb::SubscribeResponse {
    pb::SubscribeResponse { step: None }
}

fn places(tracks: &[Arc<Track>]) -> impl Iterator<Item = pb::Track> {
    (0..).zip(tracks).map(|(id, track)| {
        let info = track.info();
        pb::Track {
            id,
            codec: info.codec.name().to_owned(),
            clock_rate: info.clock_rate,
            channels: info.channels.into(),
            width: info.width.into(),
            height: info.height.into(),
            configuration: info.configuration.clone(),
            reordered: info.reordered,
            key_frames_on_request: track.key_frames() == KeyFrames::OnRequest,
        }
    })
}

/// The tracks that an owner has announced.
pub(super) fn tracks(tracks: Vec<pb::Track>) -> Result<Vec<(TrackInfo, KeyFrames)>, BadTrack> {
    tracks.into_iter().map(track).collect()
}

fn track(track: pb::Track) -> Result<(TrackInfo, KeyFrames), BadTrack> {
    let bad = |what: &str| BadTrack { id: track.id, what: what.to_owned() };
    let codec = Codec::from_name(&track.codec)
        .ok_or_else(|| bad(&format!("its coding is `{}`", track.codec.escape_debug())))?;
    let info = TrackInfo {
        id: TrackId(u8::try_from(track.id).map_err(|_| bad("its number is above 255"))?),
        codec,
        clock_rate: track.clock_rate,
        channels: u8::try_from(track.channels).map_err(|_| bad("it has too many channels"))?,
        width: u16::try_from(track.width).map_err(|_| bad("it is too wide"))?,
        height: u16::try_from(track.height).map_err(|_| bad("it is too high"))?,
        configuration: track.configuration,
        reordered: track.reordered,
    };
    let key_frames = if track.key_frames_on_request { KeyFrames::OnRequest } else { KeyFrames::AsTheyCome };
    Ok((info, key_frames))
}

/// A unit that has come; none when it names a track that cannot be.
pub(super) fn unit(unit: pb::Unit) -> Option<AccessUnit> {
    Some(AccessUnit {
        track: TrackId(u8::try_from(unit.track).ok()?),
        dts: MediaTime::from_nanos(unit.dts),
        pts: MediaTime::from_nanos(unit.pts),
        key: unit.key,
        data: unit.data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use patchbay_media::ring::Caps;
    use proptest::prelude::*;

    fn info(id: u8, codec: Codec) -> TrackInfo {
        TrackInfo {
            id: TrackId(id),
            codec,
            clock_rate: 90_000,
            channels: 2,
            width: 640,
            height: 480,
            configuration: Bytes::from_static(b"set"),
            reordered: true,
        }
    }

    #[test]
    fn tracks_come_back_under_the_number_of_their_place() {
        for key_frames in [KeyFrames::OnRequest, KeyFrames::AsTheyCome] {
            let made = |codec| Track::new(info(0, codec), key_frames, Caps::default()).0;
            let all: Arc<[_]> = Codec::ALL.map(made).into();
            let Some(Sent::Tracks(sent)) = step(Step::Tracks(all), 7).step else { panic!("tracks") };
            assert_eq!(sent.epoch, 7);
            let back = tracks(sent.tracks).unwrap();
            let expected = (0..).zip(Codec::ALL).map(|(id, codec)| (info(id, codec), key_frames));
            assert!(back.into_iter().eq(expected));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = pb::Track { codec: "H264".into(), ..pb::Track::default() };
        assert!(tracks(vec![good.clone()]).is_ok());
        for bad in [
            pb::Track { codec: "H999".into(), ..good.clone() },
            pb::Track { id: 256, ..good.clone() },
            pb::Track { channels: 256, ..good.clone() },
            pb::Track { width: 65536, ..good.clone() },
            pb::Track { height: 65536, ..good.clone() },
        ] {
            assert!(tracks(vec![good.clone(), bad.clone()]).is_err(), "{bad:?}");
        }
        assert_eq!(unit(pb::Unit { track: 256, ..pb::Unit::default() }), None);
    }

    #[test]
    fn failures_come_back_with_reason_and_permanence() {
        for reason in Reason::ALL {
            for error in [SourceError::temporary("away"), SourceError::permanent("wrong")] {
                let error = error.because(reason);
                let Some(Sent::Failure(sent)) = failure(&error).step else { panic!("a failure") };
                assert_eq!(failed(sent), error);
            }
        }
        let newer = pb::Failure { reason: "ON_FIRE".into(), permanent: true, words: "smoke".into() };
        assert_eq!(failed(newer), SourceError::permanent("smoke"));
    }

    proptest! {
        #[test]
        fn units_come_back(track: u8, dts: i64, pts: i64, key: bool, data: Vec<u8>, after_break: bool) {
            let (dts, pts) = (MediaTime::from_nanos(dts), MediaTime::from_nanos(pts));
            let sent = AccessUnit { track: TrackId(track), dts, pts, key, data: data.into() };
            let made = step(Step::Unit { unit: sent.clone(), after_break }, 1);
            let Some(Sent::Unit(made)) = made.step else { panic!("a unit") };
            prop_assert_eq!(made.after_break, after_break);
            prop_assert_eq!(unit(made), Some(sent));
        }
    }
}
