"""A camera by GStreamer's RTSP server: moving test picture and tone on /live, printed as READY <port>."""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

VIDEO = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast bitrate={kbit} key-int-max={gop} bframes=0 ! video/x-h264,profile={profile} ! rtph264pay name=pay{n} pt=96 config-interval={config}",
    "h264b": "x264enc speed-preset=superfast bitrate={kbit} key-int-max={gop} bframes=2 b-adapt=false rc-lookahead=2 sync-lookahead=0 ! video/x-h264,profile=high ! rtph264pay name=pay{n} pt=96 config-interval={config}",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast bitrate={kbit} key-int-max={gop} ! rtph265pay name=pay{n} pt=96 config-interval={config}",
    "vp8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist={gop} target-bitrate={bit} ! rtpvp8pay name=pay{n} pt=96",
    "vp9": "vp9enc deadline=1 cpu-used=8 keyframe-max-dist={gop} target-bitrate={bit} ! rtpvp9pay name=pay{n} pt=96",
    "jpeg": "jpegenc ! rtpjpegpay name=pay{n} pt=26",
}
AUDIO = {
    "aac": "audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! rtpmp4gpay name=pay{n} pt=97",
    "pcma": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay{n} pt=8",
    "pcmu": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay{n} pt=0",
    "opus": "audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay name=pay{n} pt=97",
}


def launch(args):
    """The pipeline of one camera."""
    values = {
        "kbit": args.kbit,
        "bit": args.kbit * 1000,
        "gop": args.gop,
        "profile": args.profile,
        "config": args.config_interval,
    }
    parts = []
    if args.video != "none":
        source = "videotestsrc is-live=true pattern={} ! video/x-raw,format=I420,width={},height={},framerate={}/1"
        source = source.format(args.pattern, args.width, args.height, args.fps)
        parts.append(source + " ! " + VIDEO[args.video].format(n=len(parts), **values))
    if args.audio != "none":
        source = "audiotestsrc is-live=true samplesperbuffer=480 ! audioconvert ! audioresample"
        parts.append(source + " ! " + AUDIO[args.audio].format(n=len(parts)))
    return "( " + " ".join(parts) + " )"


def role(user):
    """What a user may do."""
    text = "{},media.factory.access=(boolean)true,media.factory.construct=(boolean)true".format(user)
    return Gst.Structure.new_from_string(text)


def token(user):
    """Who a user is."""
    made = GstRtspServer.RTSPToken()
    made.set_string("media.factory.role", user)
    return made


def secure(args, server, factory):
    """Sets login and TLS."""
    if args.auth == "none" and not args.cert:
        return
    auth = GstRtspServer.RTSPAuth()
    if args.cert:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(args.cert, args.key))
    if args.auth == "basic":
        basic = GstRtspServer.RTSPAuth.make_basic(args.user, args.password)
        auth.add_basic(basic, token("viewer"))
    elif args.auth == "digest":
        from gi.repository import GstRtsp

        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(args.user, args.password, token("viewer"))
    else:
        auth.set_default_token(token("viewer"))
    factory.add_role_from_structure(role("viewer"))
    server.set_auth(auth)


def main():
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--video", default="h264", choices=[*VIDEO, "none"])
    parser.add_argument("--audio", default="none", choices=[*AUDIO, "none"])
    parser.add_argument("--profile", default="constrained-baseline")
    parser.add_argument("--pattern", default="ball")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--gop", type=int, default=25)
    parser.add_argument("--kbit", type=int, default=500)
    parser.add_argument("--config-interval", type=int, default=0)
    parser.add_argument("--auth", default="none", choices=["none", "basic", "digest"])
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--cert", default="")
    parser.add_argument("--key", default="")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(args.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch(args))
    factory.set_shared(True)
    secure(args, server, factory)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print("READY", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    sys.exit(main())
