/**
 * A viewer of one camera by WHEP (draft-ietf-wish-whep): an offer is posted, the answer comes back, pictures follow
 * over WebRTC. Comes back by itself, each time a little later. The relay sees our address in our first packet, so that
 * no candidates are sent after the offer.
 */

import type { Trouble } from '../calls/trouble'
import { Attempts, until, type AttemptState, type Surroundings } from './attempts'
import type { Way } from './ways'

/** What `fetch` and `RTCPeerConnection` are for; tests bring their own. */
export interface WhepSurroundings extends Surroundings {
  peer: () => RTCPeerConnection
  fetch: (address: string, request: RequestInit) => Promise<Response>
  headers: () => Promise<Record<string, string>>
  refusalOf: (answer: Response) => Promise<Refusal>
}

/** What the relay says where it takes no viewer. */
type Refusal = Error & { trouble: Trouble; status: number }

export interface Told {
  state: (state: AttemptState) => void
  track: (track: MediaStreamTrack) => void
}

const ANSWER_MS = 15_000
const CONNECT_MS = 10_000

/** ICE finds its way back by itself within this time, or not at all. */
const PATIENCE_MS = 4_000

export class Whep extends Attempts implements Way {
  #peer: RTCPeerConnection | undefined
  #resource: string | undefined
  #headers: Record<string, string> = {}

  constructor(
    readonly address: string,
    private readonly told: Told,
    private readonly around: WhepSurroundings,
  ) {
    super(told.state, around)
  }

  get peer(): RTCPeerConnection | undefined {
    return this.#peer
  }

  /** This viewer at the relay: the last part of its address. */
  get viewer(): string | undefined {
    return this.#resource?.split('/').at(-1)
  }

  protected override async connect(over: AbortSignal): Promise<void> {
    const peer = this.#newPeer(over)
    await peer.setLocalDescription()
    const sdp = peer.localDescription?.sdp ?? ''
    const headers = await this.around.headers()
    if (over.aborted) return
    // Not ended with the attempt: a viewer that was made meanwhile has to be deleted.
    const answer = await this.around.fetch(this.address, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/sdp' },
      body: sdp,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    if (answer.status !== 201) return this.#notTaken(await this.around.refusalOf(answer), over)
    const resource = resourceOf(answer.headers.get('location'), this.address)
    if (over.aborted) return this.#delete(resource, headers)
    this.#resource = resource
    this.#headers = headers
    const answered = await answer.text()
    if (over.aborted) return
    await peer.setRemoteDescription({ type: 'answer', sdp: answered })
    if (!over.aborted && this.connectedAtMs === undefined) this.failAfter(CONNECT_MS)
  }

  protected override release(): void {
    this.#peer?.close()
    this.#peer = undefined
    if (this.#resource !== undefined) this.#delete(this.#resource, this.#headers)
    this.#resource = undefined
  }

  #notTaken({ trouble, status }: Refusal, over: AbortSignal): void {
    if (over.aborted) return
    if (isFinal(status)) return this.refused(trouble)
    this.trouble = trouble
    this.failed()
  }

  #newPeer(over: AbortSignal): RTCPeerConnection {
    const peer = this.around.peer()
    this.#peer = peer
    peer.ontrack = until(over, (event) => this.#took(event, over))
    peer.onconnectionstatechange = until(over, () => this.#connectionChanged(peer.connectionState))
    for (const kind of ['video', 'audio']) peer.addTransceiver(kind, { direction: 'recvonly' })
    return peer
  }

  #took({ track, receiver, transceiver }: RTCTrackEvent, over: AbortSignal): void {
    if (transceiver.receiver.track.kind === 'video') this.#watchEnd(receiver, over)
    // Browsers that heed it hold no pictures back for smoothness.
    if (track.kind === 'video' && 'jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0
    this.told.track(track)
  }

  /** The relay ends a viewer by closing DTLS, which no connection state tells. */
  #watchEnd({ transport }: RTCRtpReceiver, over: AbortSignal): void {
    if (!transport) return
    transport.onstatechange = until(over, () => {
      if (transport.state === 'closed') this.failed()
    })
  }

  #connectionChanged(state: RTCPeerConnectionState): void {
    if (state === 'connected') {
      this.failNever()
      this.connected()
    } else if (state === 'disconnected') {
      this.failAfter(PATIENCE_MS)
    } else if (state === 'failed' || state === 'closed') {
      this.failed()
    }
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

function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && !PASSING.includes(status)
}
