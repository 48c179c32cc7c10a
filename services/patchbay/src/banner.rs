//! What a person reads when the all-in-one has started.

use patchbay_chassis::{Address, Mode, VERSION};
use std::fmt::Write as _;

/// What crypto-service calls the link with which the first account is made: no listener of its own.
const SETUP: &str = "setup";

/// Addresses, one a line; the console's carries the invitation where there is one.
pub(crate) fn text(addresses: &[Address], mode: Mode, invitation: Option<&str>) -> String {
    let mut lines = format!("\nPatchbay {VERSION} is ready.\n\n");
    let (setup, listeners): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.name == SETUP);
    for Address { service, name, url, .. } in listeners {
        writeln!(lines, "  {service:<14} {name:<10} {url}").expect("writing to a string cannot fail");
    }
    for Address { url, .. } in setup {
        write!(lines, "\n  Make the first account with this link, good once:\n  {url}\n")
            .expect("writing to a string cannot fail");
    }
    let console = addresses.iter().find(|address| address.service == "console" && address.name != "grpc");
    if let Some((console, token)) = console.zip(invitation) {
        let base = console.url.trim_end_matches('/');
        write!(
            lines,
            "\n  Open the console as operator (the link is good for 15 minutes):\n  {base}/#token={token}\n"
        )
        .expect("writing to a string cannot fail");
    }
    if mode == Mode::Development {
        lines.push_str(
            "\n  Development mode: guests may chat in the lobby and look at the test camera. Do not expose it to a network.\n",
        );
    }
    lines
}
