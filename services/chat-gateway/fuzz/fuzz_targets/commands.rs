//! Both protocols' parsers take any text without a panic, and stored publications any bytes.
#![no_main]

use chat_gateway::protocol::{classic, command, publication::Stored};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(Stored::parse(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(command::parse(text, 32));
        drop(classic::parse(text));
    }
});
