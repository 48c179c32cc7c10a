//! Addresses: that of a device, as people write it, and those that a device gives.
//!
//! Devices know their own address, which behind a NAT or a port mapping is not the one that reaches them; and a hostile one may name any. So a login is shown to the host that the caller named alone:
//! of a service's address the path is taken, and its port only where it names the same host without less encryption. Of a stream's address the host stays where cameras may have it, and the caller is
//! told when it is another one; a host that may not be reached, or a name, which is not looked up because a stranger has chosen it, is replaced by the host that was asked.

use crate::xml;
use patchbay_egress::Guard;
use std::{fmt, net::IpAddr};
use url::Url;

/// Bytes of the address of a device, and of that of a stream.
const MAX: usize = 256;
const MAX_STREAM: usize = 2048;

/// Where devices have their first service (ONVIF Core, section 5.1).
const PATH: &str = "/onvif/device_service";

/// The address of a device that a person or a search has given; or what is wrong with it, after its name.
pub(crate) fn device(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX {
        return Err(format!("must be an address of 1 to {MAX} bytes, such as 192.168.1.64"));
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).map_err(|error| format!("is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://, for ONVIF is spoken over these".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a login; that has fields of its own".to_owned());
    }
    if url.port() == Some(0) || url.fragment().is_some() {
        return Err("must have no `#`, and a port other than 0".to_owned());
    }
    if url.path() == "/" {
        url.set_path(PATH);
    }
    Ok(url)
}

/// Where to ask a service for which the device has named an address.
pub(super) fn service(device: &Url, named: &str) -> Option<Url> {
    let named = Url::parse(named.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut url = device.clone();
    url.set_path(named.path());
    url.set_query(named.query());
    if named.host() == device.host() && named.scheme() == device.scheme() {
        url.set_port(named.port()).ok()?;
    }
    (url.as_str().len() <= MAX_STREAM).then_some(url)
}

/// The address of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StreamAddress {
    /// Without a login; empty where there is none.
    pub(super) url: String,
    /// What is to be known of it.
    pub(super) note: Option<Note>,
}

/// What is to be known of the address of a stream, in words by its `Display`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// The stream is elsewhere.
    OtherHost {
        /// Where.
        named: String,
        /// What was asked.
        asked: String,
    },
    /// The host that the device names is not used.
    HostReplaced {
        /// What it names.
        named: String,
        /// What stands in its place.
        asked: String,
    },
    /// There is none that can be used.
    NoAddress,
    /// The device does not tell it, for this reason.
    Refused(String),
}

impl Note {
    /// Its word in the interface.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::OtherHost { .. } => "OTHER_HOST",
            Self::HostReplaced { .. } => "HOST_REPLACED",
            Self::NoAddress => "NO_ADDRESS",
            Self::Refused(_) => "REFUSED",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherHost { named, asked } => {
                write!(f, "the device sends from {named}, which is another host than {asked}")
            }
            Self::HostReplaced { named, asked } => write!(
                f,
                "the device calls itself {named}, which cameras may not reach from here or which is a name; {asked} stands in the address instead"
            ),
            Self::NoAddress => f.write_str("the device names no address of RTSP for it"),
            Self::Refused(words) => write!(f, "the device does not tell its address: {words}"),
        }
    }
}

/// The host that was asked.
pub(super) struct Asked<'a> {
    /// As it was written.
    pub(super) host: &'a str,
    /// What it is.
    pub(super) addresses: &'a [IpAddr],
    /// What cameras may reach.
    pub(super) guard: &'a Guard,
}

