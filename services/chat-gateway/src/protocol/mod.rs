//! The chat protocol without I/O: text in, typed commands out; typed answers in, text out.
//!
//! `docs/protocol/chat.md` is the contract. The sessions in [`crate::connection`] call it, the rooms in
//! [`crate::room`] use its publications.

pub mod classic;
pub mod close;
pub mod command;
pub mod error;
pub mod ids;
pub mod publication;
pub mod reply;
