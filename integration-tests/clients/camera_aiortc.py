"""Watches a camera with aiortc over WHEP, decodes what comes, and prints what it saw as one line of JSON.

    camera_aiortc.py BASE CAMERA PICTURES

BASE is where camera-relay's paths begin, such as `http://127.0.0.1:8080` or `http://127.0.0.1/camera`. The client ends after so many pictures.
"""

import asyncio
import json
import sys
import time
import urllib.parse

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

PATIENCE = 30.0  # seconds; for all of it
COLUMNS, BLOCK, BYTES = 40, 8, 10  # the time code, as crates/patchbay-av/src/pattern/time_code.rs describes it


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def time_code(frame):
    """When the picture was drawn, in milliseconds since 1970; None where there is no code."""
    plane = frame.planes[0]
    if plane.width < COLUMNS * BLOCK or plane.height < 2 * BLOCK:
        return None
    luma, stride = bytes(plane), plane.line_size

    def is_white(block):
        x, y = BLOCK * (block % COLUMNS) + 2, BLOCK * (block // COLUMNS) + 2
        return sum(luma[(y + row) * stride + x + column] for row in range(4) for column in range(4)) > 16 * 125

    bits = "".join("1" if is_white(block) else "0" for block in range(BYTES * 8))
    code = int(bits, 2).to_bytes(BYTES, "big")
    if code[0] != 0xB2 or code[9] != crc8(code[1:9]):
        return None
    return int.from_bytes(code[1:7], "big")


class Watcher:
    def __init__(self, base, camera, wanted):
        self.url = f"{base}/whep/{camera}"
        self.wanted = wanted
        self.codes, self.sizes, self.lags = [], set(), []
        self.pictures = self.sounds = self.loud = 0
        self.begun = self.connected = self.first = None
        self.seen_all = asyncio.Event()

    async def picture(self, track):
        while True:
            frame = await track.recv()
            now = time.time() * 1000
            self.pictures += 1
            self.first = self.first or time.monotonic()
            self.sizes.add((frame.width, frame.height))
            code = time_code(frame)
            if code is not None:
                self.codes.append(code)
                self.lags.append(now - code)
            if self.pictures >= self.wanted:
                self.seen_all.set()

    async def sound(self, track):
        while True:
            frame = await track.recv()
            self.sounds += 1
            samples = memoryview(bytes(frame.planes[0])).cast("h")
            self.loud += max(abs(sample) for sample in samples) > 300

    async def watch(self):
        peer = RTCPeerConnection()
        tasks = []

        @peer.on("track")
        def on_track(track):
            receive = self.picture if track.kind == "video" else self.sound
            tasks.append(asyncio.ensure_future(receive(track)))

        @peer.on("connectionstatechange")
        def on_state():
            if peer.connectionState == "connected":
                self.connected = time.monotonic()

        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        async with aiohttp.ClientSession() as http:
            self.begun = time.monotonic()
            headers = {"content-type": "application/sdp"}
            async with http.post(self.url, data=peer.localDescription.sdp, headers=headers) as response:
                answer = await response.text()
                if response.status != 201:
                    raise SystemExit(f"{self.url} answered {response.status}: {answer}")
                session = urllib.parse.urljoin(str(response.url), response.headers["location"])
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            await asyncio.wait_for(self.seen_all.wait(), PATIENCE)
            async with http.delete(session) as response:
                ended = response.status
        await peer.close()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(outcome, (asyncio.CancelledError, MediaStreamError)):
                raise outcome
        return self.report(ended)

    def report(self, ended):
        lags = sorted(self.lags[len(self.lags) // 2 :]) or [None]
        return {
            "pictures": self.pictures,
            "sizes": sorted(self.sizes),
            "codes": len(self.codes),
            "backwards": sum(later < earlier for earlier, later in zip(self.codes, self.codes[1:])),
            "lag_ms": lags[len(lags) // 2],
            "sounds": self.sounds,
            "loud": self.loud,
            "connected_ms": 1000 * (self.connected - self.begun) if self.connected else None,
            "first_picture_ms": 1000 * (self.first - self.begun),
            "ended": ended,
        }


if __name__ == "__main__":
    base, camera, pictures = sys.argv[1:]
    print(json.dumps(asyncio.run(Watcher(base, camera, int(pictures)).watch())))
