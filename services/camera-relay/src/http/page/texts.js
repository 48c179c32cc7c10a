// What the page says, in the languages that it speaks.

const TEXTS = {
  en: {
    camera: "Camera", start: "Start", stop: "Stop", soundOn: "Sound on", soundOff: "Sound off", snapshot: "Snapshot", fullscreen: "Full screen",
    delay: "Delay", fps: "Pictures/s", bitrate: "Bit rate", roundTrip: "Round trip", loss: "Lost packets", jitter: "Jitter", size: "Size",
    firstPicture: "First picture after", token: "Access token", useToken: "Use token",
    connecting: "Connecting …", waiting: "Waiting for the first picture …", reconnecting: "The connection was lost. Trying again in {seconds} s …",
    ended: "The stream has ended.", noCameras: "There is no camera that you may see. Paste an access token below.",
    away: "There are no pictures: {why}",
    unsupported: "This browser has neither WebRTC nor Media Source Extensions.", failed: "It did not work: {why}", stopped: "",
  },
  zh: {
    camera: "摄像头", start: "开始", stop: "停止", soundOn: "打开声音", soundOff: "关闭声音", snapshot: "截图", fullscreen: "全屏",
    delay: "延迟", fps: "帧率", bitrate: "码率", roundTrip: "往返时间", loss: "丢包", jitter: "抖动", size: "尺寸",
    firstPicture: "首帧用时", token: "访问令牌", useToken: "使用令牌",
    connecting: "正在连接……", waiting: "正在等待第一帧画面……", reconnecting: "连接已断开，{seconds} 秒后重试……",
    ended: "视频已结束。", noCameras: "没有您可以查看的摄像头。请在下方粘贴访问令牌。",
    away: "暂无画面：{why}",
    unsupported: "此浏览器既不支持 WebRTC，也不支持 Media Source Extensions。", failed: "操作失败：{why}", stopped: "",
  },
};

const spoken = (navigator.languages ?? [navigator.language]).find((name) => /^(en|zh)\b/i.test(name)) ?? "en";

/** `en` or `zh`, whichever the browser names first. */
export const language = spoken.slice(0, 2).toLowerCase();

/** The text of that name, with `{name}` replaced by what `values` says. */
export function text(name, values = {}) {
  const found = TEXTS[language][name] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

/** Writes its text into every element that names one. */
export function translate(root) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
}
