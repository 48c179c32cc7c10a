/** A line of time with marks on it: what is shown of it, and where. No I/O. */

export interface Span {
  fromMs: number
  untilMs: number
}

/** A time in which something moved; without an end it goes on. */
export interface Event {
  id: string
  beganMs: number
  endedMs?: number
}

/** What is drawn in one place: one event, or several that are too near to each other. Places are parts of the line, 0 to 1. */
export interface Mark<E extends Event> {
  /** Newest first. */
  events: E[]
  left: number
  width: number
}

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const WEEK_MS = 7 * DAY_MS

const SHORTEST_MS = 60_000

/** Marks nearer than that part of the line are one. */
const NEAR = 0.006

export function last(lengthMs: number, nowMs: number): Span {
  return { fromMs: nowMs - lengthMs, untilMs: nowMs }
}

export function length({ fromMs, untilMs }: Span): number {
  return untilMs - fromMs
}

/** Shorter or longer around a part of the line, not longer than a week, and not after now. */
export function zoomed(span: Span, factor: number, around: number, nowMs: number): Span {
  const before = length(span)
  const after = Math.min(Math.max(before * factor, SHORTEST_MS), WEEK_MS)
  const fromMs = span.fromMs + (before - after) * around
  return within({ fromMs, untilMs: fromMs + after }, nowMs)
}

/** Earlier or later by a part of its length. */
export function panned(span: Span, part: number, nowMs: number): Span {
  const by = length(span) * part
  return within({ fromMs: span.fromMs + by, untilMs: span.untilMs + by }, nowMs)
}

function within(span: Span, nowMs: number): Span {
  const late = Math.max(0, span.untilMs - nowMs)
  const early = Math.max(0, nowMs - WEEK_MS - (span.fromMs - late))
  return { fromMs: span.fromMs - late + early, untilMs: Math.min(span.untilMs - late + early, nowMs) }
}

/** Where a time is, as a part of the line. */
export function partOf({ fromMs, untilMs }: Span, ms: number): number {
  return (ms - fromMs) / (untilMs - fromMs)
}

/** Marks from left to right, of events in any order. */
export function marksOf<E extends Event>(events: E[], span: Span, nowMs: number): Mark<E>[] {
  const shown = events
    .map((event) => ({ event, from: partOf(span, event.beganMs), until: partOf(span, event.endedMs ?? nowMs) }))
    .filter(({ from, until }) => until >= 0 && from <= 1)
    .toSorted((a, b) => a.from - b.from)
  const marks: Mark<E>[] = []
  for (const { event, from, until } of shown) {
    const [left, right] = [Math.max(0, from), Math.min(1, until)]
    const before = marks.at(-1)
    if (before && left - (before.left + before.width) < NEAR) {
      before.events.unshift(event)
      before.width = Math.max(before.width, right - before.left)
    } else {
      marks.push({ events: [event], left, width: right - left })
    }
  }
  return marks
}

const TICKS_MS = [
  ...[10_000, 30_000, 60_000, 5 * 60_000, 10 * 60_000, 15 * 60_000, 30 * 60_000],
  ...[HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS],
]

/** Times that are worth a word, at most so many, at whole hours and minutes of the person's own clock. */
export function ticksOf(span: Span, most: number, zoneOffsetMs: number): { atMs: number; part: number }[] {
  const step = TICKS_MS.find((step) => length(span) / step <= most) ?? DAY_MS
  const first = Math.ceil((span.fromMs + zoneOffsetMs) / step) * step - zoneOffsetMs
  const count = Math.max(0, Math.floor((span.untilMs - first) / step) + 1)
  return Array.from({ length: count }, (_, index) => first + index * step).map((atMs) => ({
    atMs,
    part: partOf(span, atMs),
  }))
}

/** The events of both, each once, as it was told last; those that began before are left out. */
export function merged<E extends Event>(known: E[], told: E[], fromMs: number): E[] {
  const all = new Map([...known, ...told].map((event) => [event.id, event]))
  return [...all.values()].filter(({ beganMs }) => beganMs >= fromMs).toSorted((a, b) => b.beganMs - a.beganMs)
}
