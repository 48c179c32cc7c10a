//! The TLS probe as its users meet it: `patchbay tls probe` against servers that we did not write, beside a scanner that we did not write; what it says where there
//! is nothing to probe; and the calls of crypto-service.

#![expect(
    clippy::disallowed_methods,
    reason = "servers of a test end with it, and are no tasks of a service"
)]

mod authority;
mod compare;
mod failures;
mod probe;
mod servers;
mod service;
