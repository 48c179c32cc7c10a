//! What is handed to `OpenCV`, checked.

use crate::{Credentials, DevicePath, failure};
use patchbay_egress::{Guard, Host};
use patchbay_media::hub::{Reason, SourceError};
use secrecy::ExposeSecret;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// What to capture.
#[derive(Clone, Debug)]
pub enum OpenCvInput {
    /// A media file, played again and again. Whoever chooses it has checked that it may be read.
    File(PathBuf),
    /// A video device.
    Device(DevicePath),
    /// `http://` or `rtsp://`, without a login; see the module for what is not checked.
    Url {
        /// The address.
        url: Url,
        /// The login.
        credentials: Option<Credentials>,
        /// What may be reached.
        guard: Guard,
    },
}

/// The same, for `OpenCV`.
pub(super) enum Target {
    File(String),
    Device(i32),
    /// Holds the login.
    Address(String),
}

/// How files begin that lead to others, which `OpenCV` would follow: playlists, lists of files, descriptions of sessions, pages.
const LEADS_ON: [&[u8]; 4] = [b"#EXTM3U", b"ffconcat", b"v=0", b"<"];

pub(super) async fn resolve(input: &OpenCvInput, within: Duration) -> Result<Target, SourceError> {
    match input {
        OpenCvInput::File(path) => file(path),
        OpenCvInput::Device(path) => Ok(Target::Device(i32::from(path.number()))),
        OpenCvInput::Url { url, credentials, guard } => {
            address(url, credentials.as_ref(), guard, within).await
        }
    }
}

fn file(path: &Path) -> Result<Target, SourceError> {
    let refuse = |text: &str, reason| Err(SourceError::permanent(text).because(reason));
    if !path.is_file() {
        return refuse("there is no such file in the media folder", Reason::NotFound);
    }
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut begin));
    if read.is_err() {
        return refuse("the file cannot be read: give the user of the service the right to", Reason::Other);
    }
    if LEADS_ON.iter().any(|mark| begin.trim_ascii_start().starts_with(mark)) {
        return refuse("the file is a list that leads to others; choose a media file", Reason::Protocol);
    }
    match path.to_str() {
        // An absolute path cannot be taken for an address or for a pattern of options.
        Some(text) if path.is_absolute() && !text.contains('%') => Ok(Target::File(text.to_owned())),
        _ => refuse("the path of the file must be absolute, in UTF-8, and without %", Reason::Other),
    }
}

async fn address(
    url: &Url,
    credentials: Option<&Credentials>,
    guard: &Guard,
    within: Duration,
) -> Result<Target, SourceError> {
    let wrong = |text: &str| SourceError::permanent(text).because(Reason::Protocol);
    let usual = match url.scheme() {
        "http" => 80,
        "rtsp" => 554,
        _ => return Err(wrong("OpenCV is given http:// and rtsp:// only: it checks no certificates")),
    };
    let host = url.host_str().ok_or_else(|| wrong("the address has no host"))?;
    let host: Host =
        host.parse().map_err(|error| wrong(&format!("the host in the address cannot be read: {error}")))?;
    let connected = guard.connect(&host, url.port().unwrap_or(usual), within).await;
    let (_, reached) = connected.map_err(|error| failure::of_egress(&error))?;
    let mut literal = url.clone();
    let user = credentials.map_or("", |login| login.username.as_str());
    let password = credentials.map(|login| login.password.expose_secret());
    let is_set = set_host(&mut literal, reached.ip())
        && literal.set_port(Some(reached.port())).is_ok()
        && literal.set_username(user).is_ok()
        && literal.set_password(password).is_ok();
    if is_set { Ok(Target::Address(literal.into())) } else { Err(wrong("the address cannot hold a login")) }
}

fn set_host(url: &mut Url, address: std::net::IpAddr) -> bool {
    // Addresses of schemes that browsers do not know take a host as text alone.
    let text = match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    url.set_host(Some(&text)).is_ok()
}
