"""Cameras behind the edge: pages and calls by it, pictures by the media port that camera-relay publishes itself, to viewers outside of the containers."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import grpc
import websockets

from suite import COMPOSE, PATIENCE, address, compose, eventually, outside, replica_of, run, token

CLIENT = os.path.join(os.path.dirname(__file__), "../clients/camera_aiortc.py")
OVERLAY = os.path.join(os.path.dirname(__file__), "../../deploy/compose.cameras.yaml")
PICTURES = 60
LIST = "/patchbay.camera.v1.Cameras/ListCameras"


def fetch(url, body=None, method="GET", authorization=None):
    headers = {"content-type": "application/json"}
    if authorization:
        headers["authorization"] = f"Bearer {authorization}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def watch(base, camera):
    """What aiortc sees, which decodes every picture."""
    command = [sys.executable, CLIENT, base, camera, str(PICTURES)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    print(f"measured: aiortc at {base}, {camera}: {ended.stdout.strip()}", file=sys.stderr)
    return json.loads(ended.stdout)


class Browser:
    """Chromium without a window, and the little of its protocol that a page's figures need."""

    def __init__(self, url):
        self.folder = tempfile.mkdtemp()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += ["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]
        command = ["chromium", *options, f"--user-data-dir={self.folder}", url]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = url

    async def evaluate(self, expression):
        with open(os.path.join(self.folder, "DevToolsActivePort"), encoding="utf-8") as file:
            port = file.readline().strip()
        pages = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/json/list")
        page = next(page for page in json.loads(pages) if page["url"] == self.url)
        async with websockets.connect(page["webSocketDebuggerUrl"], open_timeout=10) as devtools:
            parameters = {"expression": expression, "returnByValue": True}
            await devtools.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": parameters}))
            answer = json.loads(await asyncio.wait_for(devtools.recv(), 10))
        return answer["result"]["result"].get("value")

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Camera(unittest.IsolatedAsyncioTestCase):
    async def test_the_picture_reaches_aiortc_outside_the_containers(self):
        # Dialled by loopback, Docker's proxy would answer from another address than was asked, and aiortc takes no such answer.
        for base in (f"http://{outside(8080)}", f"http://{outside(80)}/camera"):
            with self.subTest(base):
                seen = await asyncio.to_thread(watch, base, "test")
                self.assertEqual(seen["codes"], seen["pictures"])
                self.assertEqual(seen["backwards"], 0)
                self.assertEqual(seen["ended"], 200, "the session is found by the address that the answer named")
                self.assertGreater(seen["loud"] * 10, seen["sounds"] * 9)
                self.assertGreater(seen["sounds"], 5)

    @unittest.skipUnless(shutil.which("chromium"), "Chromium is not installed; scripts/test does that")
    async def test_the_picture_reaches_a_browser_outside_the_containers(self):
        started = time.monotonic()
        browser = Browser(f"http://{address(80)}/camera/view/test")
        try:

            async def moving():
                try:
                    pictures = await browser.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
                except (StopIteration, RuntimeError, KeyError) as not_yet:
                    raise AssertionError("the page is not there yet") from not_yet
                return (pictures or 0) >= PICTURES and pictures

            pictures = await eventually(moving, "the browser shows moving pictures")
            print(f"measured: {pictures} pictures, {time.monotonic() - started:.1f} s after Chromium's start", file=sys.stderr)
        finally:
            browser.close()

    async def test_the_media_port_takes_tcp(self):
        port = int(os.environ["PATCHBAY_CAMERA_MEDIA_PORT"])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            # A STUN binding request without credentials, framed as in RFC 4571: it is not answered, and the connection is not ours to keep.
            connection.sendall(b"\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))

    def test_snapshots_come_by_the_edge(self):
        for base in (f"http://{address(8080)}", f"http://{address(80)}/camera", f"http://{address(8000)}/camera"):
            with self.subTest(base):
                jpeg = fetch(f"{base}/snapshot/test.jpg?width=320")
                self.assertTrue(jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9"))

    def test_grpc_comes_by_the_edge(self):
        with grpc.insecure_channel(address(80)) as channel:
            stub = channel.unary_unary(LIST, request_serializer=bytes, response_deserializer=bytes)
            self.assertIn(b"test", stub(b"", timeout=20))

    def test_guests_see_the_test_camera_alone_and_change_nothing(self):
        admin = token("operator", "media:write:*", "media:read:*")
        base = f"http://{address(8080)}/v1/cameras"
        fetch(base, {"camera": {"name": "inside", "test": {}}}, "POST", admin)
        try:
            listed = [camera["name"] for camera in json.loads(fetch(base))["cameras"]]
            self.assertEqual(listed, ["test"])
            for method, url in (("GET", f"{base}/inside"), ("DELETE", f"{base}/test")):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    fetch(url, None, method)
                self.assertIn(refused.exception.code, (401, 403))
        finally:
            fetch(f"{base}/inside", None, "DELETE", admin)

    @unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg is not installed; scripts/test does that")
    def test_a_file_in_the_volume_plays(self):
        admin = token("operator", "media:write:*", "media:read:*", "media:view:*")
        with tempfile.TemporaryDirectory() as folder:
            clip = os.path.join(folder, "clip.mp4")
            source = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-t", "3", "-pix_fmt", "yuv420p"]
            subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *source, clip], check=True, timeout=60)
            os.chmod(clip, 0o644)
            compose("cp", clip, "init:/media/clip.mp4")
        base = f"http://{address(8080)}"
        fetch(f"{base}/v1/cameras", {"camera": {"name": "clip", "file": {"path": "clip.mp4"}}}, "POST", admin)
        try:
            jpeg = fetch(f"{base}/snapshot/clip.jpg", authorization=admin)
            self.assertTrue(jpeg.startswith(b"\xff\xd8\xff"))
        finally:
            fetch(f"{base}/v1/cameras/clip", None, "DELETE", admin)


class TwoReplicas(unittest.IsolatedAsyncioTestCase):
    """With deploy/compose.cameras.yaml: two media ports, one capture."""

    @classmethod
    def setUpClass(cls):
        both = [*COMPOSE, "-f", OVERLAY]
        cls.addClassCleanup(run, *both, "rm", "--stop", "--force", "camera-relay-2")
        run(*both, "up", "--detach", "--wait", "--no-deps", "--no-recreate", "camera-relay-2")
        cls.admin = token("operator", "media:read:*")

    def read(self, path):
        return json.loads(fetch(f"http://{address(8080)}/v1/{path}", authorization=self.admin))

    async def replicas_of_viewers(self):
        """The replicas that have a viewer who gets pictures, once there are two."""
        listed = (await asyncio.to_thread(self.read, "viewers"))["viewers"]
        replicas = {viewer["replica"] for viewer in listed if viewer["connected"]}
        return len(replicas) == 2 and replicas

    async def watch(self):
        return await asyncio.to_thread(watch, f"http://{outside(8080)}", "test")

    async def test_viewers_of_both_are_one_capture_that_outlives_its_replica(self):
        viewers = []

        async def both_have_viewers():
            # The edge may not have heard of the second replica when the first ones come, or send six to one by chance.
            if all(viewer.done() for viewer in viewers):
                viewers.extend(asyncio.create_task(self.watch()) for _ in range(6))
            return await self.replicas_of_viewers()

        replicas = await eventually(both_have_viewers, "the edge sends viewers to both replicas")
        status = (await asyncio.to_thread(self.read, "cameras/test"))["camera"]["status"]
        self.assertEqual(status["captures"], 1, status)
        self.assertIn(status["owner"], replicas)
        for seen in await asyncio.gather(*viewers):
            self.assertEqual(seen["codes"], seen["pictures"])

        container = await asyncio.to_thread(replica_of, status["owner"])
        await asyncio.to_thread(run, "docker", "kill", container)
        try:
            killed = time.monotonic()

            async def seen_again():
                return (await self.watch())["pictures"] >= PICTURES

            await eventually(seen_again, "a viewer sees the camera again")
            print(f"measured: pictures again {time.monotonic() - killed:.1f} s after the capturing replica was killed", file=sys.stderr)
        finally:
            await asyncio.to_thread(run, "docker", "start", container)
            await asyncio.to_thread(compose, "up", "--detach", "--wait", "--no-recreate", "--no-deps", "camera-relay")


if __name__ == "__main__":
    unittest.main()
