/** 简体中文：服务以英文说明的内容，按其代码。英文页面直接显示服务的原话。 */

export const service: Record<string, string> = {
  'advice.UNENCRYPTED':
    '登录信息和画面经由未加密的连接传输：如果摄像头支持，请使用 rtsps:// 或 https://，否则请将它放在单独的网络中。',
  'advice.JPEG': '服务需要自行将 JPEG 画面编码为 H.264，占用部分处理器：如果摄像头也支持 RTSP，用 RTSP 更省。',
  'advice.NO_SOUND': '没有声音；许多摄像头默认关闭声音。',
  'advice.LOSS': '途中丢失了数据包：请改用 TCP、有线网络，或者降低码率。',
  'advice.DAMAGE': '有些画面或声音收到时已损坏，已被略去。',
  'advice.CLOCK_JUMPS': '来源的时钟发生了跳变：请用 NTP 为摄像头对时，并查看是否有新固件。',
  'advice.RARE_KEY_FRAMES': '关键帧间隔太长：请将摄像头的关键帧间隔（GOP、I 帧间隔）设为 2 秒，丢包后画面会更快恢复。',
  'advice.LONE_KEY_FRAME': '探测期间没有收到第二个关键帧：请将摄像头的关键帧间隔（GOP、I 帧间隔）设为 2 秒。',
  'advice.H265': '大多数浏览器需要将 H.265 转码，有人观看时会占用不少处理器：如果可以，请将摄像头设为 H.264。',
  'advice.REORDERED':
    '画面含 B 帧，会增加延迟，并且有人观看时需要转码：请在摄像头中关闭 B 帧，或者将其编码档次设为 Baseline。',
  'advice.LARGE_PICTURE': '画面大于多数屏幕：通常摄像头的第二路码流就足够，也更省。',
  'advice.HIGH_BIT_RATE': '向每位观看者发送的码率很高：1080p 用 2 到 4 Mbit/s 就足够。',
  'advice.PROFILE': '浏览器可能无法显示这种编码档次的 H.264：请设为 High、Main 或 Baseline（8 位，4:2:0）。',
  'advice.PAUSES': '已有几秒没有画面：来源暂停了，或者很少发送画面。',
  'advice.NOT_DECODED': '有画面到来，但服务无法解码出一幅供此处显示。',
  'advice.MAKERS_PATHS': '请尝试常见厂商的路径；其他路径见摄像头说明书。',

  'onvif.HOST_REPLACED': '摄像头自报的主机是一个名称，或者从这里不允许连接；地址中改用了您询问的主机。',
  'onvif.OTHER_HOST': '码流来自另一台主机，而不是您询问的那一台。',
  'onvif.NO_ADDRESS': '摄像头没有告知这一路码流的 RTSP 地址。',
  'onvif.REFUSED': '摄像头没有告知这一路码流的地址。',

  'delivery.asItIs': '原样发送给浏览器。',
  'delivery.h265': '很少有浏览器能显示 WebRTC 中的 H.265；有人观看时会为其他浏览器转码为 H.264。',
  'delivery.codec': 'WebRTC 不支持 {codec}，因此在有人观看时转码。',
  'delivery.reordered': '画面含 B 帧，WebRTC 无法传输，因此在有人观看时转码。',

  'why.codec': '观看者无法接收来源的 {codec}',
  'why.reordered': '来源的 {codec} 含 B 帧，观看者无法接收',
  'why.smaller': '为带宽不足的观看者提供较小的画面',

  'step.resolve': '主机的地址可以连接。',
  'step.connect': '主机接受了连接。',
  'step.tls': '证书可信。',
  'step.open': '来源有回应。',
  'step.tracks': '来源说明了它的内容。',
  'step.key_frame': '收到了第一个关键帧。',
  'step.pictures': '画面持续到来。',
}
