/**
 * A viewer of one camera by fragmented MP4 over WebSocket: the page says what it plays, the relay what it sends, and then
 * fragments follow for as long as somebody looks, also over restarts of the source. Comes back by itself, each time a
 * little later.
 */

import type { Trouble } from '../calls/trouble'
import { Pauses } from './pauses'
import type { Way } from './ways'
import type { WhepState } from './whep'

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
export interface MseSurroundings {
  open: (events: SocketEvents) => Promise<MseSocket>
  sink: (failed: (why: string) => void) => Sink
  codecs: string[]
  now: () => number
  random: () => number
}

/** Time for the relay to answer; a camera that starts is waited for. */
const ANSWER_MS = 15_000

/** A connection over which nothing came for so long may be gone without a word. */
const SILENCE_MS = 30_000

/** As long as it says that the camera is away, nothing is expected. */
const AWAY_MS = 300_000

/** Close code after which coming back would bring the same (RFC 6455, section 7.4.1). */
const POLICY_VIOLATION = 1008

export class Mse implements Way {
  beganAtMs: number | undefined
  connectedAtMs: number | undefined
  bytes = 0
  fragments = 0
  sink: Sink | undefined

  #socket: MseSocket | undefined
  #trouble: Trouble | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #pauses: Pauses
  /** Counts attempts, so that what an old one brings is dropped. */
  #turn = 0

  constructor(
    private readonly told: { state: (state: WhepState) => void; begun: () => void },
    private readonly around: MseSurroundings,
  ) {
    this.#pauses = new Pauses(around.random)
  }

  start(): void {
    this.#pauses.reset()
    void this.#attempt()
  }

  hurry(state: WhepState): void {
    if (state.name === 'waiting') void this.#attempt()
  }

  stop(): void {
    this.#leave()
    this.told.state({ name: 'idle' })
  }

  async #attempt(): Promise<void> {
    this.#leave()
    const turn = this.#turn
    const mine = <A extends unknown[]>(work: (...args: A) => void) => {
      return (...args: A) => {
        if (turn === this.#turn) work(...args)
      }
    }
    this.beganAtMs = this.around.now()
    this.connectedAtMs = undefined
    this.#trouble = undefined
    this.told.state({ name: 'connecting' })
    this.#failLater(ANSWER_MS)
    try {
      const socket = await this.around.open({
        opened: mine(() => this.#socket?.send(JSON.stringify({ type: 'mse', codecs: this.around.codecs }))),
        text: mine((text) => this.#told(text)),
        bytes: mine((bytes) => this.#took(bytes)),
        closed: mine((code) => this.#closed(code)),
      })
      if (turn === this.#turn) this.#socket = socket
      else socket.close()
    } catch {
      mine(() => this.#failed())()
    }
  }

  #told(text: string): void {
    const { type, mime, code, message } = parsed(text)
    if (type === 'mse' && typeof mime === 'string') this.#begin(mime)
    else if (type === 'waiting') this.#isAway()
    else if (type === 'error') this.#trouble = { reason: String(code ?? 'OTHER'), message: String(message ?? '') }
  }

  #closed(code: number): void {
    if (code === POLICY_VIOLATION && this.#trouble) this.#refused(this.#trouble)
    else this.#failed()
  }

  /** The camera is; the relay is there, and goes on when it is back. */
  #isAway(): void {
    this.#failLater(AWAY_MS)
    this.#connected()
  }

  #begin(mime: string): void {
    this.#failLater(SILENCE_MS)
    try {
      this.sink ??= this.around.sink(() => this.#failed())
      this.sink.begin(mime)
    } catch (error) {
      return this.#refused({ reason: 'NO_COMMON_CODEC', message: String(error) })
    }
    this.told.begun()
    this.#connected()
  }

  #connected(): void {
    if (this.connectedAtMs !== undefined) return
    this.connectedAtMs = this.around.now()
    this.told.state({ name: 'connected' })
  }

  #took(bytes: ArrayBuffer): void {
    this.#failLater(SILENCE_MS)
    this.bytes += bytes.byteLength
    this.fragments += 1
    this.sink?.push(bytes)
  }

  #refused(trouble: Trouble): void {
    this.#leave()
    this.told.state({ name: 'refused', trouble })
  }

  #failLater(afterMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#failed(), afterMs)
  }

  #failed(): void {
    const trouble = this.#trouble
    const livedMs = this.connectedAtMs === undefined ? 0 : this.around.now() - this.connectedAtMs
    this.#leave()
    const wait = this.#pauses.next(livedMs)
    this.#timer = setTimeout(() => void this.#attempt(), wait)
    this.told.state({ name: 'waiting', untilMs: this.around.now() + wait, trouble })
  }

  #leave(): void {
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#socket?.close()
    this.#socket = undefined
    this.sink?.stop()
    this.sink = undefined
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
