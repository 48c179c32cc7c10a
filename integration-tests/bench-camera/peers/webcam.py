"""A webcam server in the way of aiortc's documentation: one source, relayed to every viewer, and an encoder for each.

POST /offer takes and gives JSON as aiortc's own example page expects. POST /whep/{camera} is the same for the benchmark's load,
which speaks WHEP and says when it goes. GET /statistics counts the encoders that run.
"""

import argparse
import uuid

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRelay

ALLOWED = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "content-type",
}


class Webcam:
    def __init__(self, source, rtsp):
        self.source = source
        self.rtsp = rtsp
        self.player = None
        self.relay = MediaRelay()
        self.viewers = {}

    def track(self):
        if self.player is None:
            if self.rtsp:
                self.player = MediaPlayer(self.rtsp, options={"rtsp_transport": "tcp", "fflags": "nobuffer"})
            else:
                # Drawn as it is needed, like a camera's pictures, so that no decoder counts in.
                self.player = MediaPlayer(self.source, format="lavfi")
        return self.relay.subscribe(self.player.video)

    async def answer(self, sdp):
        # All is on one machine: a STUN server could only make it wait.
        viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        name = str(uuid.uuid4())
        self.viewers[name] = viewer

        @viewer.on("connectionstatechange")
        async def follow():
            if viewer.connectionState in ("failed", "closed"):
                await self.end(name)

        await viewer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        viewer.addTrack(self.track())
        await viewer.setLocalDescription(await viewer.createAnswer())
        return name, viewer.localDescription

    async def end(self, name):
        viewer = self.viewers.pop(name, None)
        if viewer is not None:
            await viewer.close()

    def encoders(self):
        senders = [sender for viewer in self.viewers.values() for sender in viewer.getSenders()]
        # There is no public way to ask; an encoder is let go when its sender stops.
        return sum(getattr(sender, "_RTCRtpSender__encoder") is not None for sender in senders)

    async def offer(self, request):
        offer = await request.json()
        _name, answer = await self.answer(offer["sdp"])
        return web.json_response({"sdp": answer.sdp, "type": answer.type}, headers=ALLOWED)

    async def whep(self, request):
        name, answer = await self.answer(await request.text())
        headers = ALLOWED | {"Location": f"{request.path}/{name}"}
        return web.Response(status=201, text=answer.sdp, content_type="application/sdp", headers=headers)

    async def delete(self, request):
        await self.end(request.match_info["viewer"])
        return web.Response(headers=ALLOWED)

    async def statistics(self, _request):
        return web.json_response({"encoders": self.encoders(), "viewers": len(self.viewers)})

    async def close(self, _application):
        for name in list(self.viewers):
            await self.end(name)


async def allow(_request):
    return web.Response(status=204, headers=ALLOWED)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--source", default="testsrc2=size=640x480:rate=30")
    arguments.add_argument("--rtsp", default="")
    options = arguments.parse_args()
    webcam = Webcam(options.source, options.rtsp)
    application = web.Application()
    application.router.add_post("/offer", webcam.offer)
    application.router.add_options("/offer", allow)
    application.router.add_post("/whep/{camera}", webcam.whep)
    application.router.add_delete("/whep/{camera}/{viewer}", webcam.delete)
    application.router.add_get("/statistics", webcam.statistics)
    application.on_shutdown.append(webcam.close)
    web.run_app(application, host="127.0.0.1", port=options.port, print=None)


if __name__ == "__main__":
    main()
