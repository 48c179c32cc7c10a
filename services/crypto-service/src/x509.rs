//! Certificates and keys: requests that a key signs (PKCS#10, RFC 2986), and chains that belong to one. Bytes in, bytes out; `keyring` keeps
//! and `grpc` asks who may.

mod chain;
mod names;
mod request;

pub(crate) use chain::Chain;
pub(crate) use request::{Request, Wish};
