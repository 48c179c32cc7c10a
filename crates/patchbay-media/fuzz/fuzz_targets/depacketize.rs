//! Any packets for any codec: what is held stays within its limit, and what comes out is in the hub's form. A packet here is a byte for the length, one for the
//! steps of the sequence number and time stamp and the marker, and the payload; each is also read as a whole RTP packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay_media::{
    Codec,
    rtp::{
        MAX_UNIT,
        depacketize::{Depacketizer, Incoming},
        header::Packet,
    },
};

fuzz_target!(|bytes: &[u8]| {
    let Some((pick, mut rest)) = bytes.split_first() else { return };
    let codec = Codec::ALL[usize::from(*pick) % Codec::ALL.len()];
    let mut depacketizer = Depacketizer::new(codec);
    let (mut sequence, mut timestamp, mut units) = (0_u16, 0_u32, Vec::new());
    while let [length, how, behind @ ..] = rest {
        let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        sequence = sequence.wrapping_add(u16::from(how & 3));
        timestamp = timestamp.wrapping_add(u32::from(how >> 2 & 3) * 3000);
        let marker = how & 0x80 != 0;
        _ = depacketizer.push(Incoming { sequence, timestamp, marker, payload }, &mut units);
        assert!(depacketizer.held() <= MAX_UNIT);
        if let Ok(packet) = Packet::parse(payload) {
            assert!(packet.payload_range().end <= payload.len());
            _ = packet.extensions().count();
        }
    }
    for unit in units {
        assert!(unit.data.len() <= MAX_UNIT);
    }
});
