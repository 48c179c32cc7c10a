use super::*;
use crate::{
    CaptureLimits, Credentials, RtspTransport, Trust,
    testing::{OnRuntime, Outcome, camera, run_until_failure},
};
use patchbay_av::VideoDecoder;
use patchbay_media::{Codec, hub::Reason, ring::Start};
use patchbay_testkit::rtsp::{
    gstreamer::GstCamera,
    scripted::{Media, Script, ScriptedServer},
};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use url::Url;

fn source(url: &str, credentials: Option<Credentials>, transport: RtspTransport) -> Arc<LibavRtspSource> {
    let settings = RtspSettings {
        url: Url::parse(url).unwrap(),
        credentials,
        transport,
        trust: Trust::default(),
        limits: CaptureLimits { connect_timeout: Duration::from_secs(2), ..CaptureLimits::default() },
    };
    Arc::new(LibavRtspSource::new(settings, LiveSettings::default(), Guard::open(), Arc::new(OnRuntime)))
}

async fn shows(what: &str, source: Arc<LibavRtspSource>) {
    let started = Instant::now();
    let camera = camera(source);
    let track = camera.video().await;
    assert_eq!((track.info().codec, track.info().width), (Codec::H264, 320), "{what}");
    let (mut decoder, mut reader) =
        (VideoDecoder::open(track.info()).unwrap(), track.reader(Start::NewestKey));
    let (mut shown, opened) = (0, started.elapsed());
    while shown < 25 {
        let read = tokio::time::timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap();
        shown += decoder.decode(&read.entry.item).unwrap().len();
    }
    println!("{what}: published after {opened:?}, 25 pictures after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_behind_a_login_is_read_by_libav() {
    let folder = TempDir::new().unwrap();
    let options = ["--auth", "digest", "--user", "admin", "--password", "s3cret"];
    let server = GstCamera::start(folder.path(), &options).await.unwrap();
    let login = Credentials { username: "admin".to_owned(), password: "s3cret".into() };
    let url = format!("rtsp://{}/live", server.address());
    shows("H.264", source(&url, Some(login), RtspTransport::Tcp)).await;
}

/// MPEG-4 part 2, which neither `retina` nor the hub knows.
#[tokio::test(flavor = "multi_thread")]
async fn what_retina_cannot_read_is_read_by_libav() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=old\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
               m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\na=control:trackID=0\r\n";
    let arguments = "-f lavfi -i testsrc2=size=320x240:rate=25 -g 25 -c:v mpeg4 -b:v 500k";
    let arguments = arguments.split(' ').map(str::to_owned).collect();
    let server = ScriptedServer::start(Script::new(sdp, Media::Ffmpeg(arguments))).unwrap();
    let url = format!("rtsp://{}/live", server.address());
    shows("MPEG-4", source(&url, None, RtspTransport::Udp)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tunnel_says_what_is_wrong() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let options = ["--auth", "digest", "--user", "admin", "--password", "s3cret"];
    let server = GstCamera::start(folder.path(), &options).await.unwrap();
    for (url, reason) in [
        (format!("rtsp://{free}/"), Reason::Refused),
        (format!("rtsp://{}/live", server.address()), Reason::Unauthorized),
    ] {
        let Outcome { error, took } = run_until_failure(source(&url, None, RtspTransport::Tcp)).await;
        println!("{} in {took:?}: {error}", error.reason().word());
        assert_eq!(error.reason(), reason);
    }
}