impl Asked<'_> {
    /// What to make of an address of a stream that the device has named.
    pub(super) fn stream(&self, named: &str) -> StreamAddress {
        let parsed = Url::parse(named.trim()).ok().filter(|url| matches!(url.scheme(), "rtsp" | "rtsps"));
        let usable = |url: &Url| url.as_str().len() <= MAX_STREAM && url.port() != Some(0);
        let Some(mut url) = parsed.filter(usable) else {
            return StreamAddress { url: String::new(), note: Some(Note::NoAddress) };
        };
        let note = self.note(url.host_str().unwrap_or_default());
        let is_plain = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
        // No source takes one, and no camera is told of it.
        url.set_fragment(None);
        let is_replaced = matches!(note, Some(Note::HostReplaced { .. }));
        if !is_plain || (is_replaced && url.set_host(Some(self.host)).is_err()) {
            // It has no host at all.
            return StreamAddress { url: String::new(), note: Some(Note::NoAddress) };
        }
        StreamAddress { url: url.to_string(), note }
    }

    /// What is to be known of a host that the device names.
    fn note(&self, named: &str) -> Option<Note> {
        if named.eq_ignore_ascii_case(self.host) {
            return None;
        }
        let (told, asked) = (xml::harmless(named, MAX), self.host.to_owned());
        // With another scheme than HTTP's, hosts are not parsed as addresses.
        let address = named.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) if self.addresses.contains(&address) => None,
            Ok(address) if !address.is_unspecified() && self.guard.is_allowed(address) => {
                Some(Note::OtherHost { named: told, asked })
            }
            _ => Some(Note::HostReplaced { named: told, asked }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchbay_egress::EgressConfig;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn people_write_addresses_in_many_ways() {
        for (text, expected) in [
            ("192.168.1.64", "http://192.168.1.64/onvif/device_service"),
            (" camera.example:8000 ", "http://camera.example:8000/onvif/device_service"),
            ("[fd00::1]:8000", "http://[fd00::1]:8000/onvif/device_service"),
            ("https://camera/", "https://camera/onvif/device_service"),
            ("http://camera/onvif/other", "http://camera/onvif/other"),
        ] {
            assert_eq!(device(text), Ok(url(expected)), "{text}");
        }
        let long = "a".repeat(MAX + 1);
        for odd in
            ["", " ", "rtsp://camera/", "http://admin:s3cret@camera/", "camera:0", "http://a b/", &long]
        {
            let problem = device(odd).unwrap_err();
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn services_are_asked_at_the_host_that_was_named() {
        for (device, named, expected) in [
            ("http://10.0.0.9/d", "http://10.0.0.9/onvif/media", "http://10.0.0.9/onvif/media"),
            ("http://10.0.0.9/d", "http://10.0.0.9:8899/m?a=1", "http://10.0.0.9:8899/m?a=1"),
            // Behind a port mapping.
            ("http://1.2.3.4:8081/d", "http://192.168.1.64/onvif/media", "http://1.2.3.4:8081/onvif/media"),
            ("http://10.0.0.9/d", "http://169.254.169.254/latest", "http://10.0.0.9/latest"),
            // No step back from encryption.
            ("https://camera/d", "http://camera:80/m", "https://camera/m"),
        ] {
            assert_eq!(service(&url(device), named), Some(url(expected)), "{named}");
        }
        for odd in ["", "/onvif/media", "ftp://10.0.0.9/"] {
            assert_eq!(service(&url("http://10.0.0.9/"), odd), None, "{odd}");
        }
    }

    #[test]
    fn streams_keep_their_host_where_cameras_may_reach_it() {
        let allow = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let guard = Guard::new(&EgressConfig { allow, ..EgressConfig::default() }, "cameras.egress");
        let addresses = [IpAddr::from([10, 0, 0, 9])];
        let asked = Asked { host: "camera.example", addresses: &addresses, guard: &guard };
        for (named, url, words) in [
            ("rtsp://camera.example/1", "rtsp://camera.example/1", ""),
            ("rtsp://10.0.0.9:8554/1?a=b", "rtsp://10.0.0.9:8554/1?a=b", ""),
            ("rtsp://admin:s3cret@10.0.0.9/1", "rtsp://10.0.0.9/1", ""),
            ("rtsp://10.0.0.17/1", "rtsp://10.0.0.17/1", "another host than camera.example"),
            ("rtsp://[fd00::2]/1", "rtsp://[fd00::2]/1", "another host"),
            ("rtsp://192.168.1.64:554/1", "rtsp://camera.example:554/1", "calls itself 192.168.1.64"),
            ("rtsp://169.254.169.254/1", "rtsp://camera.example/1", "may not reach"),
            ("rtsp://0.0.0.0/1", "rtsp://camera.example/1", "calls itself"),
            ("rtsps://ipcam.local/1", "rtsps://camera.example/1", "calls itself ipcam.local"),
            ("rtsp://10.0.0.9/1#t=0", "rtsp://10.0.0.9/1", ""),
            ("rtsp://10.0.0.9:0/1", "", "no address"),
            ("http://10.0.0.9/1", "", "no address"),
            ("", "", "no address"),
            ("rtsp:live", "", "no address"),
        ] {
            let told = asked.stream(named);
            assert_eq!(told.url, url, "{named}: {told:?}");
            let note = told.note.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(note.contains(words) && words.is_empty() == note.is_empty(), "{named}: {note}");
        }
        let asked = Asked { host: "[fd00::9]", addresses: &[], guard: &guard };
        assert_eq!(asked.stream("rtsp://192.168.1.64:554/1").url, "rtsp://[fd00::9]:554/1");
    }
}
