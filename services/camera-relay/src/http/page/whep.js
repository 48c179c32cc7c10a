// A viewer of one camera by WHEP: offer, answer, and coming back when the connection breaks.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15000;
const REQUEST = 15000;
// A connection that ICE calls disconnected often comes back by itself.
const PATIENCE = 4000;

/** What the server has refused, in its words. */
export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether asking again can change anything. */
  get final() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/** The refusal that an answer of the server stands for. */
export async function refusal(response) {
  const body = await response.json().catch(() => null);
  const after = Number(response.headers.get("retry-after")) || 0;
  return new Refused(response.status, body?.error?.message ?? `HTTP ${response.status}`, after);
}

/**
 * Calls `on.track(track)`, `on.state(name, details)` with `connecting`, `connected`, `reconnecting` and `failed`, until stopped.
 */
export class Viewer {
  constructor(url, token, on) {
    Object.assign(this, { url, token, on, pause: FIRST_PAUSE, peer: null, session: null, timer: 0, stopped: false });
    // An offer was answered; the connection is there.
    this.answered = this.connected = false;
  }

  headers(more) {
    return this.token ? { ...more, authorization: `Bearer ${this.token}` } : more;
  }

  async start() {
    this.on.state("connecting");
    try {
      await this.connect();
    } catch (error) {
      this.hangUp();
      if (this.stopped) return;
      if (error instanceof Refused && error.final) this.on.state("failed", { why: error.message, status: error.status });
      else this.again(error.retryAfter);
    }
  }

  async connect() {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer = peer;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.ontrack = ({ track, receiver }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.on.track(track);
    };
    peer.onconnectionstatechange = () => this.follow(peer);
    await peer.setLocalDescription();
    // Candidates are not waited for: the server learns where we are from our checks.
    const response = await fetch(this.url, {
      method: "POST",
      headers: this.headers({ "content-type": "application/sdp" }),
      body: peer.localDescription.sdp,
      signal: AbortSignal.timeout(REQUEST),
    });
    if (response.status !== 201) throw await refusal(response);
    this.session = new URL(response.headers.get("location"), response.url);
    this.answered = true;
    const sdp = await response.text();
    if (this.stopped || this.peer !== peer) return this.hangUp();
    await peer.setRemoteDescription({ type: "answer", sdp });
  }

  follow(peer) {
    if (peer !== this.peer || this.stopped) return;
    clearTimeout(this.timer);
    this.connected = peer.connectionState === "connected";
    if (peer.connectionState === "connected") {
      this.pause = FIRST_PAUSE;
      this.on.state("connected");
    } else if (peer.connectionState === "disconnected") {
      this.timer = setTimeout(() => this.again(), PATIENCE);
    } else if (peer.connectionState === "failed" || peer.connectionState === "closed") {
      this.again();
    }
  }

  again(seconds = 0) {
    this.hangUp();
    if (this.stopped) return;
    const pause = Math.max(this.pause, (seconds || 0) * 1000);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    this.on.state("reconnecting", { seconds: Math.ceil(pause / 1000) });
    // Not all at the same moment after an outage.
    this.timer = setTimeout(() => this.start(), pause * (0.75 + Math.random() / 2));
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.hangUp();
  }

  hangUp() {
    this.connected = false;
    const { peer, session } = this;
    this.peer = this.session = null;
    // `keepalive`: the page may be about to go.
    if (session) fetch(session, { method: "DELETE", headers: this.headers({}), keepalive: true }).catch(() => {});
    if (peer) peer.onconnectionstatechange = peer.ontrack = null;
    peer?.close();
  }
}
