//! Sample entries: how each codec says in MP4 what it is.

use crate::MuxError;
use bytes::Bytes;
use mp4_atom::{
    Atom, Audio, Av01, Av1c, Avc1, Avcc, Codec as Entry, Dops, Hvc1, Hvcc, Mp4a, Opus, Visual, Vp09, VpcC,
    esds,
};
use patchbay_media::{
    Codec,
    codec::{HeaderError, aac::AudioSpecificConfig, av1, h264, h265, opus},
    track::TrackInfo,
};

/// `objectTypeIndication` of AAC (ISO/IEC 14496-1, table 5).
const AAC: u8 = 0x40;
/// `streamType` of sound (table 6).
const AUDIO_STREAM: u8 = 5;

/// Writes it.
pub(super) fn of(info: &TrackInfo, vp9: Option<(u8, u8)>) -> Result<Entry, MuxError> {
    let codec = info.codec;
    let built =
        |record: Result<Bytes, HeaderError>| record.map_err(|source| MuxError::Header { codec, source });
    let configuration = &info.configuration;
    Ok(match codec {
        Codec::H264 => {
            let avcc = read::<Avcc>(&built(h264::Avcc::build(configuration))?)?;
            Avc1 { visual: visual(info), avcc, ..Avc1::default() }.into()
        }
        Codec::H265 => {
            let mut hvcc = read::<Hvcc>(&built(h265::Hvcc::build(configuration))?)?;
            // None stand in the samples.
            hvcc.arrays.iter_mut().for_each(|array| array.completeness = true);
            Hvc1 { visual: visual(info), hvcc, ..Hvc1::default() }.into()
        }
        Codec::Av1 => {
            let av1c = read::<Av1c>(&built(av1::build_av1c(configuration))?)?;
            Av01 { visual: visual(info), av1c, ..Av01::default() }.into()
        }
        Codec::Vp9 => {
            Vp09 { visual: visual(info), vpcc: vpcc(info, vp9.unwrap_or((0, 8))), ..Vp09::default() }.into()
        }
        Codec::Aac => aac(info)?.into(),
        Codec::Opus => Opus { audio: audio(info), dops: dops(info), btrt: None }.into(),
        Codec::Vp8 | Codec::Pcma | Codec::Pcmu => return Err(MuxError::Codec(codec)),
    })
}

/// A record of ours in the words of the library that writes boxes.
fn read<T: Atom>(record: &Bytes) -> Result<T, MuxError> {
    Ok(T::decode_body(&mut record.as_ref())?)
}

fn visual(info: &TrackInfo) -> Visual {
    Visual { data_reference_index: 1, width: info.width, height: info.height, ..Visual::default() }
}

fn audio(info: &TrackInfo) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: u16::from(info.channels.max(1)),
        sample_size: 16,
        // Where the rate does not fit, the codec's own configuration has it.
        sample_rate: u16::try_from(info.clock_rate).unwrap_or(0).into(),
    }
}

fn aac(info: &TrackInfo) -> Result<Mp4a, MuxError> {
    let config = AudioSpecificConfig::parse(&info.configuration)
        .map_err(|source| MuxError::Header { codec: info.codec, source })?;
    let channels = if info.channels == 0 { config.channels() } else { info.channels };
    let dec_specific =
        esds::DecoderSpecific { raw: info.configuration.to_vec(), ..esds::DecoderSpecific::default() };
    let dec_config = esds::DecoderConfig {
        object_type_indication: AAC,
        stream_type: AUDIO_STREAM,
        dec_specific: Some(dec_specific),
        ..esds::DecoderConfig::default()
    };
    let es_desc = esds::EsDescriptor { es_id: 0, dec_config, ..esds::EsDescriptor::default() };
    let audio = audio(&TrackInfo { channels, ..info.clone() });
    Ok(Mp4a { audio, esds: mp4_atom::Esds { es_desc }, btrt: None, taic: None })
}

/// Of a stream that is joined in the middle nothing is left out at the start; one that has a header says what is.
fn dops(info: &TrackInfo) -> Dops {
    let head = opus::Head::parse(&info.configuration).unwrap_or(opus::Head {
        channels: info.channels.clamp(1, 2),
        pre_skip: 0,
        input_rate: 48_000,
        gain: 0,
    });
    Dops {
        output_channel_count: head.channels,
        pre_skip: head.pre_skip,
        input_sample_rate: head.input_rate,
        output_gain: head.gain,
        channel_mapping: None,
    }
}

/// `vpcC` (VP codec ISO media file format binding); colours are those that most decoders assume.
fn vpcc(info: &TrackInfo, (profile, bit_depth): (u8, u8)) -> VpcC {
    const LEFT_420: u8 = 0;
    const FULL_444: u8 = 3;
    let chroma_subsampling = if profile & 1 == 0 { LEFT_420 } else { FULL_444 };
    VpcC { profile, level: vp9_level(info), bit_depth, chroma_subsampling, ..VpcC::default() }
}

/// Least level for pictures of that size at 30 a second (levels of VP9, annex A), ten times its number.
pub(super) fn vp9_level(info: &TrackInfo) -> u8 {
    const LEVELS: [(u32, u8); 9] = [
        (36_864, 10),
        (73_728, 11),
        (122_880, 20),
        (245_760, 21),
        (552_960, 30),
        (983_040, 31),
        (2_228_224, 40),
        (8_912_896, 50),
        (35_651_584, 60),
    ];
    let pixels = u32::from(info.width) * u32::from(info.height);
    LEVELS.into_iter().find(|(most, _)| pixels <= *most).map_or(62, |(_, level)| level)
}
