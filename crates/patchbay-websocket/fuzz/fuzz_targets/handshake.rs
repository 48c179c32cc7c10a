//! `cargo fuzz run handshake`: no request head panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay_websocket::handshake::{Handshake, Limits};

fuzz_target!(|bytes: &[u8]| {
    if let Handshake::Upgrade(upgrade) = Handshake::parse(bytes, Limits::default()) {
        assert!(upgrade.head_len <= bytes.len());
        assert!(upgrade.accept(None).ends_with(b"\r\n\r\n"));
    }
});
