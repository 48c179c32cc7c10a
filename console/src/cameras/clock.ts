/** The relay's clock beside ours, for ways that bring no reports of it. */

import { RELAY } from './snapshot'

const QUESTIONS = 3
const TIMEOUT_MS = 3_000

let known: Promise<number | undefined> | undefined

/** How far the relay's clock is ahead, asked for once; undefined where it does not say. */
export function relayAheadMs(): Promise<number | undefined> {
  known ??= ask().catch(() => {
    // Another turn asks again.
    known = undefined
    return undefined
  })
  return known
}

/** The quickest answer is the most exact. */
async function ask(): Promise<number | undefined> {
  let best: { tookMs: number; aheadMs: number } | undefined
  for (let question = 0; question < QUESTIONS; question += 1) {
    const began = performance.now()
    const answer = await fetch(`${RELAY}/clock`, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) })
    if (!answer.ok) return undefined
    const { now } = (await answer.json()) as { now: number }
    const tookMs = performance.now() - began
    const aheadMs = now - (performance.timeOrigin + began + tookMs / 2)
    if (Number.isFinite(aheadMs) && tookMs < (best?.tookMs ?? Infinity)) best = { tookMs, aheadMs }
  }
  return best?.aheadMs
}
