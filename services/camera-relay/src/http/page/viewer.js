// The viewer page: one camera at a time, by WHEP, or by MSE where WebRTC does not get through.

import { Figures } from "./figures.js";
import { MsePlayer, playable } from "./mse-player.js";
import { Watch, clockOffset } from "./picture.js";
import { text, translate } from "./texts.js";
import { Viewer, refusal } from "./whep.js";

const TOKEN = "patchbay.token";
// The page stands at `/`, or below it at `/view/<camera>`, perhaps behind a prefix of a proxy: this script knows where.
const ROOT = new URL(".", import.meta.url);
// How long WebRTC may take to connect, in milliseconds.
const MSE_AFTER = Number(document.documentElement.dataset.mseAfter);
const HAS_WEBRTC = "RTCPeerConnection" in window;
// `?mse` asks for it at once.
const BY_MSE = new URLSearchParams(location.search).has("mse");
const FIXED = /\/view\/([^/]+)\/?$/.exec(location.pathname)?.[1];

const find = (id) => document.getElementById(id);
const [video, audio, choice] = ["video", "audio", "camera"].map(find);
const figures = new Figures(find);
const watch = new Watch(video, find("still"), { first: firstPicture, age: showAge });
let viewer = null;
let begun = 0;
let timer = 0;
let fallback = 0;

const token = () => sessionStorage.getItem(TOKEN) ?? "";
const camera = () => (FIXED ? decodeURIComponent(FIXED) : choice.value);
const notice = (words) => (find("notice").textContent = words);

function start() {
  stop();
  begun = performance.now();
  clockOffset(new URL("clock", ROOT)).then((offset) => (watch.offset = offset));
  if (HAS_WEBRTC && !BY_MSE) startWebRtc();
  else startMse();
  buttons();
}

function startWebRtc() {
  const url = new URL(`whep/${encodeURIComponent(camera())}`, ROOT);
  find("stage").dataset.way = "webrtc";
  viewer = new Viewer(url, token(), { track, state });
  viewer.start();
  timer = setInterval(() => viewer?.peer && figures.read(viewer.peer), 1000);
}

function startMse() {
  const url = new URL(`ws/mse/${encodeURIComponent(camera())}`, ROOT);
  find("stage").dataset.way = "mse";
  video.muted = audio.muted;
  viewer = new MsePlayer(video, url, token(), { state });
  watch.start();
  viewer.start();
  timer = setInterval(() => figures.readVideo(video, viewer?.received ?? 0), 1000);
}

/** WebRTC has an answer and no connection: something on the way lets HTTP through, and not that. */
function fallBack() {
  fallback = 0;
  if (!(viewer instanceof Viewer) || viewer.connected || playable().length === 0) return;
  if (viewer.answered) replaceByMse();
  else waitForWebRtc();
}

function waitForWebRtc() {
  if (HAS_WEBRTC && fallback === 0) fallback = setTimeout(fallBack, MSE_AFTER);
}

function replaceByMse() {
  const since = begun;
  stop();
  begun = since;
  startMse();
  buttons();
}

function stop() {
  clearTimeout(fallback);
  fallback = 0;
  viewer?.stop();
  viewer = null;
  clearInterval(timer);
  watch.stop();
  video.muted = true;
  for (const element of [video, audio]) element.srcObject = null;
  figures.clear();
  notice("");
  buttons();
}

// Sound and pictures go to elements of their own, so that the pictures never wait for the sound.
function track(made) {
  const element = made.kind === "video" ? video : audio;
  element.srcObject = new MediaStream([made]);
  if (made.kind === "video") watch.start();
  element.play().catch(() => {});
}

function state(name, details) {
  if (name === "connecting" && begun === 0) begun = performance.now();
  // What the camera has may be more than WebRTC can carry.
  if (name === "failed" && details.status === 406 && playable().length > 0) return replaceByMse();
  if (name === "connected") {
    clearTimeout(fallback);
    fallback = 0;
  } else if (viewer instanceof Viewer) waitForWebRtc();
  const words = { connecting: "connecting", connected: "waiting", reconnecting: "reconnecting", waiting: "away", failed: "failed" };
  // The first picture may be there before the news of the connection.
  notice(name === "connected" && watch.first ? "" : text(words[name], details));
  if (name === "reconnecting") begun = 0;
  if (name === "failed") {
    viewer = null;
    clearTimeout(fallback);
    clearInterval(timer);
    buttons();
  }
}

function firstPicture() {
  notice("");
  if (begun > 0) figures.write("firstPicture", `${Math.round(performance.now() - begun)} ms`);
  find("stage").style.setProperty("aspect-ratio", `${video.videoWidth} / ${video.videoHeight}`);
  buttons();
}

function showAge(milliseconds) {
  figures.write("delay", milliseconds === null ? "–" : `${Math.round(milliseconds)} ms`);
}

function buttons() {
  find("start").disabled = viewer !== null || camera() === "";
  find("stop").disabled = viewer === null;
  find("snapshot").disabled = viewer === null || video.videoWidth === 0;
  find("sound").textContent = text(audio.muted ? "soundOn" : "soundOff");
  find("sound").setAttribute("aria-pressed", String(!audio.muted));
}

function snapshot() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${camera()}-${new Date().toISOString().replace(/[:.]/g, "-")}.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/jpeg", 0.92);
}

function fullscreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  // A phone of Apple's knows only its own player.
  const stage = find("stage");
  return stage.requestFullscreen ? stage.requestFullscreen() : video.webkitEnterFullscreen?.();
}

function show(cameras) {
  choice.replaceChildren(...cameras.map(({ name, title }) => new Option(title || name, name)));
  const wanted = new URLSearchParams(location.search).get("camera");
  const known = cameras.map(({ name }) => name);
  choice.value = [wanted, "test", known[0]].find((name) => known.includes(name)) ?? "";
  find("choice").hidden = cameras.length < 2;
}

async function load() {
  if (FIXED) {
    find("choice").hidden = true;
    find("title").textContent = camera();
    return buttons();
  }
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const response = await fetch(new URL("cameras.json", ROOT), { headers }).catch(() => null);
  if (response?.ok) show((await response.json()).cameras);
  else notice(text("failed", { why: response ? (await refusal(response)).message : "" }));
  if (response?.ok && choice.options.length === 0) notice(text("noCameras"));
  return buttons();
}

translate(document);
audio.muted = true;
find("start").onclick = start;
find("stop").onclick = stop;
find("snapshot").onclick = snapshot;
find("fullscreen").onclick = fullscreen;
find("sound").onclick = () => {
  audio.muted = !audio.muted;
  if (viewer instanceof MsePlayer) video.muted = audio.muted;
  audio.play().catch(() => {});
  buttons();
};
choice.onchange = () => (viewer ? start() : buttons());
find("access").onsubmit = (event) => {
  event.preventDefault();
  const pasted = find("token").value.trim();
  if (pasted) sessionStorage.setItem(TOKEN, pasted);
  else sessionStorage.removeItem(TOKEN);
  find("token").value = "";
  load();
};
addEventListener("pagehide", stop);
if (HAS_WEBRTC || playable().length > 0) load().then(() => FIXED && start());
else notice(text("unsupported"));
