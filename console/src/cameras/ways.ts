/**
 * Which way pictures take: WebRTC first; MSE over WebSocket where that does not connect within some seconds, or fails. A
 * way that was good and broke is given another chance first. No I/O.
 */

import type { Trouble } from '../calls/trouble'
import { until, type AttemptState, type Surroundings } from './attempts'
import { Pauses } from './pauses'

export type WayName = 'webrtc' | 'mse'

/** A way, as `Whep` and `Mse` are ones. */
export interface Way {
  readonly beganAtMs: number | undefined
  readonly connectedAtMs: number | undefined
  start(): void
  stop(): void
  hurry(state: AttemptState): void
}

type Told = (state: AttemptState) => void

export interface Makers {
  webrtc: (told: Told) => Way
  /** Absent where the browser has none. */
  mse: ((told: Told) => Way) | undefined
}

export interface WaysTold {
  state: (state: AttemptState) => void
  way: (name: WayName) => void
}

/** WebRTC is connected within this time, a camera that starts included, or is given up for now. */
export const PATIENCE_MS = 6_000

/** Refusals of WebRTC that say nothing about the other way. */
const ONLY_WEBRTC = ['NO_COMMON_CODEC', 'BAD_OFFER']

export class Ways {
  #name: WayName = 'webrtc'
  #way: Way | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Whether the attempt that ended last had been connected. */
  #wasConnected = false
  /** Why WebRTC failed, to be told should the other way fail too. */
  #trouble: Trouble | undefined
  readonly #pauses: Pauses
  /** Over with the way, so that what an old one tells is dropped. */
  #current: AbortController | undefined

  constructor(
    private readonly makers: Makers,
    private readonly told: WaysTold,
    private readonly around: Surroundings,
  ) {
    this.#pauses = new Pauses(around.random)
  }

  get name(): WayName {
    return this.#name
  }

  get way(): Way | undefined {
    return this.#way
  }

  start(): void {
    this.#pauses.reset()
    this.#take('webrtc')
  }

  stop(): void {
    this.#leave()
    this.told.state({ name: 'idle' })
  }

  /** Does not wait any longer for the next attempt. */
  hurry(state: AttemptState): void {
    if (this.#way) this.#way.hurry(state)
    else if (state.name === 'waiting') this.#take('webrtc')
  }

  #take(name: WayName): void {
    this.#leave()
    const current = new AbortController()
    this.#current = current
    const make = this.makers[name] ?? this.makers.webrtc
    this.#name = name
    this.#wasConnected = false
    this.told.way(name)
    this.#way = make(until(current.signal, (state: AttemptState) => this.#changed(state)))
    this.#way.start()
  }

  #leave(): void {
    this.#current?.abort()
    clearTimeout(this.#timer)
    this.#way?.stop()
    this.#way = undefined
  }

  #changed(state: AttemptState): void {
    clearTimeout(this.#timer)
    if (state.name === 'connected') {
      this.#wasConnected = true
      this.#trouble = undefined
    } else if (this.#name === 'webrtc') {
      if (this.#isEndOfWebrtc(state)) return this.#take('mse')
    } else if (state.name === 'waiting' && !this.#wasConnected) {
      return this.#again()
    } else if (state.name === 'refused' && this.#trouble) {
      return this.told.state({ name: 'refused', trouble: this.#trouble })
    }
    if (state.name === 'connecting') this.#wasConnected = false
    this.told.state(state)
  }

  #isEndOfWebrtc(state: AttemptState): boolean {
    if (!this.makers.mse) return false
    if (state.name === 'connecting') {
      this.#timer = setTimeout(() => this.#take('mse'), PATIENCE_MS)
      return false
    }
    if (state.name === 'refused') {
      this.#trouble = state.trouble
      return ONLY_WEBRTC.includes(state.trouble.reason)
    }
    // Where the relay says why, it would say the same at the other door.
    return state.name === 'waiting' && !this.#wasConnected && state.trouble === undefined
  }

  /** Both have failed: the service may be away. */
  #again(): void {
    this.#leave()
    const wait = this.#pauses.next(0)
    this.#timer = setTimeout(() => this.#take('webrtc'), wait)
    this.told.state({ name: 'waiting', untilMs: this.around.now() + wait, trouble: undefined })
  }
}
