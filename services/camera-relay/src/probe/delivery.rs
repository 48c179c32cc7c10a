//! How browsers get a track over WebRTC.

use patchbay_media::{Codec, Kind, track::TrackInfo};

/// What browsers take over WebRTC as it is; pictures only in the order in which they are shown.
const TAKEN: [Codec; 7] =
    [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus, Codec::Pcma, Codec::Pcmu];

/// How browsers get a track.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// As it is.
    pub(crate) passes_through: bool,
    /// The same in words.
    pub(crate) words: String,
}

/// How browsers get this one.
pub(super) fn of(info: &TrackInfo) -> Delivery {
    match (why_not(info), info.codec.kind()) {
        (None, _) => Delivery { passes_through: true, words: "goes to browsers as it is".to_owned() },
        (Some(why), Kind::Video) => Delivery {
            passes_through: false,
            words: format!("is transcoded to H264 while somebody looks, because {why}"),
        },
        (Some(why), Kind::Audio) => Delivery {
            passes_through: false,
            words: format!("is transcoded to opus while somebody listens, because {why}"),
        },
    }
}

fn why_not(info: &TrackInfo) -> Option<String> {
    if info.codec == Codec::H265 {
        return Some("few browsers show H265 over WebRTC; those that do get it as it is".to_owned());
    }
    if !TAKEN.contains(&info.codec) {
        return Some(format!("WebRTC does not carry {}", info.codec.name()));
    }
    info.reordered.then(|| "its pictures are out of order (B-frames), which WebRTC cannot carry".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use patchbay_media::TrackId;

    fn track(codec: Codec, reordered: bool) -> TrackInfo {
        TrackInfo {
            id: TrackId(0),
            codec,
            clock_rate: 90_000,
            channels: 0,
            width: 0,
            height: 0,
            configuration: Bytes::new(),
            reordered,
        }
    }

    #[test]
    fn what_webrtc_carries_passes_through() {
        for codec in TAKEN {
            assert!(of(&track(codec, false)).passes_through, "{codec:?}");
        }
        for (codec, word) in [(Codec::H265, "few browsers"), (Codec::Aac, "does not carry AAC")] {
            let delivery = of(&track(codec, false));
            assert!(!delivery.passes_through && delivery.words.contains(word), "{delivery:?}");
        }
        let delivery = of(&track(Codec::H264, true));
        assert!(!delivery.passes_through && delivery.words.contains("B-frames"), "{delivery:?}");
    }
}
