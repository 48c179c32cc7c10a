// What the browser measures, once a second.

const dash = "–";
const rate = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`);

/** Reads the figures of a connection and writes them into the page. */
export class Figures {
  constructor(find) {
    this.find = find;
    this.before = null;
  }

  write(id, value) {
    this.find(id).textContent = value;
  }

  clear() {
    this.before = null;
    for (const id of ["delay", "fps", "bitrate", "roundTrip", "loss", "jitter", "size", "firstPicture"]) this.write(id, dash);
  }

  async read(peer) {
    const report = await peer.getStats();
    const all = [...report.values()];
    const video = all.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    const pair = all.find((entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded");
    if (pair?.currentRoundTripTime !== undefined) this.write("roundTrip", `${Math.round(pair.currentRoundTripTime * 1000)} ms`);
    if (!video) return;
    this.video(video);
    const received = all.filter((entry) => entry.type === "inbound-rtp").reduce((sum, entry) => sum + entry.bytesReceived, 0);
    this.rate(received, video);
  }

  /** The same of a video element that is fed by the page; `bytes` have come so far. */
  readVideo(video, bytes) {
    const { totalVideoFrames: frames } = video.getVideoPlaybackQuality();
    const { before } = this;
    const timestamp = performance.now();
    this.before = { bytes, frames, timestamp };
    if (!before || timestamp <= before.timestamp) return;
    const seconds = (timestamp - before.timestamp) / 1000;
    this.write("fps", String(Math.round((frames - before.frames) / seconds)));
    this.write("bitrate", rate(((bytes - before.bytes) * 8) / seconds));
    this.write("size", video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : dash);
  }

  video(video) {
    this.write("fps", video.framesPerSecond === undefined ? dash : String(Math.round(video.framesPerSecond)));
    this.write("jitter", `${((video.jitter ?? 0) * 1000).toFixed(1)} ms`);
    this.write("size", video.frameWidth ? `${video.frameWidth} × ${video.frameHeight}` : dash);
  }

  rate(bytes, { timestamp, packetsLost = 0, packetsReceived = 0 }) {
    const { before } = this;
    this.before = { bytes, timestamp, packetsLost, packetsReceived };
    if (!before || timestamp <= before.timestamp) return;
    const bits = ((bytes - before.bytes) * 8000) / (timestamp - before.timestamp);
    this.write("bitrate", rate(bits));
    const lost = Math.max(0, packetsLost - before.packetsLost);
    const sent = lost + packetsReceived - before.packetsReceived;
    this.write("loss", sent > 0 ? `${((lost / sent) * 100).toFixed(1)} %` : dash);
  }
}
