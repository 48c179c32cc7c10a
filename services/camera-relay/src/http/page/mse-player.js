// Plays a camera by Media Source Extensions: fragmented MP4 over a WebSocket. For where WebRTC does not get through.
//
//   const player = new MsePlayer(video, "wss://host/ws/mse/door", token, { state(name, details) {} });
//   player.start(); ... player.stop();
//
// States: `connecting`, `connected` (fragments come), `waiting` (the camera is away; `details.why`), `reconnecting` (`details.seconds`), and `failed`
// (`details.why`), which is the end. The server sends `{"type":"mse","mime":...}` before each init segment, and fragments as binary messages.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15000;
const POLICY_VIOLATION = 1008;

// Further behind the newest picture than this, playing jumps; a little behind, it only hurries.
const LATE = 2;
const EASY = 0.7;
const HURRY = 1.08;
// Where playing goes on after a jump: so much before the end of what is there.
const MARGIN = 0.15;
// What was played is kept so long, and trimmed when it is longer by as much again.
const KEEP = 10;
// Fragments that wait for the browser; a tab that does not take them comes back later.
const MOST_WAITING = 64 * 1024 * 1024;
const LOOK_EVERY = 250;
// Fragments come for so long, and nothing moves: whatever the reason, a new beginning is better.
const STUCK = 10000;
// After a pause as long as this that is counted anew: the camera was away, or brings little.
const PAUSE = 5000;
// By less than this a player moves that only rounds where it is.
const STEP = 0.01;
// A connection over which nothing came for so long may be gone without a word; while the camera is away, nothing is expected.
const SILENCE = 30000;
const AWAY = 300000;

// One of each family and profile that cameras and the server's transcoders have.
const CODECS = [
  "avc1.42e01f", "avc1.4d0028", "avc1.640029", "avc1.640033", "hvc1.1.6.L120.90", "hvc1.2.4.L120.90", "av01.0.08M.08", "vp09.00.40.08", "vp09.02.40.10",
  "mp4a.40.2", "mp4a.40.5", "opus",
];

const Source = () => globalThis.ManagedMediaSource ?? globalThis.MediaSource;

/** What this browser can play, in its own words; empty where it has no Media Source Extensions. */
export function playable() {
  const kind = (codec) => (/^(mp4a|opus)/.test(codec) ? "audio" : "video");
  return CODECS.filter((codec) => Source()?.isTypeSupported(`${kind(codec)}/mp4; codecs="${codec}"`));
}

/** Pictures, sound or both: what a source buffer was made for, it stays with. */
const kinds = (mime) => (/"(.*)"/.exec(mime)?.[1] ?? "").split(",").map((codec) => (/^(mp4a|opus)/i.test(codec) ? "sound" : "pictures")).sort().join();

/** A player of one camera in one video element, whose `src` it sets. */
export class MsePlayer {
  constructor(video, url, token, on = {}) {
    Object.assign(this, { video, url, token, on, pause: FIRST_PAUSE, socket: null, stopped: true, timers: [] });
    this.jumps = 0;
    this.received = 0;
    this.reset();
  }

  /** Seconds between what is shown and the newest picture that is here; `null` before there is one. */
  get behind() {
    const end = this.end();
    return end === null ? null : Math.max(0, end - this.video.currentTime);
  }

  start() {
    this.stopped = false;
    this.timers.push(setInterval(() => this.keepUp(), LOOK_EVERY));
    this.connect();
  }

  stop() {
    this.stopped = true;
    this.timers.forEach((timer) => clearTimeout(timer));
    this.timers = [];
    this.hangUp();
    this.video.removeAttribute("src");
    this.video.load();
    this.reset();
  }

  reset() {
    if (this.address) URL.revokeObjectURL(this.address);
    Object.assign(this, { source: null, buffer: null, address: null, mime: null, waiting: [], bytes: 0, shown: false, fed: 0, since: null, at: 0 });
  }

