"""Reads cameras with OpenCV, as a program does that looks at every picture: one thread and one VideoCapture each.

Prints `ready` when all have given a picture, and at the end of its input one line of JSON: pictures of each camera, and how far those of
the first were behind, in milliseconds, by the time code in them.
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
        self.first = threading.Event()

    def run(self):
        capture = cv2.VideoCapture(self.url, cv2.CAP_FFMPEG)
        while True:
            good, picture = capture.read()
            if not good:
                return
            self.pictures += 1
            self.first.set()
            if self.began is not None:
                self.measure(picture, time.time_ns() // 1000)

    def measure(self, picture, now):
        shown = code(picture)
        if shown is not None:
            position = (now - int(self.began.read_text())) % LENGTH
            self.lags.append((position - shown * 1000) % LENGTH / 1000)


def code(picture):
    """Milliseconds of the time code, or nothing where none is."""
    bits = 0
    for index in range(80):
        x, y = index % COLUMNS * BLOCK + 2, index // COLUMNS * BLOCK + 2
        bits = bits << 1 | int(picture[y : y + 4, x : x + 4].mean() > 127)
    return bits >> 24 & (1 << 48) - 1 if bits >> 72 == 0xB2 else None


def main():
    folder, *urls = sys.argv[1:]
    began = pathlib.Path(folder) / "0.began"
    cameras = [Camera(url, began if number == 0 else None) for number, url in enumerate(urls)]
    for camera in cameras:
        camera.start()
    for camera in cameras:
        if not camera.first.wait(60):
            sys.exit(f"nothing came from {camera.url}")
    cameras[0].lags.clear()
    print("ready", flush=True)
    sys.stdin.read()
    print(json.dumps({"pictures": [camera.pictures for camera in cameras], "lags": cameras[0].lags}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
