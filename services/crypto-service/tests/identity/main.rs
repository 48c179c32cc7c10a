//! Identity in process: two replicas of crypto-service over one backplane, called by gRPC, and a process that only verifies.

mod accounts;
mod audit;
mod credentials;
mod grants;
mod metrics;
mod sessions;
mod setup;
mod tokens;
mod world;
