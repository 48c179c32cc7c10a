// A viewer that measures. What it does stands in its address; what it has measured goes back to where the page came from.

import { readTimeCode } from "./timecode.js";

// A picture that was drawn so long ago at most counts as the newest.
const LIVE = 100;
// A join that has not shown the newest picture by then has failed.
const PATIENCE = 15000;
const AFTERWARDS = 1500;

const plan = Object.fromEntries(new URLSearchParams(location.search));
const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

// Of `Date.now()` only the steps are exact, and `performance.timeOrigin` does not follow when the system's clock is set.
function clockOffset() {
  const start = Date.now();
  let now = start;
  while (now === start) now = Date.now();
  return now - performance.now();
}

/** One connection, and all pictures that it presents: `{ at, lag }`, by the clock of the page and in milliseconds behind live. */
class Join {
  constructor() {
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, playsInline: true });
    this.pictures = [];
    this.unreadable = 0;
    this.connected = null;
    this.offset = clockOffset();
    document.body.replaceChildren(this.video);
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.ontrack = ({ track }) => {
      this.video.srcObject = new MediaStream([track]);
    };
    this.peer.onconnectionstatechange = () => {
      if (this.peer.connectionState === "connected") this.connected ??= performance.now();
    };
    this.follow();
  }

  follow() {
    this.video.requestVideoFrameCallback(() => {
      const at = performance.now();
      const drawn = plan.code === "none" ? null : readTimeCode(context, this.video);
      if (drawn === null) this.unreadable += 1;
      this.pictures.push({ at, lag: drawn === null ? null : at + this.offset - drawn });
      if (!this.closed) this.follow();
    });
  }

  async whep(url) {
    await this.peer.setLocalDescription();
    this.posted = performance.now();
    // Candidates are not waited for: the server learns where we are from our checks.
    const headers = { "content-type": "application/sdp" };
    const response = await fetch(url, { method: "POST", headers, body: this.peer.localDescription.sdp });
    if (response.status !== 201) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    this.session = new URL(response.headers.get("location"), response.url);
    await this.peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  /** As the client of aiortc's example does, which waits for candidates. */
  async offer(url) {
    await this.peer.setLocalDescription();
    while (this.peer.iceGatheringState !== "complete") {
      await new Promise((resolve) => this.peer.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    this.posted = performance.now();
    const { sdp, type } = this.peer.localDescription;
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ sdp, type }) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    await this.peer.setRemoteDescription(await response.json());
  }

  open() {
    return plan.door === "aiortc" ? this.offer(`${plan.url}/offer`) : this.whep(`${plan.url}/whep/${plan.camera}`);
  }

  newest() {
    return this.pictures.find(({ lag }) => lag !== null && lag <= LIVE);
  }

  async until(condition, limit) {
    const end = performance.now() + limit;
    while (!condition() && performance.now() < end) await pause(5);
  }

  async figures() {
    for (const entry of (await this.peer.getStats()).values()) {
      if (entry.type !== "inbound-rtp" || entry.kind !== "video") continue;
      const { freezeCount, packetsLost, retransmittedPacketsReceived, pliCount, nackCount, framesDropped, framesDecoded } = entry;
      return { freezeCount, packetsLost, retransmittedPacketsReceived, pliCount, nackCount, framesDropped, framesDecoded };
    }
    return null;
  }

  async close() {
    this.closed = true;
    this.peer.close();
    this.video.srcObject = null;
    if (this.session) await fetch(this.session, { method: "DELETE" });
  }

  since(at) {
    return at === undefined || at === null ? null : at - this.posted;
  }
}

/** Joins once, watches as long as it takes, and tells what was seen. */
async function join(enough, limit, afterwards) {
  const one = new Join();
  await one.open();
  await one.until(() => enough(one), limit);
  const newest = one.newest();
  await pause(afterwards);
  const statistics = await one.figures();
  const pictures = one.pictures.map(({ at, lag }) => ({ at: one.since(at), lag }));
  await one.close();
  return {
    connected: one.since(one.connected), first: one.since(one.pictures[0]?.at), newest: one.since(newest?.at),
    unreadable: one.unreadable, pictures, statistics,
  };
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}

/** Time between joins that puts `joins` of them evenly over the group of pictures, and is long enough for one. */
function step(joins, group, least) {
  let parts = Math.ceil((least * joins) / group);
  while (divisor(parts, joins) !== 1) parts += 1;
  return (group * parts) / joins;
}

/** Joins one after the other, their beginnings spread over the group of pictures. */
async function repeat(enough, afterwards, least) {
  const [joins, group] = [Number(plan.joins), Number(plan.group)];
  // The first one pays for what a page does once: its decoder, its sockets, the leave to ask another origin.
  const warm = await join(enough, PATIENCE, afterwards);
  const [start, every] = [performance.now() + 200, step(joins, group, least)];
  const measured = [];
  let due = 0;
  while (measured.length < joins) {
    // One that took longer than its time leaves its successor's place in the group alone.
    while (start + due < performance.now()) due += every;
    await pause(start + due - performance.now());
    due += every;
    measured.push(await join(enough, PATIENCE, afterwards));
  }
  return { warm, joins: measured };
}

const experiments = {
  start: () => repeat((one) => one.newest(), AFTERWARDS, 3000),
  first: () => repeat((one) => one.pictures.length > 0, 200, 1000),
  delay: async () => ({ joins: [await join(() => false, Number(plan.time), 0)] }),
};

let result;
try {
  result = await experiments[plan.experiment]();
} catch (error) {
  result = { error: `${error.message}\n${error.stack}` };
}
await fetch("result", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(result) });
