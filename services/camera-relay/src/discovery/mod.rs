//! Looks for cameras near the service: asks ONVIF cameras by WS-Discovery on every IPv4 interface, and names the video devices that the configuration allows.
//!
//! Whoever is near may answer, with what he likes: answers are bounded in size and number, and only addresses that cameras may have by `cameras.egress` are told.

mod devices;
pub(crate) mod makers;
mod message;
mod search;

use crate::{core::Core, error::Error, probe::EGRESS};
use message::Device;
use patchbay_egress::Guard;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use url::{Host, Url};

/// Searches at the same time; each sends some datagrams on every interface.
const CONCURRENT: usize = 2;

/// Devices that are told, and bytes of what they call their address: whoever is near may answer for as many as he likes, and an answer of ours shall stay one that callers take.
const MOST: usize = 512;
const MAX_ADDRESS: usize = 256;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// `onvif` or `device`.
    pub(crate) kind: &'static str,
    /// Name and hardware.
    pub(crate) name: String,
    /// ONVIF's address, or the path of a device.
    pub(crate) address: String,
    /// Addresses to try.
    pub(crate) urls: Vec<String>,
}

/// Places for searches.
pub(crate) struct Searches(Arc<Semaphore>);

impl Searches {
    /// Nobody searches yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONCURRENT)))
    }
}

/// Looks for so long. Whoever may is asked before.
pub(crate) async fn discover(core: &Core, within: Duration) -> Result<Vec<Discovered>, Error> {
    let free = Arc::clone(&core.searches.0).try_acquire_owned();
    let _place = free.map_err(|_| Error::TooManyProbes(CONCURRENT))?;
    let config = &core.config;
    let guard = Guard::new(&config.cameras.egress, EGRESS);
    let listed = devices::list(config.cameras.devices.clone());
    if !config.probe.discovery {
        return Ok(listed.await);
    }
    let interfaces = search::interfaces();
    let heard = search::run(search::GROUP, &interfaces, within);
    let (heard, mut found) = tokio::join!(heard, listed);
    found.extend(told(&guard, heard));
    found.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(found)
}

/// What is told of those who have answered: each device once, if it may be reached.
fn told(guard: &Guard, heard: Vec<(IpAddr, Device)>) -> Vec<Discovered> {
    let mut found = BTreeMap::new();
    let mut refused = 0;
    for (sender, device) in heard {
        match reachable(guard, sender, &device) {
            Some((url, address)) => {
                let title = device.title();
                let urls = makers::guesses(&title)
                    .into_iter()
                    .map(|path| format!("rtsp://{}{path}", in_url(address)));
                let urls = urls.collect();
                let discovered = Discovered { kind: "onvif", name: title, address: url.to_string(), urls };
                // One camera may answer on several interfaces, and to both questions.
                let key = if device.endpoint.is_empty() { url.to_string() } else { device.endpoint };
                if found.len() < MOST || found.contains_key(&key) {
                    found.entry(key).or_insert(discovered);
                }
            }
            None => refused += 1,
        }
    }
    if refused > 0 {
        tracing::info!(
            refused,
            "cameras have answered whose addresses cameras.egress does not allow, or that named none"
        );
    }
    found.into_values().collect()
}

/// The address of a device that cameras may have: that of the sender itself before others, for devices name addresses that are not reached from here too.
fn reachable(guard: &Guard, sender: IpAddr, device: &Device) -> Option<(Url, IpAddr)> {
    let named = device.addresses.iter().filter_map(|text| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // A name is not looked up: a stranger has chosen it.
        let address = match url.host()? {
            Host::Ipv4(address) => IpAddr::from(address),
            Host::Ipv6(address) => IpAddr::from(address),
            Host::Domain(_) => return None,
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        (is_plain && url.as_str().len() <= MAX_ADDRESS && guard.is_allowed(address)).then_some((url, address))
    });
    let named: Vec<_> = named.collect();
    let own = named.iter().find(|(_, address)| *address == sender);
    own.or(named.first()).cloned()
}

fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
