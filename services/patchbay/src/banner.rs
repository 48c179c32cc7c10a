//! What a person reads when the all-in-one has started.

use patchbay_chassis::{Address, Mode, VERSION};
use std::fmt::Write as _;

/// Addresses, one a line; the console's carries the invitation where there is one.
pub(crate) fn text(addresses: &[Address], mode: Mode, invitation: Option<&str>) -> String {
    let mut lines = format!("\nPatchbay {VERSION} is ready.\n\n");
    for Address { service, name, url, .. } in addresses {
        writeln!(lines, "  {service:<14} {name:<10} {url}").expect("writing to a string cannot fail");
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
        lines
            .push_str("\n  Development mode: guests may chat in the lobby. Do not expose it to a network.\n");
    }
    lines
}
