//! The all-in-one and the operator's command line.
//!
//! It is the only crate that depends on services. It adds no behaviour of theirs: it chooses which to start, makes
//! the keys that a lone machine needs, and prints where everything is.

mod banner;
mod camera;
mod certificate;
mod cli;
mod encode;
mod events;
mod file;
mod hash;
mod key;
mod keys;
mod net;
mod password;
mod presets;
mod probe;
mod remote;
mod root_key;
mod seal;
mod secrets;
mod status;
mod tls;
mod token;
mod user;

pub use cli::main;

use patchbay_chassis::Suite;

/// Port for operators of the whole process.
const OPS_PORT: u16 = 9200;

/// Every service, in the order in which they start.
pub fn suite() -> Suite {
    Suite::all_in_one("patchbay", OPS_PORT)
        .with::<crypto_service::CryptoService>()
        .with::<chat_gateway::ChatGateway>()
        .with::<camera_relay::CameraRelay>()
        .with::<console::Console>()
}