  connect() {
    const codecs = playable();
    if (codecs.length === 0) return this.fail("this browser has no Media Source Extensions");
    this.tell("connecting");
    const url = new URL(this.url, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.token) url.searchParams.set("access_token", this.token);
    const socket = new WebSocket(url);
    this.socket = socket;
    this.expect(SILENCE);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "mse", codecs }));
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.told(JSON.parse(data)) : this.take(data));
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.socket || this.stopped) return;
      if (code === POLICY_VIOLATION) this.fail(this.why ?? reason);
      else this.again();
    };
  }

  told({ type, mime, message }) {
    this.expect(type === "waiting" ? AWAY : SILENCE);
    if (type === "mse") this.begin(mime);
    else if (type === "waiting") this.tell("waiting", { why: message });
    else if (type === "error") this.why = message;
  }

  /** An init segment of that kind comes next. */
  begin(mime) {
    if (!Source().isTypeSupported(mime)) return this.fail(`this browser does not play ${mime}`);
    this.shown = false;
    this.waiting.push({ mime });
    if (!this.source) this.open();
    this.pump();
  }

  open() {
    if (this.address) URL.revokeObjectURL(this.address);
    if (this.buffer) this.buffer.onupdateend = this.buffer.onerror = null;
    const source = new (Source())();
    Object.assign(this, { source, buffer: null, address: URL.createObjectURL(source) });
    source.onsourceopen = () => this.pump();
    // Asked for by ManagedMediaSource.
    this.video.disableRemotePlayback = true;
    this.video.src = this.address;
  }

  take(data) {
    this.received += data.byteLength;
    this.expect(SILENCE);
    this.feed(performance.now());
    if (this.bytes + data.byteLength > MOST_WAITING) return this.again();
    this.bytes += data.byteLength;
    this.waiting.push(data);
    this.pump();
  }

  /** Gives the browser the next piece, one at a time. */
  pump() {
    if (!this.source || this.source.readyState !== "open" || this.buffer?.updating) return;
    if (this.trim()) return;
    const next = this.waiting.shift();
    if (next === undefined) return;
    try {
      if (next.mime && this.buffer && kinds(next.mime) !== kinds(this.mime)) {
        this.waiting.unshift(next);
        this.open();
      } else if (next.mime) {
        this.prepare(next.mime);
        this.pump();
      } else {
        this.bytes -= next.byteLength;
        this.buffer.appendBuffer(next);
      }
    } catch (error) {
      if (error.name === "QuotaExceededError" && this.video.currentTime > this.buffer.buffered.start(0) + 1) {
        this.waiting.unshift(next);
        this.bytes += next.byteLength;
        this.buffer.remove(0, this.video.currentTime - 1);
      } else this.again();
    }
  }

  prepare(mime) {
    if (!this.buffer) {
      this.buffer = this.source.addSourceBuffer(mime);
      this.buffer.onupdateend = () => this.appended();
      this.buffer.onerror = () => this.again();
      this.source.duration = Infinity;
    } else if (this.mime !== mime) this.buffer.changeType(mime);
    // What follows stands on its own: else a gap in the sound would cost the pictures up to the next key frame.
    else this.buffer.abort();
    this.mime = mime;
  }

  appended() {
    if (!this.shown && this.end() !== null) {
      this.shown = true;
      this.pause = FIRST_PAUSE;
      this.tell("connected");
    }
    this.keepUp();
    this.pump();
  }

  trim() {
    const { buffered } = this.buffer ?? {};
    if (!buffered?.length || buffered.start(0) > this.video.currentTime - 2 * KEEP) return false;
    this.buffer.remove(0, this.video.currentTime - KEEP);
    return true;
  }

  end() {
    const buffered = this.buffer && this.source?.readyState === "open" ? this.buffer.buffered : null;
    return buffered?.length ? buffered.end(buffered.length - 1) : null;
  }

  /** Stays at the live edge: jumps over gaps and when far behind, hurries when a little behind. */
  keepUp() {
    if (this.isStuck() || this.isSilent()) return this.again();
    const end = this.end();
    if (end === null) return;
    const { buffered } = this.buffer;
    const last = buffered.start(buffered.length - 1);
    const at = this.video.currentTime;
    const away = at < last || at > end + 0.5;
    // A jump ends once there is enough to show, which before a gap never comes.
    if (away || (!this.video.seeking && end - at > LATE)) {
      this.jumps += 1;
      this.video.currentTime = Math.max(last, end - MARGIN);
      // Which is not yet that it shows something there.
      this.at = this.video.currentTime;
    }
    // A page in the background may have been paused.
    if (this.video.paused && !this.stopped) this.video.play().catch(() => {});
    const rate = !away && end - at > EASY ? HURRY : 1;
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
  }

  /** Remembers since when fragments come without a pause while nothing moves. */
  feed(now) {
    if (now - this.fed > PAUSE) this.since = null;
    this.since ??= now;
    this.fed = now;
  }

  isStuck() {
    const at = this.video.currentTime;
    // A browser may hold a page that nobody sees.
    if (Math.abs(at - this.at) >= STEP || document.visibilityState !== "visible") Object.assign(this, { at, since: null });
    return this.since !== null && this.fed - this.since > STUCK;
  }

  /** Something has to come within this time. */
  expect(time) {
    this.until = performance.now() + time;
  }

  isSilent() {
    return this.socket !== null && performance.now() > this.until;
  }

  again() {
    this.hangUp();
    this.reset();
    if (this.stopped) return;
    this.tell("reconnecting", { seconds: Math.ceil(this.pause / 1000) });
    // Not all at the same moment after an outage.
    this.timers.push(setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2)));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }

  hangUp() {
    const { socket } = this;
    this.socket = null;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    socket?.close();
  }

  fail(why) {
    this.stop();
    this.tell("failed", { why });
  }

  tell(state, details = {}) {
    this.on.state?.(state, details);
  }
}
