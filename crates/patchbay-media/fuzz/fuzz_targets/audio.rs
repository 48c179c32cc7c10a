//! AAC and Opus: configurations, framing and the first bytes of packets.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use patchbay_media::codec::{aac, opus};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = aac::AudioSpecificConfig::parse(bytes)
        && let Ok(built) = config.build()
    {
        let again = aac::AudioSpecificConfig::parse(&built).expect("what was built is valid");
        assert_eq!((again.rate(), again.channels()), (config.rate(), config.channels()));
    }
    assert!(aac::adts_frames(&Bytes::copy_from_slice(bytes)).count() <= bytes.len());
    _ = opus::Packet::parse(bytes);
    if let Ok(head) = opus::Head::parse(bytes) {
        assert_eq!(opus::Head::parse(&head.build()), Ok(head));
    }
});
