"""Reads cameras with OpenCV, as a program does that looks at every picture: one thread and one VideoCapture each.

Prints `ready` when all have given a picture, and at the end of its input one line of JSON: pictures of each camera, and of the first one in
milliseconds how long after its first key frame `read` gave a picture, and how far pictures were behind, by the time code in them.
"""

import json
import os
import pathlib
import sys
import threading
import time

os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "rtsp_transport;tcp|fflags;nobuffer"
import cv2  # noqa: E402

LENGTH = 10_000_000
BLOCK = 8
COLUMNS = 40


class Camera(threading.Thread):
    def __init__(self, url, began):
        super().__init__(daemon=True)
        self.url = url
        self.began = began
        self.pictures = 0
        self.lags = []
        self.first = None
        self.seen = threading.Event()

    def run(self):
        capture = cv2.VideoCapture(self.url, cv2.CAP_FFMPEG)
        while True:
            good, picture = capture.read()
            if not good:
                return
            self.pictures += 1
            if self.began is not None:
                self.measure(picture, time.time_ns() // 1000 - int(self.began.read_text()))
            self.seen.set()

    def measure(self, picture, since):
        if self.first is None:
            self.first = since / 1000
        shown = code(picture)
        if shown is not None:
            self.lags.append((since - shown * 1000) % LENGTH / 1000)


def code(picture):
    """Milliseconds of the time code, or nothing where none is."""
    bits = 0
    for index in range(80):
        x, y = index % COLUMNS * BLOCK + 2, index // COLUMNS * BLOCK + 2
        bits = bits << 1 | int(picture[y : y + 4, x : x + 4].mean() > 127)
    return bits >> 24 & (1 << 48) - 1 if bits >> 72 == 0xB2 else None


def main():
    began, *urls = sys.argv[1:]
    began = pathlib.Path(began)
    cameras = [Camera(url, began if number == 0 else None) for number, url in enumerate(urls)]
    for camera in cameras:
        camera.start()
    for camera in cameras:
        if not camera.seen.wait(60):
            sys.exit(f"nothing came from {camera.url}")
    cameras[0].lags.clear()
    print("ready", flush=True)
    sys.stdin.read()
    told = {"pictures": [camera.pictures for camera in cameras], "first": cameras[0].first, "lags": cameras[0].lags}
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
