//! Where cameras of well-known makers have their main stream, from the makers' public documentation. What no maker fits is guessed.

/// A maker, and where its cameras have their main stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maker {
    /// Its name.
    pub(crate) name: &'static str,
    /// Words by which its cameras call themselves, in lower case.
    words: &'static [&'static str],
    /// Path and query of the main stream of the first channel.
    pub(crate) path: &'static str,
}

const fn maker(name: &'static str, words: &'static [&'static str], path: &'static str) -> Maker {
    Maker { name, words, path }
}

/// Makers by name.
pub(crate) const PATHS: &[Maker] = &[
    maker("Amcrest", &["amcrest"], "/cam/realmonitor?channel=1&subtype=0"),
    maker("Axis", &["axis"], "/axis-media/media.amp"),
    maker("Dahua", &["dahua", "lorex"], "/cam/realmonitor?channel=1&subtype=0"),
    maker("D-Link", &["d-link", "dcs-"], "/live1.sdp"),
    maker("Foscam", &["foscam"], "/videoMain"),
    maker("Hanwha", &["hanwha", "wisenet", "samsung"], "/profile2/media.smp"),
    maker("Hikvision", &["hikvision", "hiwatch", "annke", "ds-2"], "/Streaming/Channels/101"),
    maker("Reolink", &["reolink"], "/h264Preview_01_main"),
    maker("Sony", &["sony"], "/media/video1"),
    maker("TP-Link", &["tp-link", "tplink", "tapo", "vigi"], "/stream1"),
    maker("Uniview", &["uniview", "unv"], "/media/video1"),
    maker("Vivotek", &["vivotek"], "/live.sdp"),
];

/// What cameras without a name of their own often use.
const USUAL: [&str; 4] = ["/stream1", "/onvif1", "/live/ch00_0", "/h264"];

/// Paths to try, for a camera that calls itself so; the likeliest first.
pub(crate) fn guesses(called: &str) -> Vec<&'static str> {
    let called = called.to_lowercase();
    let words: Vec<&str> = called.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
    // A word of few letters may stand within others, so that it must begin one.
    let is_called = |word: &&str| words.iter().any(|own| own.starts_with(*word));
    let known = PATHS.iter().find(|maker| maker.words.iter().any(is_called));
    known.map_or_else(|| USUAL.to_vec(), |maker| vec![maker.path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_known_by_what_cameras_call_themselves() {
        for (called, path) in [
            ("HIKVISION DS-2CD2042WD-I", "/Streaming/Channels/101"),
            ("AXIS M1065-L", "/axis-media/media.amp"),
            ("Dahua IPC-HDW", "/cam/realmonitor?channel=1&subtype=0"),
            ("TP-Link Tapo C200", "/stream1"),
            ("UNV IPC", "/media/video1"),
        ] {
            assert_eq!(guesses(called), [path], "{called}");
        }
        for unknown in ["", "IPCAM", "praxis taxis", "sunvalley"] {
            assert_eq!(guesses(unknown), USUAL, "{unknown}");
        }
    }
}
