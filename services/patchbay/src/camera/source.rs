//! Where pictures come from, on the command line.

use crate::password;
use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use patchbay_proto::camera::v1::{
    self as pb, Camera, DeviceSource, FileSource, Login, MjpegSource, OpenCvSource, RtspSource,
    RtspTransport, TestSource, UrlSource, camera::Source,
};
use std::io::{self, IsTerminal, Write};
use zeroize::Zeroizing;

/// One of them.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Origin {
    /// Address: `rtsp://`, `rtsps://`, `http://` or `https://`.
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// A moving picture with a clock and a tone.
    #[arg(long)]
    test: bool,
    /// A file below the media folder of the service.
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// A video device of the service's machine, such as `/dev/video0`.
    #[arg(long, value_name = "PATH")]
    device: Option<String>,
    /// Whatever `OpenCV` opens, where the service may use that.
    #[arg(long, value_name = "INPUT")]
    opencv: Option<String>,
}

/// How an address is opened.
#[derive(Args)]
pub(super) struct Opening {
    /// What is behind an address; without it `rtsp://` is a camera, and `http://` a stream, or JPEG pictures where the path says so.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// User of the camera; its password is asked for, unless --password-stdin is given.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Reads the password from standard input.
    #[arg(long)]
    password_stdin: bool,
    /// How an RTSP camera sends; without it by TCP, and by UDP where it refuses that.
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// SHA-256 of the camera's certificate; only that one is believed then.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A camera that speaks RTSP.
    Rtsp,
    /// A file, a live stream or an HLS playlist.
    Url,
    /// JPEG pictures.
    Mjpeg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    Tcp,
    Udp,
}

impl Origin {
    /// The address, where it can be none because it has no scheme: then it is meant as the name of a camera.
    pub(super) fn camera(&self) -> Option<&str> {
        self.address.as_deref().filter(|address| !address.contains("://"))
    }

    /// The source that is meant. Asks for a password where one is needed.
    pub(super) fn source(self, opening: Opening) -> anyhow::Result<Source> {
        let Self { address, test: _, file, device, opencv } = self;
        if let Some(address) = address {
            return remote(address, opening);
        }
        ensure!(
            !opening.is_given(),
            "--kind, --username, --password-stdin, --transport and --fingerprint go with an ADDRESS"
        );
        Ok(match (file, device, opencv) {
            (Some(path), ..) => Source::File(FileSource { path }),
            (_, Some(path), _) => Source::Device(DeviceSource { path, ..DeviceSource::default() }),
            (.., Some(input)) => Source::Opencv(OpenCvSource { input }),
            _ => Source::Test(TestSource::default()),
        })
    }
}

impl Opening {
    fn is_given(&self) -> bool {
        self.password_stdin
            || self.kind.is_some()
            || self.username.is_some()
            || self.transport.is_some()
            || self.fingerprint.is_some()
    }
}

/// A camera of that name and source, and nothing else.
pub(super) fn camera(name: &str, source: Source) -> Camera {
    Camera { name: name.to_owned(), source: Some(source), ..Camera::default() }
}

fn remote(url: String, opening: Opening) -> anyhow::Result<Source> {
    let Some((scheme, rest)) = url.split_once("://") else {
        bail!("`{url}` is no address: write it as rtsp://camera.example/path");
    };
    let kind = match (opening.kind, scheme) {
        (Some(kind), _) => kind,
        (None, "rtsp" | "rtsps") => Kind::Rtsp,
        (None, "http" | "https") if is_jpeg(rest) => Kind::Mjpeg,
        (None, "http" | "https") => Kind::Url,
        (None, _) => {
            bail!("addresses begin with rtsp://, rtsps://, http:// or https://, not with {scheme}://")
        }
    };
    let transport = match opening.transport {
        None => RtspTransport::Unspecified,
        Some(Transport::Tcp) => RtspTransport::Tcp,
        Some(Transport::Udp) => RtspTransport::Udp,
    };
    ensure!(opening.transport.is_none() || kind == Kind::Rtsp, "--transport is for cameras that speak RTSP");
    let login = login_at(rest, opening.username, opening.password_stdin)?;
    let certificate_fingerprint = opening.fingerprint.unwrap_or_default();
    Ok(match kind {
        Kind::Rtsp => {
            Source::Rtsp(RtspSource { url, login, transport: transport.into(), certificate_fingerprint })
        }
        Kind::Url => Source::Url(UrlSource { url, login, certificate_fingerprint }),
        Kind::Mjpeg => Source::Mjpeg(MjpegSource { url, login, certificate_fingerprint, interval: None }),
    })
}

