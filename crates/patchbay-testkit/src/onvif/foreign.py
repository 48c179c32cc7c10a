"""The ONVIF services of ipycam, a virtual camera that others have written, in front of an RTSP address; printed as READY <port>."""

import argparse
import importlib.util
import sys
import types
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

# The package itself loads OpenCV for its pictures; only what speaks ONVIF is wanted of it.
package = types.ModuleType("ipycam")
package.__path__ = list(importlib.util.find_spec("ipycam").submodule_search_locations)
sys.modules["ipycam"] = package

from ipycam.config import CameraConfig  # noqa: E402
from ipycam.http import IPCameraHTTPHandler  # noqa: E402
from ipycam.onvif import ONVIFService  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--rtsp", required=True)
parser.add_argument("--user", default="")
parser.add_argument("--password", default="")
args = parser.parse_args()

stream = urlsplit(args.rtsp)
server = ThreadingHTTPServer(("127.0.0.1", 0), IPCameraHTTPHandler)
server.daemon_threads = True
config = CameraConfig(
    local_ip=stream.hostname,
    onvif_port=server.server_address[1],
    rtsp_port=stream.port,
    main_stream_name=stream.path.removeprefix("/"),
    username=args.user,
    password=args.password,
)
IPCameraHTTPHandler.camera = types.SimpleNamespace(config=config, onvif=ONVIFService(config))
print("READY", config.onvif_port, flush=True)
server.serve_forever()
