/**
 * A viewer of one camera by fragmented MP4 over WebSocket: the page says what it plays, the relay what it sends, and then
 * fragments follow for as long as somebody looks, also over restarts of the source. Comes back by itself, each time a
 * little later.
 */

import { Attempts, until, type AttemptState, type Surroundings } from './attempts'
import type { Way } from './ways'

/** What takes the fragments; `feed.ts` has the real one. */
export interface Sink {
  begin(mime: string): void
  push(bytes: ArrayBuffer): void
  stop(): void
}

export interface MseSocket {
  send(text: string): void
  close(): void
}

export interface SocketEvents {
  opened: () => void
  text: (text: string) => void
  bytes: (bytes: ArrayBuffer) => void
  closed: (code: number) => void
}

/** What the browser is for; tests bring their own. */
export interface MseSurroundings extends Surroundings {
  open: (events: SocketEvents) => Promise<MseSocket>
  sink: (failed: (why: string) => void) => Sink
  codecs: string[]
}

/** Time for the relay to answer; a camera that starts is waited for. */
const ANSWER_MS = 15_000

/** A connection over which nothing came for so long may be gone without a word. */
const SILENCE_MS = 30_000

/** As long as it says that the camera is away, nothing is expected. */
const AWAY_MS = 300_000

/** Close code after which coming back would bring the same (RFC 6455, section 7.4.1). */
const POLICY_VIOLATION = 1008

export class Mse extends Attempts implements Way {
  bytes = 0
  fragments = 0
  sink: Sink | undefined

  #socket: MseSocket | undefined

  constructor(
    private readonly told: { state: (state: AttemptState) => void; begun: () => void },
    private readonly around: MseSurroundings,
  ) {
    super(told.state, around)
  }

  protected override async connect(over: AbortSignal): Promise<void> {
    this.failAfter(ANSWER_MS)
    const socket = await this.around.open({
      opened: until(over, () => this.#socket?.send(JSON.stringify({ type: 'mse', codecs: this.around.codecs }))),
      text: until(over, (text) => this.#told(text)),
      bytes: until(over, (bytes) => this.#took(bytes)),
      closed: until(over, (code) => this.#closed(code)),
    })
    if (over.aborted) socket.close()
    else this.#socket = socket
  }

  protected override release(): void {
    this.#socket?.close()
    this.#socket = undefined
    this.sink?.stop()
    this.sink = undefined
  }

  #told(text: string): void {
    const { type, mime, code, message } = parsed(text)
    if (type === 'mse' && typeof mime === 'string') this.#begin(mime)
    else if (type === 'waiting') this.#isAway()
    else if (type === 'error') this.trouble = { reason: String(code ?? 'OTHER'), message: String(message ?? '') }
  }

  #closed(code: number): void {
    if (code === POLICY_VIOLATION && this.trouble) this.refused(this.trouble)
    else this.failed()
  }

  /** The camera is; the relay is there, and goes on when it is back. */
  #isAway(): void {
    this.failAfter(AWAY_MS)
    this.connected()
  }

  #begin(mime: string): void {
    this.failAfter(SILENCE_MS)
    try {
      this.sink ??= this.around.sink(() => this.failed())
      this.sink.begin(mime)
    } catch (error) {
      return this.refused({ reason: 'NO_COMMON_CODEC', message: String(error) })
    }
    // It may have failed at once.
    if (!this.sink) return
    this.told.begun()
    this.connected()
  }

  #took(bytes: ArrayBuffer): void {
    this.failAfter(SILENCE_MS)
    this.bytes += bytes.byteLength
    this.fragments += 1
    this.sink?.push(bytes)
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null) ?? {}
  } catch {
    return {}
  }
}

/** Opens the relay's door on the page's own origin. The token is in the address, since browsers send no headers there. */
export async function openMse(
  address: string,
  token: () => Promise<string | null>,
  events: SocketEvents,
): Promise<MseSocket> {
  const url = new URL(address, location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const secret = await token()
  if (secret !== null) url.searchParams.set('access_token', secret)
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => events.opened()
  socket.onclose = ({ code }) => events.closed(code)
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (typeof data === 'string') events.text(data)
    else if (data instanceof ArrayBuffer) events.bytes(data)
  }
  return {
    send: (text) => socket.send(text),
    close: () => {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    },
  }
}
