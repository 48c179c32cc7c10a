//! The server side of RFC 6455, without I/O: bytes in, events and bytes out.
//!
//! [`handshake`] recognises the HTTP/1.1 upgrade and writes its answer, [`Decoder`] turns what a
//! client sends into [`Event`]s, and [`encode`] builds the frames that a server sends.
//!
//! It is neither a client, nor a socket, nor a write queue: sockets, queues and timeouts belong to
//! the services' own connection loops, which call this crate. Extensions (`permessage-deflate`) are
//! not negotiated, so the reserved bits must be zero.

mod close;
mod decode;
pub mod encode;
mod frame;
pub mod handshake;
mod mask;
mod partial;

pub use close::CloseCode;
pub use decode::{Decoder, Event, Input, ProtocolError};
pub use frame::OpCode;
