/** Pauses between attempts, each longer than the one before until a connection was good. No I/O. */

const FIRST_MS = 500
const LONGEST_MS = 15_000

/** A connection that has lived so long makes the pauses short again. */
const GOOD_MS = 5_000

export class Pauses {
  #failures = 0

  constructor(private readonly random: () => number) {}

  reset(): void {
    this.#failures = 0
  }

  /** Time until the next attempt, after one that was connected for `livedMs`. */
  next(livedMs: number): number {
    this.#failures = livedMs >= GOOD_MS ? 1 : this.#failures + 1
    const pause = Math.min(FIRST_MS * 2 ** (this.#failures - 1), LONGEST_MS)
    // Many viewers that lost one relay do not all come back at once.
    return pause * (0.75 + this.random() / 2)
  }
}
