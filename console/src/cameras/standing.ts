/** Tells when a player stands although something comes for it all the time. No I/O. */

/** For so long: whatever the reason, a new beginning is better. */
const STUCK_MS = 10_000

/** After a pause as long as this it is begun to count anew: a camera was away, or brings little. */
const PAUSE_MS = 5_000

/** By less than this a player moves that only rounds where it is. */
const STEP = 0.01

export class Standing {
  #at = 0
  /** When something came first of what came without a pause while it stood, and when something came last. */
  #sinceMs: number | undefined
  #fedMs = -Infinity

  /** Something came. */
  fed(nowMs: number): void {
    if (nowMs - this.#fedMs > PAUSE_MS) this.#sinceMs = undefined
    this.#sinceMs ??= nowMs
    this.#fedMs = nowMs
  }

  /** It was told to go on there, which is not yet that it does. */
  jumped(at: number): void {
    this.#at = at
  }

  /** Where the player is now; a page that nobody sees may hold it there. */
  saw(at: number, isSeen: boolean): void {
    if (isSeen && Math.abs(at - this.#at) < STEP) return
    this.#at = at
    this.#sinceMs = undefined
  }

  get isStuck(): boolean {
    return this.#sinceMs !== undefined && this.#fedMs - this.#sinceMs > STUCK_MS
  }
}
