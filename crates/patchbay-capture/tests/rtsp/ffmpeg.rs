//! Media of the program ffmpeg, whose RTP differs from that of `GStreamer`.

use super::{film::sdp, harness::*};
use patchbay_av::VideoDecoder;
use patchbay_capture::{RtspSettings, RtspTransport};
use patchbay_media::Codec;
use patchbay_testkit::rtsp::scripted::{Media, Script, ScriptedServer};

#[tokio::test(flavor = "multi_thread")]
async fn what_ffmpeg_sends_is_seen() {
    for (name, codec, encoder) in [
        (
            "H264",
            Codec::H264,
            &[
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-x264-params",
                "repeat-headers=1:slices=4",
            ][..],
        ),
        (
            "H265",
            Codec::H265,
            &[
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-x265-params",
                "repeat-headers=1:log-level=none",
            ],
        ),
        ("VP8", Codec::Vp8, &["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]),
    ] {
        let input = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-g", "25"];
        let arguments = input.iter().chain(encoder).map(|text| (*text).to_owned()).collect();
        // Its description has no parameter sets: they come with the first key frame.
        let server =
            ScriptedServer::start(Script::new(sdp(&[(96, name)]), Media::Ffmpeg(arguments))).unwrap();
        let mut settings = settings(server.address());
        settings.limits.stall_timeout = std::time::Duration::from_secs(10);
        let mut viewer = Viewer::of(RtspSettings { transport: RtspTransport::Udp, ..settings });
        let track = viewer.video().await;
        println!("{name}: tracks after {:?}", viewer.started.elapsed());
        assert_eq!((track.info().codec, track.info().width, track.info().reordered), (codec, 320, false));
        let mut decoder = VideoDecoder::open(track.info()).unwrap();
        let mut shown = 0;
        for unit in units(&track, 30).await {
            shown += decoder.decode(&unit).expect("a unit that can be decoded").len();
        }
        println!("{name}: {shown} of 30 pictures, {:?}", viewer.hub.health(&viewer.name).unwrap());
        assert!(shown >= 28);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_codec_is_read_by_libav() {
    let arguments = "-f lavfi -i testsrc2=size=320x240:rate=25 -g 25 -c:v mpeg4 -b:v 500k";
    let arguments = arguments.split(' ').map(str::to_owned).collect();
    let server =
        ScriptedServer::start(Script::new(sdp(&[(96, "MP4V-ES")]), Media::Ffmpeg(arguments))).unwrap();
    let mut settings = settings(server.address());
    settings.limits = patchbay_capture::CaptureLimits::default();
    let mut viewer = Viewer::of(RtspSettings { transport: RtspTransport::Udp, ..settings });
    let track = viewer.video().await;
    println!("MPEG-4: tracks after {:?}", viewer.started.elapsed());
    assert_eq!((track.info().codec, track.info().width), (Codec::H264, 320));
    let mut decoder = VideoDecoder::open(track.info()).unwrap();
    let mut shown = 0;
    for unit in units(&track, 30).await {
        shown += decoder.decode(&unit).unwrap().len();
    }
    assert!(shown >= 28, "{shown} of 30 pictures");
    assert_eq!(viewer.hub.state(&viewer.name).unwrap().starts, 1);
}
