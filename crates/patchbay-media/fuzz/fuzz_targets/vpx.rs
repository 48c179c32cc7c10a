//! VP8 and VP9: frame headers and superframes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use patchbay_media::codec::{vp8, vp9};

fuzz_target!(|bytes: &[u8]| {
    _ = vp8::FrameHeader::parse(bytes);
    _ = vp9::FrameHeader::parse(bytes);
    if let Ok(frames) = vp9::frames(&Bytes::copy_from_slice(bytes)) {
        assert!(frames.iter().map(Bytes::len).sum::<usize>() <= bytes.len());
    }
});
