//! The seal of crypto-service as operators and attackers meet it: rotations of the root key under `kill -9` and with several replicas, and shares that
//! open and close it.

mod kills;
mod rekey;
mod rotation;
mod secrecy;
mod shares;
mod together;
mod world;

use tokio::sync::Mutex;

/// One at a time: each needs the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
