//! `patchbay camera discover`.

use super::{RelayArgs, refused, words::harmless};
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::camera::v1::{DiscoverSourcesRequest, DiscoveredSource};
use std::time::Duration;

/// Why nothing may have been found.
const NOTHING: &str = "nothing was found. Cameras are told of only where `cameras.egress.allow` of camera-relay has their network (ONVIF must be on in the camera, and the service must be in the same network: a container mostly is not); video devices only where `cameras.devices` has them";

#[derive(Args)]
pub(crate) struct DiscoverArgs {
    /// Seconds to look.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    timeout: u32,
    #[command(flatten)]
    relay: RelayArgs,
}

pub(super) async fn run(args: &DiscoverArgs) -> anyhow::Result<()> {
    let mut client = args.relay.connect_for(Duration::from_secs(args.timeout.into())).await?;
    let timeout = Some(prost_types::Duration { seconds: args.timeout.into(), nanos: 0 });
    let answer = client.discover_sources(DiscoverSourcesRequest { timeout }).await;
    let found = answer.map_err(|status| refused(&status))?.into_inner().sources;
    let text = if found.is_empty() {
        NOTHING.to_owned()
    } else {
        found.iter().map(lines).collect::<Vec<_>>().join("\n")
    };
    Ok(cli::print(&text)?)
}

fn lines(source: &DiscoveredSource) -> String {
    let name = if source.name.is_empty() { "(no name)" } else { &source.name };
    let first = format!("{:<6}  {name}  {}", source.kind, source.address);
    let tries = source.urls.iter().map(|url| format!("        try {url}"));
    // What is guessed may be wrong; a camera of ONVIF tells it to whoever has a login.
    let ask = (source.kind == "onvif")
        .then(|| format!("        ask `patchbay camera streams {}`", for_shell(&source.address)));
    let tries: Vec<_> = std::iter::once(first).chain(ask).chain(tries).map(|line| harmless(&line)).collect();
    tries.join("\n")
}

/// An address as a shell takes it. A stranger has chosen its path, and people copy the command.
fn for_shell(address: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:/%".contains(letter);
    if address.chars().all(is_plain) {
        return address.to_owned();
    }
    format!("'{}'", address.replace('\'', "%27"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_copy_runs_nothing_that_a_stranger_has_written() {
        let told = |address: &str| {
            let (kind, address) = ("onvif".to_owned(), address.to_owned());
            lines(&DiscoveredSource { kind, address, ..DiscoveredSource::default() })
        };
        let usual = "http://10.0.0.9:8000/onvif/device_service";
        assert!(told(usual).contains(&format!("streams {usual}`")), "{}", told(usual));
        let hostile = "http://10.0.0.9/a;reboot?'$(reboot)'";
        let quoted = "streams 'http://10.0.0.9/a;reboot?%27$(reboot)%27'`";
        assert!(told(hostile).contains(quoted), "{}", told(hostile));
    }
}
