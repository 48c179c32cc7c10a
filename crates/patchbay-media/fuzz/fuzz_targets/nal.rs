//! H.264 and H.265: framings, parameter sets and records. What comes out of the work on a unit is in the hub's form.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use patchbay_media::{
    Codec,
    codec::{h264, h265, mime, nal, parameter_sets::ParameterSets},
};

fuzz_target!(|bytes: &[u8]| {
    let data = Bytes::copy_from_slice(bytes);
    if let Ok(joined) = nal::from_annex_b(bytes) {
        let stream = nal::to_annex_b(&joined).expect("what was joined comes apart");
        assert_eq!(nal::from_annex_b(&stream), Ok(joined.clone()));
        normalise(ParameterSets::h264(), &joined, Codec::H264);
        normalise(ParameterSets::h265(), &joined, Codec::H265);
    }
    normalise(ParameterSets::h264(), &data, Codec::H264);
    normalise(ParameterSets::h265(), &data, Codec::H265);
    for unit in nal::annex_b_units(bytes) {
        _ = (
            h264::Sps::parse(unit),
            h264::SliceHeader::parse(unit),
            h264::PpsIds::parse(unit),
            h265::Sps::parse(unit),
        );
    }
    if let Ok(record) = h264::Avcc::parse(&data) {
        _ = h264::Avcc::build(&record.configuration);
    }
    if let Ok(record) = h265::Hvcc::parse(&data) {
        _ = h265::Hvcc::build(&record.configuration);
    }
});

fn normalise(mut sets: ParameterSets, unit: &Bytes, codec: Codec) {
    let Ok(once) = sets.normalise(unit) else { return };
    assert_eq!(codec.is_key(&once.data), Ok(once.key));
    if let Some(configuration) = &once.configuration {
        _ = mime::codec_string(codec, configuration);
        _ = sets.format();
    }
    let twice = sets.normalise(&once.data).expect("what came out goes in");
    assert_eq!((&twice.data, twice.key), (&once.data, once.key));
    if once.key {
        let mut none = if codec == Codec::H264 { ParameterSets::h264() } else { ParameterSets::h265() };
        let alone = none.normalise(&once.data).expect("a key unit carries all that a decoder needs");
        assert_eq!((alone.data, alone.key), (once.data, true));
    }
}
