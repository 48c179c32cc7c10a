/** Feeds fragments to a video element by Media Source Extensions, and keeps it near the newest picture. */

import { advise, rangesOf } from './edge'

/** Bytes that wait to be taken; where more wait, the browser cannot keep up, and the connection is made anew. */
const MOST_WAITING = 32 << 20

/** Codecs that the relay may send, as `MediaSource.isTypeSupported` asks for them. */
const CODECS = [
  'avc1.42E01F',
  'avc1.4D4029',
  'avc1.640029',
  'hvc1.1.6.L123.B0',
  'av01.0.08M.08',
  'vp09.00.40.08',
  'mp4a.40.2',
  'opus',
]

type SourceMaker = new () => MediaSource

/** iPhones have a source of another name. */
function maker(): (SourceMaker & typeof MediaSource) | undefined {
  const known = globalThis as { ManagedMediaSource?: SourceMaker & typeof MediaSource }
  return globalThis.MediaSource ?? known.ManagedMediaSource
}

/** What this browser plays; nothing where it has no such extensions. */
export function playable(): string[] {
  const source = maker()
  if (!source) return []
  const isAudio = (codec: string) => codec.startsWith('mp4a') || codec === 'opus'
  return CODECS.filter((codec) =>
    source.isTypeSupported(`${isAudio(codec) ? 'audio' : 'video'}/mp4; codecs="${codec}"`),
  )
}

export class Feed {
  readonly #source: MediaSource
  readonly #address: string
  #buffer: SourceBuffer | undefined
  #mime = ''
  /** What waits for the buffer; bounded by `MOST_WAITING`, beyond which the feed fails. */
  #waiting: (Uint8Array<ArrayBuffer> | { mime: string })[] = []
  #bytes = 0
  #isOver = false

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly failed: (why: string) => void,
  ) {
    const Source = maker()
    if (!Source) throw new TypeError('this browser has no Media Source Extensions')
    this.#source = new Source()
    this.#source.addEventListener('sourceopen', () => this.#work(), { once: true })
    this.#address = URL.createObjectURL(this.#source)
    video.disableRemotePlayback = true
    video.src = this.#address
    video.addEventListener('error', this.#broken)
  }

  get mime(): string {
    return this.#mime
  }

  get hasAudio(): boolean {
    return /mp4a|opus/i.test(this.#mime)
  }

  /** What follows is of this type, and begins anew. */
  begin(mime: string): void {
    this.#mime = mime
    this.#waiting.push({ mime })
    this.#work()
  }

  push(bytes: ArrayBuffer): void {
    this.#waiting.push(new Uint8Array(bytes))
    this.#bytes += bytes.byteLength
    if (this.#bytes > MOST_WAITING) this.#fail('the browser does not keep up')
    else this.#work()
  }

  stop(): void {
    this.#isOver = true
    this.#waiting = []
    this.video.removeEventListener('error', this.#broken)
    this.video.removeAttribute('src')
    this.video.load()
    URL.revokeObjectURL(this.#address)
  }

  /** Heeds the live edge; to be called now and then too, for a player that stands. */
  keepUp(): void {
    const { video } = this
    if (this.#isOver || !this.#buffer) return
    const advice = advise({ at: video.currentTime, ranges: rangesOf(this.#buffer.buffered) }, video.playbackRate)
    if (advice.seek !== undefined) video.currentTime = advice.seek
    if (video.playbackRate !== advice.rate) video.playbackRate = advice.rate
    if (advice.forget !== undefined && !this.#buffer.updating) this.#buffer.remove(0, advice.forget)
    // A browser pauses what it does not show; whoever looks again wants to see something.
    if (video.paused && document.visibilityState === 'visible') video.play().catch(() => {})
  }

  readonly #broken = () => this.#fail(this.video.error?.message ?? 'the browser gave up')

  #fail(why: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#waiting = []
    this.failed(why)
  }

  #work(): void {
    if (this.#isOver || this.#source.readyState !== 'open' || this.#buffer?.updating) return
    const next = this.#waiting[0]
    if (next === undefined) return
    try {
      if ('mime' in next) this.#change(next.mime)
      else this.#append(next)
    } catch (error) {
      if (!isFull(error) || !this.#makeRoom()) this.#fail(String(error))
    }
  }

  #change(mime: string): void {
    this.#waiting.shift()
    if (!this.#buffer) {
      this.#buffer = this.#source.addSourceBuffer(mime)
      this.#buffer.addEventListener('updateend', () => this.#updated())
      return this.#work()
    }
    // The relay's times go on over restarts of the source, so that what is there may stay.
    this.#buffer.changeType(mime)
    this.#work()
  }

  #append(bytes: Uint8Array<ArrayBuffer>): void {
    this.#buffer?.appendBuffer(bytes)
    this.#waiting.shift()
    this.#bytes -= bytes.byteLength
  }

  /** Removes the past; tells whether there was any. */
  #makeRoom(): boolean {
    const [from] = rangesOf(this.#buffer!.buffered)[0] ?? []
    const until = this.video.currentTime - 1
    if (from === undefined || until <= from) return false
    this.#buffer!.remove(0, until)
    return true
  }

  #updated(): void {
    if (this.#isOver) return
    this.keepUp()
    this.#work()
  }
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'QuotaExceededError'
}
