//! What the all-in-one presets over the services' defaults, so that it runs with no configuration. Files, variables
//! and flags stand above.

use crate::{cli::DATA, keys::jwks_file};
use patchbay_chassis::{
    Mode, Options, Suite,
    config::{ConfigError, Layer},
};

/// What guests may do with `--dev`: chat in the lobby, nothing else.
const DEV_GUEST_SCOPES: [&str; 4] = [
    "chat:subscribe:room/lobby",
    "chat:publish:room/lobby",
    "chat:history:room/lobby",
    "chat:presence:room/lobby",
];

/// This machine.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Adds the presets. The configuration is read once before, because paths depend on the data folder it names.
pub(crate) fn complete(suite: &Suite, mut options: Options) -> Result<Options, ConfigError> {
    let data = Layer::new("preset of the all-in-one").set("data.dir", DATA);
    options.presets = vec![data.clone().set("auth.jwks_file", "to be decided")];
    let first = suite.load(&options)?.shared;
    let folder = first.data.dir.unwrap_or_else(|| DATA.into());
    let mut base = data.set("auth.jwks_file", jwks_file(&folder).display().to_string());
    if first.backplane.url.is_none() {
        base = base.set("backplane.file", folder.join("backplane.redb").display().to_string());
    }
    // Browsers come to the gateway through the console beside it, which tells where they are.
    base = base.set("chat-gateway.listen.trusted_proxies", LOOPBACK.to_vec());
    options.presets = vec![base];
    if options.mode == Mode::Development {
        options.presets.push(development());
    }
    Ok(options)
}

fn development() -> Layer {
    Layer::new("preset of --dev")
        .set("auth.guest.enabled", true)
        .set("auth.guest.scopes", DEV_GUEST_SCOPES.to_vec())
        .set("drain.delay", "0s")
        .set("drain.spread", "1s")
        .set("drain.deadline", "5s")
}
