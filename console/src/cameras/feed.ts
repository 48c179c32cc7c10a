/** Feeds fragments to a video element by Media Source Extensions, and keeps it near the newest picture. */

import { advise, rangesOf } from './edge'
import { Standing } from './standing'

/** Bytes that wait to be taken; where more wait, the browser cannot keep up, and the connection is made anew. */
const MOST_WAITING = 32 << 20

/** One of each family and profile that the relay may send, as `MediaSource.isTypeSupported` asks for them. */
const CODECS = [
  ...['avc1.42E01F', 'avc1.4D4028', 'avc1.640029', 'avc1.640033', 'hvc1.1.6.L120.90', 'hvc1.2.4.L120.90'],
  ...['av01.0.08M.08', 'vp09.00.40.08', 'vp09.02.40.10', 'mp4a.40.2', 'opus'],
]

const isSound = (codec: string) => /^(mp4a|opus)/i.test(codec.trim())

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
  const kind = (codec: string) => (isSound(codec) ? 'audio' : 'video')
  return CODECS.filter((codec) => source.isTypeSupported(`${kind(codec)}/mp4; codecs="${codec}"`))
}

/** Pictures, sound or both, of a type such as `video/mp4; codecs="avc1.640029,opus"`. */
export function kindsOf(mime: string): string {
  const codecs = /codecs="([^"]*)"/.exec(mime)?.[1]?.split(',') ?? []
  return codecs
    .map((codec) => (isSound(codec) ? 'sound' : 'pictures'))
    .toSorted()
    .join()
}

export class Feed {
  #source!: MediaSource
  #address = ''
  #buffer: SourceBuffer | undefined
  /** Of what was announced last, and of what the buffer was made for. */
  #mime = ''
  #made = ''
  /** What waits for the buffer; bounded by `MOST_WAITING`, beyond which the feed fails. */
  #waiting: (Uint8Array<ArrayBuffer> | { mime: string })[] = []
  #bytes = 0
  #isOver = false
  readonly #standing = new Standing()

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly failed: (why: string) => void,
  ) {
    video.disableRemotePlayback = true
    video.addEventListener('error', this.#broken)
    this.#open()
  }

  get mime(): string {
    return this.#mime
  }

  get hasAudio(): boolean {
    return kindsOf(this.#mime).includes('sound')
  }

  /** What follows is of this type, and begins anew. */
  begin(mime: string): void {
    if (!maker()?.isTypeSupported(mime)) throw new TypeError(`this browser does not play ${mime}`)
    this.#mime = mime
    this.#waiting.push({ mime })
    this.#work()
  }

  push(bytes: ArrayBuffer): void {
    this.#standing.fed(performance.now())
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
    this.#buffer = undefined
  }

  /** Heeds the live edge; to be called now and then too, for a player that stands, and for one that has never begun. */
  keepUp(): void {
    if (this.#isOver) return
    this.#standing.saw(this.video.currentTime, document.visibilityState === 'visible')
    if (this.#buffer && this.#source.readyState === 'open') this.#heedEdge(this.#buffer)
    if (this.#standing.isStuck) this.#fail('pictures come, and the player stands')
  }

  #heedEdge(buffer: SourceBuffer): void {
    const { video } = this
    const moment = { at: video.currentTime, ranges: rangesOf(buffer.buffered), isSeeking: video.seeking }
    const advice = advise(moment, video.playbackRate)
    if (advice.seek !== undefined) this.#jump(advice.seek)
    if (video.playbackRate !== advice.rate) video.playbackRate = advice.rate
    if (advice.forget !== undefined && !buffer.updating) buffer.remove(0, advice.forget)
    // A browser pauses what it does not show; whoever looks again wants to see something.
    if (video.paused && document.visibilityState === 'visible') video.play().catch(() => {})
  }

  #jump(to: number): void {
    this.video.currentTime = to
    this.#standing.jumped(this.video.currentTime)
  }

  #open(): void {
    const Source = maker()
    if (!Source) throw new TypeError('this browser has no Media Source Extensions')
    if (this.#address !== '') URL.revokeObjectURL(this.#address)
    const source = new Source()
    this.#source = source
    this.#buffer = undefined
    this.#address = URL.createObjectURL(source)
    source.addEventListener('sourceopen', () => source === this.#source && this.#work(), { once: true })
    this.video.src = this.#address
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

  /** The relay's times go on over restarts of the source, so that what is there may stay. */
  #change(mime: string): void {
    const before = this.#made
    if (this.#buffer && kindsOf(before) !== kindsOf(mime)) {
      // A buffer stays with the kinds of tracks that it was made for. What waits is taken once the new one is open.
      this.#open()
      return
    }
    this.#waiting.shift()
    this.#made = mime
    if (!this.#buffer) this.#buffer = this.#newBuffer(mime)
    else if (before !== mime) this.#buffer.changeType(mime)
    // What follows stands on its own. Else a gap in the sound would cost the pictures up to the next key frame (Media Source Extensions, section 3.5.8).
    else this.#buffer.abort()
    this.#work()
  }

  #newBuffer(mime: string): SourceBuffer {
    const buffer = this.#source.addSourceBuffer(mime)
    this.#source.duration = Infinity
    buffer.addEventListener('updateend', () => buffer === this.#buffer && this.#updated())
    buffer.addEventListener('error', () => buffer === this.#buffer && this.#fail('a fragment was refused'))
    return buffer
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
