//! What black-box tests need: real processes on free ports, a client of the chat protocol with an oracle over what
//! it sees, golden transcripts, keys and tokens, and waiting for conditions instead of sleeping.
//!
//! Only tests and benchmarks use it. Nothing here looks into a service: it sees what a client or an operator sees.

pub mod binaries;
pub mod chat;
pub mod follower;
pub mod http;
pub mod keys;
pub mod onvif;
pub mod ports;
pub mod process;
pub mod redis;
pub mod rtsp;
pub mod transcript;
pub mod view;
pub mod wait;
pub mod way;
pub mod webrtc;
