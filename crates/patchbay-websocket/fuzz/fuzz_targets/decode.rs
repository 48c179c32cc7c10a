//! `cargo fuzz run decode`: no input panics, and where it is split makes no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay_websocket::{Decoder, ProtocolError};

const MAX_MESSAGE: u32 = 4096;

fuzz_target!(|input: (usize, Vec<u8>)| {
    let (split, bytes) = input;
    let split = split % (bytes.len() + 1);
    assert_eq!(events(&[&bytes]), events(&[&bytes[..split], &bytes[split..]]));
});

fn events(parts: &[&[u8]]) -> (Vec<String>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut events = Vec::new();
    for part in parts {
        let mut part = part.to_vec();
        let mut input = part.as_mut_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(format!("{event:?}")),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}
