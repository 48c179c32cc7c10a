/**
 * Tells when a viewer has caught up. Right after joining, a viewer may get what the relay has kept since the last key
 * frame, which plays faster than it was taken; the page shows a still until pictures step in real time. No I/O.
 */

/** So many steps in real time, one after the other, are no chance. */
const STEPS = 3

/** A step may be so much shorter than its media time, for clocks that tick and displays that refresh. */
const SLACK_MS = 8

/** Behind live by no more than this, a picture is as good as live. */
const NEAR_MS = 100

/** After this time it is shown as it is: something moving is better than a still. */
const LONGEST_MS = 2_000

const CLOCK_PER_MS = 90

/** A picture that was presented. */
export interface Presented {
  atMs: number
  /** Of its RTP packets, at 90 kHz; absent where the browser does not tell. */
  rtpTimestamp?: number | undefined
  /** How far behind live it is, where that is known. */
  lagMs?: number | undefined
}

export class Steady {
  #first: Presented | undefined
  #last: Presented | undefined
  #steps = 0
  #isReached = false

  /** Takes the next picture; tells whether pictures are worth showing from now on, which stays so. */
  saw(picture: Presented): boolean {
    this.#isReached ||= this.#decide(picture)
    return this.#isReached
  }

  #decide(picture: Presented): boolean {
    const [first, last] = [(this.#first ??= picture), this.#last]
    this.#last = picture
    if (picture.rtpTimestamp === undefined) return true
    if (picture.lagMs !== undefined && picture.lagMs <= NEAR_MS) return true
    if (picture.atMs - first.atMs >= LONGEST_MS) return true
    if (last?.rtpTimestamp === undefined) return false
    const mediaMs = ((picture.rtpTimestamp - last.rtpTimestamp) >>> 0) / CLOCK_PER_MS
    const isRealTime = picture.atMs - last.atMs + SLACK_MS >= mediaMs / 2
    this.#steps = isRealTime ? this.#steps + 1 : 0
    return this.#steps >= STEPS
  }
}
