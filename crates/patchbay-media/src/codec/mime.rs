//! Names of codecs with their parameters, for `codecs=` in media types and playlists (RFC 6381, and what each coding adds to it).

use super::{Codec, HeaderError, aac::AudioSpecificConfig, av1, h264, h265, parameter_sets::ParameterSets};
use bytes::Bytes;

/// The name of what a track carries, from its configuration: `avc1.42e01f`, `hvc1.1.6.L93.B0`, `av01.0.04M.08`, `mp4a.40.2`, `opus`.
///
/// For AV1 the configuration is the sequence header OBU; for codecs without parameters it is not looked at.
pub fn codec_string(codec: Codec, configuration: &Bytes) -> Result<String, HeaderError> {
    match codec {
        Codec::H264 => h264_string(configuration),
        Codec::H265 => h265_string(configuration),
        Codec::Av1 => av1_string(configuration),
        Codec::Aac => Ok(format!("mp4a.40.{}", AudioSpecificConfig::parse(configuration)?.signalled_type())),
        Codec::Vp8 => Ok("vp8".into()),
        Codec::Vp9 => Ok("vp9".into()),
        Codec::Opus => Ok("opus".into()),
        Codec::Pcma => Ok("alaw".into()),
        Codec::Pcmu => Ok("ulaw".into()),
    }
}

fn h264_string(configuration: &Bytes) -> Result<String, HeaderError> {
    let mut sets = ParameterSets::h264();
    sets.learn(configuration)?;
    let sps = h264::Sps::parse(sets.sps().ok_or(HeaderError::NoParameterSets)?)?;
    Ok(format!("avc1.{}", sps.profile_level_id()))
}

/// ISO/IEC 14496-15, annex E.3: compatibility flags in reverse order, and constraint bytes without the zeros at the end.
fn h265_string(configuration: &Bytes) -> Result<String, HeaderError> {
    let mut sets = ParameterSets::h265();
    sets.learn(configuration)?;
    let profile = h265::Sps::parse(sets.sps().ok_or(HeaderError::NoParameterSets)?)?.profile;
    let space = ["", "A", "B", "C"].get(usize::from(profile.space)).copied().unwrap_or_default();
    let tier = if profile.tier == 0 { 'L' } else { 'H' };
    let compatibility = profile.compatibility.reverse_bits();
    let last = profile.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let head = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", profile.profile, profile.level);
    let constraints = profile.constraints.iter().take(last).map(|byte| format!("{byte:X}"));
    Ok(std::iter::once(head).chain(constraints).collect::<Vec<_>>().join("."))
}

/// AV1 in ISOBMFF, section 5.
fn av1_string(configuration: &Bytes) -> Result<String, HeaderError> {
    let mut sequence = av1::Sequence::default();
    sequence.learn(configuration)?;
    let header = sequence.header().ok_or(HeaderError::NoParameterSets)??;
    let tier = if header.tier == 0 { 'M' } else { 'H' };
    Ok(format!("av01.{}.{:02}{tier}.{:02}", header.profile, header.level, header.color.bit_depth))
}
