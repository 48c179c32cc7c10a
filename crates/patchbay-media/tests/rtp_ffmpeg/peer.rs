//! `FFmpeg` at the other end of a loopback socket.

use crate::elementary::Elementary;
use patchbay_media::Codec;
use std::{
    fs::File,
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How digests of frames are written: every frame once, none made up.
pub(crate) const DIGESTS: [&str; 4] = ["-fps_mode", "passthrough", "-f", "framemd5"];

/// The longest that a test waits for `FFmpeg`.
const PATIENCE: Duration = Duration::from_mins(1);

/// Digests from `FFmpeg`'s list: comments apart, the last column.
pub(crate) fn digests(list: &[u8]) -> Vec<String> {
    let list = std::str::from_utf8(list).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|digest| digest.trim().to_owned()).collect()
}

/// Waits until something holds, or until it took too long.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An even port whose neighbour is free too: RTP and RTCP.
fn free_ports() -> (UdpSocket, UdpSocket, u16) {
    for _ in 0..200 {
        let media = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = media.local_addr().unwrap().port();
        if port.is_multiple_of(2)
            && let Ok(control) = UdpSocket::bind(("127.0.0.1", port + 1))
        {
            return (media, control, port);
        }
    }
    panic!("no two free ports beside each other");
}

/// `FFmpeg` as the receiver: it writes digests of what it decodes, and ends after so many frames.
pub(crate) struct Receiver {
    child: Child,
    port: u16,
    list: std::path::PathBuf,
}

impl Receiver {
    pub(crate) fn start(elementary: &Elementary, frames: usize) -> Self {
        let (media, control, port) = free_ports();
        drop((media, control));
        let kind = if elementary.description.contains("/90000") { "video" } else { "audio" };
        let description = format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm={kind} {port} RTP/AVP 96\r\n{}\r\n",
            elementary.description
        );
        let (session, list) = (elementary.folder().join("session.sdp"), elementary.folder().join("list"));
        std::fs::write(&session, description).unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-protocol_whitelist", "file,udp,rtp"]);
        if kind == "audio" {
            command.args(["-flags2", "skip_manual"]);
        }
        command.arg("-i").arg(&session);
        command.args(elementary.frames());
        command.arg(if kind == "video" { "-frames:v" } else { "-frames:a" }).arg(frames.to_string());
        command.args(DIGESTS).arg("-y").arg("-").stdin(Stdio::null()).stdout(File::create(&list).unwrap());
        let receiver = Self { child: command.spawn().unwrap(), port, list };
        receiver.wait_until_it_listens();
        receiver
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The system lists bound sockets by their port in hexadecimal.
    fn wait_until_it_listens(&self) {
        let port = format!(":{:04X} ", self.port);
        wait("ffmpeg listens", || {
            ["/proc/net/udp", "/proc/net/udp6"]
                .iter()
                .filter_map(|file| std::fs::read_to_string(file).ok())
                .any(|sockets| sockets.lines().any(|line| line.contains(&port)))
        });
    }

    /// Digests of what it decoded, once it has ended.
    pub(crate) fn frames(mut self) -> Vec<String> {
        let child = &mut self.child;
        wait("ffmpeg has all frames", || child.try_wait().unwrap().is_some());
        digests(&std::fs::read(&self.list).unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// `FFmpeg` as the sender of a file, as fast as it is played.
pub(crate) struct Sender {
    child: Child,
    media: UdpSocket,
    /// Held, so that its reports go nowhere else.
    _control: UdpSocket,
}

impl Sender {
    pub(crate) fn start(elementary: &Elementary) -> Self {
        let (media, control, port) = free_ports();
        media.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-re"])
            .args(elementary.reading)
            .arg("-i")
            .arg(with_configuration(elementary));
        command.args(["-c", "copy", "-strict", "experimental", "-f", "rtp", "-payload_type", "96"]);
        command.arg(format!("rtp://127.0.0.1:{port}?pkt_size=1200"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self { child: command.spawn().unwrap(), media, _control: control }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The next packet; `None` when none came for a while.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        self.media.recv(buffer).ok()
    }
}

/// The file; for AAC in a container, because `FFmpeg`'s sender wants to know the configuration before the first block.
fn with_configuration(elementary: &Elementary) -> std::path::PathBuf {
    if elementary.codec != Codec::Aac {
        return elementary.file.clone();
    }
    let contained = elementary.file.with_extension("m4a");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(&elementary.file).args(["-c", "copy"]).arg(&contained);
    assert!(command.status().unwrap().success());
    contained
}

impl Drop for Sender {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process that may have ended already, and lets the system forget it.
fn end(child: &mut Child) {
    let ended = child.kill().and_then(|()| child.wait());
    assert!(ended.is_ok() || std::thread::panicking(), "ffmpeg could not be ended: {ended:?}");
}
