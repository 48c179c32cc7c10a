// Looks at the pictures as they are presented: when they begin to run in real time, and how old they are.

import { readTimeCode } from "./timecode.js";

// A viewer that joins in the middle of a group of pictures gets it faster than real time; that is not shown.
const LONGEST_STILL = 2000;
// A burst begins slowly, while the decoder warms up: a few pictures in real time do not yet say that it is over.
const WINDOW = 150;
const REAL_TIME = 1.2;
const CLOCK_RATE = 90000;
const TICKS = 2 ** 32;
const LOOK_EVERY = 200;

/** How far the server's clock is ahead of ours, in milliseconds, from the quickest of a few questions. */
export async function clockOffset(url) {
  let best = { took: Infinity, offset: 0 };
  for (let turn = 0; turn < 4; turn += 1) {
    const asked = performance.now();
    const response = await fetch(url, { cache: "no-store" }).catch(() => null);
    if (!response?.ok) continue;
    const { now } = await response.json();
    const took = performance.now() - asked;
    if (took < best.took) best = { took, offset: now - (performance.timeOrigin + asked + took / 2) };
  }
  return best.offset;
}

/** Covers the video with its first picture until it runs in real time, and reads the time code now and then. */
export class Watch {
  constructor(video, still, on) {
    Object.assign(this, { video, still, on, offset: 0, handle: 0, begun: 0, seen: [], shown: false, first: false, looked: 0 });
    this.look = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  }

  start() {
    this.stop();
    Object.assign(this, { begun: performance.now(), seen: [], shown: false, first: false });
    this.next();
  }

  stop() {
    this.first = false;
    this.video.cancelVideoFrameCallback?.(this.handle);
    this.reveal();
  }

  next() {
    if (!this.video.requestVideoFrameCallback) return;
    this.handle = this.video.requestVideoFrameCallback((now, frame) => {
      this.picture(now, frame);
      this.next();
    });
  }

  picture(now, frame) {
    if (!this.first) {
      this.first = true;
      this.cover();
      this.on.first();
    }
    if (!this.shown) this.judge(now, frame);
    if (now - this.looked >= LOOK_EVERY) {
      this.looked = now;
      this.age(frame);
    }
  }

  /** In real time the stream goes no faster than the clock: looked at over a while, for screens show pictures a little early or late. */
  judge(now, { rtpTimestamp }) {
    if (rtpTimestamp === undefined || performance.now() - this.begun > LONGEST_STILL) return this.reveal();
    const { seen } = this;
    const last = seen.at(-1);
    const step = last ? (((rtpTimestamp - last.rtpTimestamp + TICKS) % TICKS) / CLOCK_RATE) * 1000 : 0;
    seen.push({ now, rtpTimestamp, stream: (last?.stream ?? 0) + step });
    while (seen.length > 2 && now - seen[1].now >= WINDOW) seen.shift();
    const [first] = seen;
    const took = now - first.now;
    if (took >= WINDOW && seen.at(-1).stream - first.stream <= took * REAL_TIME) this.reveal();
  }

  cover() {
    const { still, video } = this;
    [still.width, still.height] = [video.videoWidth, video.videoHeight];
    still.getContext("2d").drawImage(video, 0, 0);
    still.hidden = false;
  }

  reveal() {
    this.shown = true;
    this.still.hidden = true;
  }

  age(frame) {
    const drawn = readTimeCode(this.look, this.video);
    const presented = performance.timeOrigin + (frame.expectedDisplayTime ?? performance.now());
    this.on.age(drawn === null ? null : presented + this.offset - drawn);
  }
}