/// Whether the path of an address is that of pictures, by how cameras name them.
fn is_jpeg(rest: &str) -> bool {
    let (_, path) = rest.split_once('/').unwrap_or_default();
    let path = path.to_ascii_lowercase();
    ["mjpg", "mjpeg", ".jpg", ".jpeg", "snapshot"].iter().any(|word| path.contains(word))
}

/// The login for an address, which may have one itself; `rest` is what follows its scheme.
fn login_at(rest: &str, username: Option<String>, from_stdin: bool) -> anyhow::Result<Option<Login>> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let within = authority.rsplit_once('@').map(|(login, _)| login);
    if within.is_some_and(|login| login.contains(':')) {
        ensure!(
            username.is_none() && !from_stdin,
            "the address has a login already: leave that out, or --username and --password-stdin"
        );
        warn(
            "warning: a password in an address stays in the shell's history and is seen in the list of processes: use --username, and you are asked for it",
        );
        return Ok(None);
    }
    login(username.or(within.map(str::to_owned)), from_stdin)
}

/// The login of a user, whose password is asked for; none where there is no user.
pub(super) fn login(username: Option<String>, from_stdin: bool) -> anyhow::Result<Option<Login>> {
    let Some(username) = username else {
        ensure!(!from_stdin, "--password-stdin needs --username");
        return Ok(None);
    };
    let password = if from_stdin {
        password::from(io::stdin().lock(), "standard input")?
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {username} at the camera: "))
            .map(Zeroizing::new)
            .context("could not ask for the password")?
    } else {
        bail!("there is no terminal to ask for the password at: use --password-stdin");
    };
    Ok(Some(pb::Login { username, password: password.to_string(), has_password: false }))
}

/// Where standard error is closed there is nobody left to tell.
fn warn(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening { kind: None, username: None, password_stdin: false, transport: None, fingerprint: None }
    }

    fn of(address: &str, opening: Opening) -> anyhow::Result<Source> {
        let origin =
            Origin { address: Some(address.to_owned()), test: false, file: None, device: None, opencv: None };
        origin.source(opening)
    }

    #[test]
    fn the_address_says_what_it_is() {
        assert!(matches!(of("rtsp://camera/live", opening()), Ok(Source::Rtsp(_))));
        assert!(matches!(of("rtsps://camera/live", opening()), Ok(Source::Rtsp(_))));
        assert!(matches!(of("https://camera/live.m3u8", opening()), Ok(Source::Url(_))));
        for pictures in
            ["http://camera/axis-cgi/mjpg/video.cgi", "http://camera/a.JPG", "http://camera/snapshot"]
        {
            assert!(matches!(of(pictures, opening()), Ok(Source::Mjpeg(_))), "{pictures}");
        }
        // A host's name says nothing.
        assert!(matches!(of("http://mjpeg.example/live.ts", opening()), Ok(Source::Url(_))));
        let told = Opening { kind: Some(Kind::Mjpeg), ..opening() };
        assert!(matches!(of("http://camera/live", told), Ok(Source::Mjpeg(_))));
        for wrong in ["camera", "ftp://camera/"] {
            assert!(of(wrong, opening()).is_err(), "{wrong}");
        }
        let udp = Opening { transport: Some(Transport::Udp), ..opening() };
        assert!(of("http://camera/live", udp).is_err());
    }

    #[test]
    fn a_login_is_given_in_one_way() {
        let named = || Opening { username: Some("admin".to_owned()), ..opening() };
        assert!(of("rtsp://admin:s3cret@camera/", named()).is_err());
        let Ok(Source::Rtsp(rtsp)) = of("rtsp://admin:s3cret@camera/", opening()) else {
            panic!("it is RTSP")
        };
        assert!(rtsp.login.is_none(), "the service takes it out of the address");
        // An @ in the path is no login.
        assert!(of("rtsp://camera/a@b:c", opening()).is_ok());
        let stdin = Opening { password_stdin: true, ..opening() };
        assert!(of("rtsp://camera/", stdin).is_err());
    }
}
