//! Any bytes as a unit of any codec: payloads stay within their limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay_media::{Codec, rtp::packetize::Packetizer};

const LIMIT: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let Some((pick, unit)) = bytes.split_first() else { return };
    let codec = Codec::ALL[usize::from(*pick) % Codec::ALL.len()];
    let Ok(payloads) = Packetizer::new(codec, LIMIT).packetize(unit) else { return };
    assert!(payloads.iter().all(|payload| !payload.is_empty() && payload.len() <= LIMIT));
});
