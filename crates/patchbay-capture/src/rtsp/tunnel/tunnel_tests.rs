//! The tunnel with a client that is written out here, byte by byte.

use super::*;
use crate::testing::OnRuntime;
use patchbay_testkit::rtsp::scripted::{Answer, Film, Media, Script, ScriptedServer, Step};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const SDP: &str = "v=0\r\nm=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=control:trackID=0\r\n";
/// Longest wait for anything.
const LONG: Duration = Duration::from_secs(10);

async fn open(server: &ScriptedServer, deliver: Deliver) -> Tunnel {
    let target = Target {
        url: Url::parse(&format!("rtsp://{}/live", server.address())).unwrap(),
        credentials: Some(Credentials { username: "u".to_owned(), password: "p".into() }),
        trust: Trust::Authorities,
        limits: CaptureLimits::default(),
    };
    Tunnel::open(target, Lower::Tcp, deliver, &Guard::open(), &OnRuntime).await.unwrap()
}

struct Client {
    stream: TcpStream,
    url: String,
}

impl Client {
    async fn of(tunnel: &Tunnel) -> Self {
        let address = tunnel.url().socket_addrs(|| None).unwrap()[0];
        Self { stream: TcpStream::connect(address).await.unwrap(), url: tunnel.url().to_string() }
    }

    /// Asks; the status line of the answer, or nothing where the connection is closed.
    async fn ask(&mut self, method: &str, header: &str) -> String {
        let request = format!("{method} {} RTSP/1.0\r\nCSeq: 1\r\n{header}\r\n", self.url);
        let mut head = Vec::new();
        let asking = async {
            self.stream.write_all(request.as_bytes()).await?;
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await?);
            }
            let length = String::from_utf8_lossy(&head)
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            self.stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await
        };
        match timeout(LONG, asking).await.expect("answered in time") {
            Ok(_) => String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_door_first_keeps_nobody_out() {
    let server = ScriptedServer::start(Script::new(SDP, Media::None)).unwrap();
    let tunnel = open(&server, Deliver::Client).await;
    let silent = Client::of(&tunnel).await;
    let mut liar = Client::of(&tunnel).await;
    liar.url = "rtsp://127.0.0.1/guessed".to_owned();
    let mut noise = Client::of(&tunnel).await;
    noise.stream.write_all(&b"x".repeat(64 * 1024)).await.unwrap();
    let (told, mut client) = (liar.ask("DESCRIBE", "").await, Client::of(&tunnel).await);
    assert_eq!((told.as_str(), server.requests().len()), ("", 0), "nothing of it reaches the camera");
    assert_eq!(client.ask("DESCRIBE", "").await, "RTSP/1.0 200 OK");
    assert!(tunnel.failure().is_none(), "{:?}", tunnel.failure());
    drop(silent);
}

/// Each run of garbage is told to a channel that nobody reads any more once the media goes to the client.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_not_hold_up_media_that_goes_to_the_client() {
    const MANY: u64 = 2_000;
    let film: Film = Arc::new(|number| {
        if number >= MANY {
            return vec![Step::Hang];
        }
        let mut frame = vec![b'$', 0, 0, 12, 0x80, 26];
        frame.extend_from_slice(&[0; 10]);
        vec![Step::Bytes([&b"\x01\x02"[..], &frame].concat())]
    });
    let server = ScriptedServer::start(Script::new(SDP, Media::Film(film))).unwrap();
    let (sender, _kept) = mpsc::channel(16);
    let tunnel = open(&server, Deliver::Channel(sender)).await;
    tunnel.deliver_to_client();
    let mut client = Client::of(&tunnel).await;
    for (method, header) in
        [("DESCRIBE", ""), ("SETUP", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n"), ("PLAY", "")]
    {
        assert_eq!(client.ask(method, header).await, "RTSP/1.0 200 OK", "{method}");
    }
    let mut media = vec![0; 16 * usize::try_from(MANY).unwrap()];
    let all = timeout(LONG, client.stream.read_exact(&mut media)).await;
    assert!(all.is_ok_and(|read| read.is_ok()), "the media stops");
}

/// Cameras let the number of a digest login grow old; the session must be kept alive with the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_grew_old_is_renewed_whatever_is_asked() {
    const OLD: &str = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"new\", stale=true\r\n\r\n";
    const FIRST: &str = "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"old\"\r\n\r\n";
    let script = Script::new(SDP, Media::None).answering(|method, _, request| {
        let has = |nonce: &str| request.get("authorization").is_some_and(|text| text.contains(nonce));
        match method {
            "DESCRIBE" if !has("\"old\"") => Answer::Raw(FIRST.into()),
            "GET_PARAMETER" | "TEARDOWN" if !has("\"new\"") => Answer::Raw(OLD.into()),
            _ => Answer::Usual,
        }
    });
    let server = ScriptedServer::start(script).unwrap();
    let tunnel = open(&server, Deliver::Client).await;
    let mut client = Client::of(&tunnel).await;
    assert_eq!(client.ask("DESCRIBE", "").await, "RTSP/1.0 200 OK");
    assert_eq!(client.ask("GET_PARAMETER", "").await, "RTSP/1.0 200 OK");
    assert!(tunnel.failure().is_none());
}
