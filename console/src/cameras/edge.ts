/** Keeps a player near the newest picture of a buffer that grows. No I/O. */

/** Seconds of a buffer. */
export type Range = [from: number, until: number]

export interface Moment {
  /** Where the player is. */
  at: number
  /** What it has, in order. */
  ranges: Range[]
  /** It has jumped, and shows nothing yet. */
  isSeeking?: boolean
}

export interface Advice {
  /** Where the player should go on instead. */
  seek?: number
  /** How fast it should play. */
  rate: number
  /** Up to where nothing is needed any more. */
  forget?: number
}

/** Behind the newest picture by more than this, the player jumps. */
const FAR = 2

/** So far behind the newest picture it goes on: a fragment may be a little late. */
const CUSHION = 0.2

/** Between these it plays a little faster until it is near. */
const BEHIND = 0.8
const NEAR = 0.4
const FASTER = 1.08

/** What is kept of the past, and how much more may gather before it is removed. */
const KEPT = 5
const GATHERED = 10

export function advise({ at, ranges, isSeeking = false }: Moment, rate: number): Advice {
  const [first, newest] = [ranges[0], ranges.at(-1)]
  if (!first || !newest) return { rate: 1 }
  const [from, until] = newest
  const isOutside = at < from || at > until
  const advice: Advice = { rate: 1 }
  // A jump ends once there is enough to show. Before a gap that never comes, and elsewhere another jump would only begin the wait anew.
  if (isOutside || (!isSeeking && until - at > FAR)) {
    advice.seek = Math.max(from, until - CUSHION)
  } else {
    const behind = until - at
    if (behind > BEHIND || (rate > 1 && behind > NEAR)) advice.rate = FASTER
  }
  const place = advice.seek ?? at
  if (place - first[0] > KEPT + GATHERED) advice.forget = place - KEPT
  return advice
}

/** The ranges of a media element, in order. */
export function rangesOf(buffered: TimeRanges): Range[] {
  return Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)])
}
