/**
 * Attempts at a connection that shall last: each has a limit of time, and is followed by another one, a little later each
 * time, until the service refuses for good. How to connect is the subclass's to say. No I/O.
 */

import type { Trouble } from '../calls/trouble'
import { Pauses } from './pauses'

export type AttemptState =
  | { name: 'idle' }
  | { name: 'connecting' }
  | { name: 'connected' }
  /** Until it is tried again; with what the service said, where it said something. */
  | { name: 'waiting'; untilMs: number; trouble: Trouble | undefined }
  /** Trying again would bring the same. */
  | { name: 'refused'; trouble: Trouble }

/** What chance and time are; tests bring their own. */
export interface Surroundings {
  now: () => number
  random: () => number
}

export abstract class Attempts {
  /** When the last attempt began, and when it was connected. */
  beganAtMs: number | undefined
  connectedAtMs: number | undefined
  /** What the service said in this attempt, to be told if it fails. */
  protected trouble: Trouble | undefined

  #current: AbortController | undefined
  /** Until this attempt is given up, or the next one begins. */
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #pauses: Pauses

  constructor(
    private readonly tell: (state: AttemptState) => void,
    private readonly clock: Surroundings,
  ) {
    this.#pauses = new Pauses(clock.random)
  }

  /** Begins to connect. The attempt fails where this throws; it is over once `over` is aborted, and what comes then is dropped. */
  protected abstract connect(over: AbortSignal): Promise<void>

  /** Gives back what an attempt has taken. */
  protected abstract release(): void

  start(): void {
    this.#pauses.reset()
    void this.#attempt()
  }

  /** Does not wait any longer for the next attempt. */
  hurry(state: AttemptState): void {
    if (state.name === 'waiting') void this.#attempt()
  }

  stop(): void {
    this.#leave()
    this.tell({ name: 'idle' })
  }

  protected connected(): void {
    if (this.connectedAtMs !== undefined) return
    this.connectedAtMs = this.clock.now()
    this.tell({ name: 'connected' })
  }

  /** The attempt fails after this time, in place of what was said before. */
  protected failAfter(limitMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.failed(), limitMs)
  }

  /** The attempt may last as long as it likes. */
  protected failNever(): void {
    clearTimeout(this.#timer)
  }

  protected failed(): void {
    const { trouble, connectedAtMs } = this
    this.#leave()
    const now = this.clock.now()
    const pauseMs = this.#pauses.next(connectedAtMs === undefined ? 0 : now - connectedAtMs)
    const waitMs = Math.max(pauseMs, (trouble?.retrySeconds ?? 0) * 1_000)
    this.#timer = setTimeout(() => void this.#attempt(), waitMs)
    this.tell({ name: 'waiting', untilMs: now + waitMs, trouble })
  }

  protected refused(trouble: Trouble): void {
    this.#leave()
    this.tell({ name: 'refused', trouble })
  }

  async #attempt(): Promise<void> {
    this.#leave()
    const current = new AbortController()
    this.#current = current
    this.beganAtMs = this.clock.now()
    this.connectedAtMs = undefined
    this.trouble = undefined
    this.tell({ name: 'connecting' })
    try {
      await this.connect(current.signal)
    } catch {
      if (!current.signal.aborted) this.failed()
    }
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#current?.abort()
    this.#current = undefined
    this.release()
  }
}

/** The same work, left undone once it is over. */
export function until<A extends unknown[]>(over: AbortSignal, work: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    if (!over.aborted) work(...args)
  }
}
