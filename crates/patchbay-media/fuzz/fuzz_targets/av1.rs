//! AV1: OBUs, the sequence header and the record. What comes out of the work on a unit is in the hub's form.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use patchbay_media::{
    Codec,
    codec::{av1, mime},
};

fuzz_target!(|bytes: &[u8]| {
    let data = Bytes::copy_from_slice(bytes);
    _ = av1::SequenceHeader::parse(bytes);
    _ = av1::is_key(&data);
    if let Ok(configuration) = av1::parse_av1c(&data) {
        _ = av1::build_av1c(&configuration);
        _ = mime::codec_string(Codec::Av1, &configuration);
    }
    let mut sequence = av1::Sequence::default();
    let Ok(once) = sequence.normalise(&data) else { return };
    if once.key {
        let alone = av1::Sequence::default()
            .normalise(&once.data)
            .expect("a key unit carries all that a decoder needs");
        assert_eq!((alone.data, alone.key), (once.data, true));
    }
});
