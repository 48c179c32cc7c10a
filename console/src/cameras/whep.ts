/**
 * A viewer of one camera by WHEP (draft-ietf-wish-whep): an offer is posted, the answer comes back, pictures follow
 * over WebRTC. Comes back by itself, each time a little later. The relay sees our address in our first packet, so that
 * no candidates are sent after the offer.
 */

import type { Trouble } from '../calls/trouble'
import { Pauses } from './pauses'

/** What a way to the pictures does; the other one, `mse.ts`, has the same. */
export type WhepState =
  | { name: 'idle' }
  | { name: 'connecting' }
  | { name: 'connected' }
  /** Until it is tried again; with what the relay said, where it said something. */
  | { name: 'waiting'; untilMs: number; trouble: Trouble | undefined }
  /** Trying again would bring the same. */
  | { name: 'refused'; trouble: Trouble }

/** What `fetch` and `RTCPeerConnection` are for; tests bring their own. */
export interface Surroundings {
  peer: () => RTCPeerConnection
  fetch: (address: string, request: RequestInit) => Promise<Response>
  headers: () => Promise<Record<string, string>>
  refusalOf: (answer: Response) => Promise<Error & { trouble: Trouble; status: number }>
  now: () => number
  random: () => number
}

export interface Told {
  state: (state: WhepState) => void
  track: (track: MediaStreamTrack) => void
}

const ANSWER_MS = 15_000
const CONNECT_MS = 10_000

/** ICE finds its way back by itself within this time, or not at all. */
const PATIENCE_MS = 4_000

export class Whep {
  /** When the last attempt began, and when it was connected. */
  beganAtMs: number | undefined
  connectedAtMs: number | undefined

  #peer: RTCPeerConnection | undefined
  #resource: string | undefined
  #headers: Record<string, string> = {}
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #pauses: Pauses
  /** Counts attempts, so that what an old one brings is dropped. */
  #turn = 0

  constructor(
    readonly address: string,
    private readonly told: Told,
    private readonly around: Surroundings,
  ) {
    this.#pauses = new Pauses(around.random)
  }

  get peer(): RTCPeerConnection | undefined {
    return this.#peer
  }

  /** This viewer at the relay: the last part of its address. */
  get viewer(): string | undefined {
    return this.#resource?.split('/').at(-1)
  }

  start(): void {
    this.#pauses.reset()
    void this.#attempt()
  }

  /** Does not wait any longer for the next attempt. */
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
    this.beganAtMs = this.around.now()
    this.connectedAtMs = undefined
    this.told.state({ name: 'connecting' })
    try {
      await this.#negotiate(turn)
    } catch (error) {
      if (turn === this.#turn) this.#failed(error)
    }
  }

  async #negotiate(turn: number): Promise<void> {
    const peer = this.#newPeer(turn)
    await peer.setLocalDescription()
    const sdp = peer.localDescription?.sdp ?? ''
    const headers = await this.around.headers()
    if (turn !== this.#turn) return
    const answer = await this.around.fetch(this.address, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/sdp' },
      body: sdp,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    if (answer.status !== 201) throw await this.around.refusalOf(answer)
    const resource = resourceOf(answer.headers.get('location'), this.address)
    if (turn !== this.#turn) return this.#delete(resource, headers)
    this.#resource = resource
    this.#headers = headers
    const answered = await answer.text()
    if (turn !== this.#turn) return
    await peer.setRemoteDescription({ type: 'answer', sdp: answered })
    if (turn === this.#turn && !this.connectedAtMs) this.#failLater(CONNECT_MS)
  }

  #newPeer(turn: number): RTCPeerConnection {
    const peer = this.around.peer()
    this.#peer = peer
    peer.ontrack = ({ track, receiver, transceiver }) => {
      if (turn !== this.#turn) return
      if (transceiver.receiver.track.kind === 'video') this.#watchEnd(receiver, turn)
      // Browsers that heed it hold no pictures back for smoothness.
      if (track.kind === 'video' && 'jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0
      this.told.track(track)
    }
    peer.onconnectionstatechange = () => {
      if (turn === this.#turn) this.#connectionChanged(peer.connectionState)
    }
    for (const kind of ['video', 'audio']) peer.addTransceiver(kind, { direction: 'recvonly' })
    return peer
  }

  /** The relay ends a viewer by closing DTLS, which no connection state tells. */
  #watchEnd({ transport }: RTCRtpReceiver, turn: number): void {
    if (!transport) return
    transport.onstatechange = () => {
      if (turn === this.#turn && transport.state === 'closed') this.#failed(undefined)
    }
  }

  #connectionChanged(state: RTCPeerConnectionState): void {
    if (state === 'connected') {
      clearTimeout(this.#timer)
      this.connectedAtMs ??= this.around.now()
      this.told.state({ name: 'connected' })
    } else if (state === 'disconnected') {
      this.#failLater(PATIENCE_MS)
    } else if (state === 'failed' || state === 'closed') {
      this.#failed(undefined)
    }
  }

  #failLater(afterMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#failed(undefined), afterMs)
  }

  #failed(error: unknown): void {
    const refusal = refused(error)
    const livedMs = this.connectedAtMs === undefined ? 0 : this.around.now() - this.connectedAtMs
    this.#leave()
    if (refusal?.isFinal) return this.told.state({ name: 'refused', trouble: refusal.trouble })
    const wait = Math.max(this.#pauses.next(livedMs), (refusal?.trouble.retrySeconds ?? 0) * 1000)
    this.#timer = setTimeout(() => void this.#attempt(), wait)
    this.told.state({ name: 'waiting', untilMs: this.around.now() + wait, trouble: refusal?.trouble })
  }

  #leave(): void {
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#peer?.close()
    this.#peer = undefined
    if (this.#resource !== undefined) this.#delete(this.#resource, this.#headers)
    this.#resource = undefined
  }

  /** Outlives the page. Where it fails, the relay notices by itself that nobody listens. */
  #delete(resource: string, headers: Record<string, string>): void {
    this.around.fetch(resource, { method: 'DELETE', headers, keepalive: true }).catch(() => {})
  }
}

/** Where the viewer is at the relay: its own paths begin below the prefix that the page's origin adds to them. */
export function resourceOf(location: string | null, address: string): string {
  if (location === null) throw new TypeError('the relay named no viewer')
  const posted = new URL(address, 'http://relay.invalid')
  const prefix = posted.pathname.slice(0, posted.pathname.indexOf('/whep/'))
  const { pathname, search } = new URL(location, posted)
  return (pathname.startsWith('/whep/') ? prefix : '') + pathname + search
}

/** Statuses that may pass. */
const PASSING = [408, 425, 429]

function refused(error: unknown): { trouble: Trouble; isFinal: boolean } | undefined {
  if (!(error instanceof Error) || !('trouble' in error) || !('status' in error)) return undefined
  const { trouble, status } = error as Error & { trouble: Trouble; status: number }
  return { trouble, isFinal: status >= 400 && status < 500 && !PASSING.includes(status) }
}
