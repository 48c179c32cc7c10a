//! JSON over HTTP for gRPC services that run in the same process.
//!
//! A [`Transcoder`] gets a descriptor set, a service that answers gRPC, and a table of doors: HTTP method, path, rpc. It makes an
//! [`axum::Router`] of them. Path, query and body become the request message, the call is made in process with what the
//! layers before it have put on the request, and the response message becomes JSON. Unary methods only.
//!
//! It knows no service, opens no port and checks no token: the gRPC service that it is given has the layer that does.
//!
//! The mapping is the JSON mapping of proto3, with these choices: field names are those of the `.proto` file (`lowerCamelCase` is read
//! too); fields that are at their default are written, absent messages, `optional` fields and `oneof`s are not; 64-bit
//! numbers are strings, enums are names, bytes are Base64; a field that is not known is refused.

mod call;
mod doors;
mod message;
mod problem;
mod strict;

pub use call::{Calls, Deadline, calls, headers_to_pass};
pub use doors::{DoorError, Limits, Transcoder};
pub use message::MessageError;
pub use problem::Problem;
pub use strict::{JsonError, parse as parse_json};
