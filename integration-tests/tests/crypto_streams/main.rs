//! Messages of any size through crypto-service: over gRPC, as plain octets over HTTP, from the command line, and by a reader and writer that we did not write.

mod calls;
mod files;
mod octets;
mod refusals;
mod vectors;
mod world;
