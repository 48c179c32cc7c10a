//! camera-relay in process, on port 0, with the memory backplane: one replica, or two on one backplane.

mod cameras;
mod config;
mod describe;
mod discovery;
mod failures;
mod files;
mod motion;
mod mse;
mod picture;
mod probe;
mod replicas;
mod scopes;
mod streams;
mod watch;
mod world;
