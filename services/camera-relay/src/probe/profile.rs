//! Profile and level of pictures, as the parameter sets tell them.

use patchbay_media::{
    Codec,
    codec::{av1, h264, h265, nal},
    track::TrackInfo,
};

/// `H.264 High@4.0`; empty where the codec has no profiles, or they are not known.
pub(super) fn of(info: &TrackInfo) -> String {
    let known = match info.codec {
        Codec::H264 => of_h264(info),
        Codec::H265 => of_h265(info),
        Codec::Av1 => of_av1(info),
        Codec::Vp8 | Codec::Vp9 | Codec::Aac | Codec::Opus | Codec::Pcma | Codec::Pcmu => None,
    };
    known.unwrap_or_default()
}

/// The sequence parameter set of H.264.
pub(super) fn sps(info: &TrackInfo) -> Option<h264::Sps> {
    let mut units = nal::units(&info.configuration).map_while(Result::ok);
    units.find_map(|unit| h264::Sps::parse(&unit).ok())
}

/// Table A-1, and the names of annex A.2.
fn of_h264(info: &TrackInfo) -> Option<String> {
    let sps = sps(info)?;
    let constrained = sps.constraints & 0x40 != 0;
    let name = match sps.profile {
        66 if constrained => "Constrained Baseline".to_owned(),
        66 => "Baseline".to_owned(),
        77 => "Main".to_owned(),
        88 => "Extended".to_owned(),
        100 => "High".to_owned(),
        110 => "High 10".to_owned(),
        122 => "High 4:2:2".to_owned(),
        244 => "High 4:4:4 Predictive".to_owned(),
        other => format!("profile {other}"),
    };
    let is_1b = sps.level == 9 || (sps.level == 11 && sps.profile < 100 && sps.constraints & 0x10 != 0);
    let level = if is_1b { "1b".to_owned() } else { format!("{}.{}", sps.level / 10, sps.level % 10) };
    Some(format!("H.264 {name}@{level}"))
}

/// Annex A.3 and A.4.
fn of_h265(info: &TrackInfo) -> Option<String> {
    let mut units = nal::units(&info.configuration).map_while(Result::ok);
    let told = units.find_map(|unit| h265::Sps::parse(&unit).ok())?.profile;
    let name = match told.profile {
        1 => "Main".to_owned(),
        2 => "Main 10".to_owned(),
        3 => "Main Still Picture".to_owned(),
        4 => "Range Extensions".to_owned(),
        other => format!("profile {other}"),
    };
    let tier = if told.tier == 1 { " (High tier)" } else { "" };
    Some(format!("H.265 {name}@{}.{}{tier}", told.level / 30, told.level % 30 / 3))
}

/// 6.4.1 and annex A.3.
fn of_av1(info: &TrackInfo) -> Option<String> {
    let mut sequence = av1::Sequence::default();
    sequence.learn(&info.configuration).ok()?;
    let told = sequence.header()?.ok()?;
    let name = ["Main", "High", "Professional"].get(usize::from(told.profile))?;
    Some(format!("AV1 {name}@{}.{}", 2 + told.level / 4, told.level % 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use patchbay_media::TrackId;

    fn track(codec: Codec, set: &[u8]) -> TrackInfo {
        let configuration = nal::join(&[set]).unwrap();
        let (clock_rate, id) = (90_000, TrackId(0));
        TrackInfo { id, codec, clock_rate, channels: 0, width: 0, height: 0, configuration, reordered: false }
    }

    /// An SPS up to its level, and as much after that as is read of 16 by 16 pixels.
    fn h264(profile: u8, constraints: u8, level: u8) -> String {
        // For High and its kin: 4:2:0, 8 bits, no matrices; then as for all.
        let after: &[u8] = if profile >= 100 { &[0xad, 0xf7, 0xbc] } else { &[0xf7, 0xbc] };
        of(&track(Codec::H264, &[&[0x67, profile, constraints, level], after].concat()))
    }

    #[test]
    fn profiles_have_their_names() {
        assert_eq!(h264(66, 0xc0, 31), "H.264 Constrained Baseline@3.1");
        assert_eq!(h264(66, 0x10, 11), "H.264 Baseline@1b");
        assert_eq!(h264(77, 0, 40), "H.264 Main@4.0");
        assert_eq!(of(&track(Codec::Vp8, &[])), "");
        let broken =
            TrackInfo { configuration: Bytes::from_static(b"\0\0\0\x09g"), ..track(Codec::H264, &[]) };
        assert_eq!(of(&broken), "");
    }
}
