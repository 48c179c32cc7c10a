//! What the all-in-one presets over the services' defaults, so that it runs with no configuration. Files, variables
//! and flags stand above.

use crate::{
    cli::DATA,
    keys::{issuer_key_file, jwks_file, root_key_file},
};
use patchbay_chassis::{
    Mode, Options, Settings, Suite,
    config::{ConfigError, Layer},
    listen::reachable,
};
use std::{net::SocketAddr, path::Path};

/// What guests may do with `--dev`: chat in the lobby and look at the test camera, nothing else.
const DEV_GUEST_SCOPES: [&str; 6] = [
    "chat:subscribe:room/lobby",
    "chat:publish:room/lobby",
    "chat:history:room/lobby",
    "chat:presence:room/lobby",
    "media:read:test",
    "media:view:test",
];

/// Stands for a key set that nobody has configured.
const UNDECIDED: &str = "to be decided";

/// Services that browsers reach through the console, and the names under which it knows their HTTP ports.
const GATEWAYS: [(&str, &str); 3] =
    [("camera-relay", "camera"), ("chat-gateway", "chat"), ("crypto-service", "crypto")];

/// This machine.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Adds the presets. The configuration is read once before, because paths depend on the data folder it names.
pub(crate) fn complete(suite: &Suite, mut options: Options) -> Result<Options, ConfigError> {
    let data = Layer::new("preset of the all-in-one").set("data.dir", DATA);
    options.presets = vec![data.clone().set("auth.jwks_file", UNDECIDED)];
    let first = suite.load(&options)?;
    let folder = first.shared.data.dir.clone().unwrap_or_else(|| DATA.into());
    let mut base = data.set("auth.jwks_file", jwks_file(&folder).display().to_string());
    if first.shared.auth.jwks_file.as_deref() == Some(Path::new(UNDECIDED)) {
        let issuer = issuer_key_file(&folder).display().to_string();
        base = base.set("crypto-service.tokens.issuer_key_file", issuer);
    }
    let is_shared = is_set(&first, "crypto-service.root_key.shares");
    if !is_shared && shown(&first, "crypto-service.root_key.passphrase_file").is_none() {
        base = base.set("crypto-service.root_key.file", root_key_file(&folder).display().to_string());
    }
    if let Some(url) = console_url(&first) {
        base = base.set("crypto-service.accounts.console_url", url);
    }
    if first.shared.backplane.url.is_none() {
        base = base.set("backplane.file", folder.join("backplane.redb").display().to_string());
    }
    base = base.set("camera-relay.cameras.media_folder", folder.join("media").display().to_string());
    // The services of one process have keys that live as long as it does; passwords of cameras are kept for longer.
    let logins = folder.join("keys/camera-logins.key").display().to_string();
    base = base.set("camera-relay.cameras.login_key_file", logins);
    // Browsers come to the services through the console beside them, which tells where they are.
    for (service, _) in GATEWAYS {
        base = base.set(&format!("{service}.listen.trusted_proxies"), LOOPBACK.to_vec());
    }
    for (service, upstream) in GATEWAYS {
        if let Some(url) = local_tls(&first, service) {
            base = base.set(&format!("console.upstreams.{upstream}"), url);
        }
    }
    options.presets = vec![base];
    if options.mode == Mode::Development {
        options.presets.push(development());
    }
    Ok(options)
}

/// Where a browser on this machine opens the console, spelled as in the list of addresses, because two spellings are two origins; not known where the system is to choose the port.
fn console_url(settings: &Settings) -> Option<String> {
    let listen: SocketAddr = shown(settings, "console.http.listen")?.parse().ok()?;
    let is_here = listen.ip().is_unspecified() || listen.ip().is_loopback();
    let host = if is_here { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let has_tls = is_set(settings, "console.http.tls.development")
        || shown(settings, "console.http.tls.certificate_file").is_some();
    let scheme = if has_tls { "https" } else { "http" };
    (listen.port() != 0).then(|| format!("{scheme}://{host}:{}", listen.port()))
}

/// Where the console reaches a service that has a certificate of the local authority, which is for this machine.
fn local_tls(settings: &Settings, service: &str) -> Option<String> {
    let listen: SocketAddr = shown(settings, &format!("{service}.listen.http"))?.parse().ok()?;
    let has_tls = is_set(settings, &format!("{service}.listen.tls.development"));
    let is_here = listen.ip().is_unspecified() || listen.ip().is_loopback();
    (has_tls && is_here && listen.port() != 0).then(|| format!("https://{}", reachable(listen)))
}

/// A text that is in effect.
fn shown<'a>(settings: &'a Settings, key: &str) -> Option<&'a str> {
    settings.shown.iter().find(|shown| shown.key == key)?.value.as_str()
}

/// Whether a switch is on.
fn is_set(settings: &Settings, key: &str) -> bool {
    settings.shown.iter().any(|shown| shown.key == key && shown.value == true)
}

fn development() -> Layer {
    Layer::new("preset of --dev")
        .set("auth.guest.enabled", true)
        .set("auth.guest.scopes", DEV_GUEST_SCOPES.to_vec())
        .set("drain.delay", "0s")
        .set("drain.spread", "1s")
        .set("drain.deadline", "5s")
}
