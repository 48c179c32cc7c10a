/** Motions on a line of time. */
import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { beforeEach, describe, expect, test } from 'vitest'
import { changedFrom, seenOf, type Seen } from '../src/cameras/motion/motions'
import {
  DAY_MS,
  HOUR_MS,
  last,
  length,
  marksOf,
  merged,
  panned,
  ticksOf,
  WEEK_MS,
  zoomed,
} from '../src/cameras/motion/timeline'
import { markWords, seenWords } from '../src/cameras/motion/words'
import { MotionSchema } from '../src/gen/patchbay/camera/v1/cameras_pb'
import { locale } from '../src/i18n'

beforeEach(() => {
  locale.value = 'en'
})

const NOW = Date.UTC(2026, 10, 23, 12, 34, 56)
const seen = (id: string, beganMs: number, endedMs?: number): Seen => ({
  ...{ id, beganMs, zones: [], score: 0.5, hasPicture: true },
  ...(endedMs === undefined ? {} : { endedMs }),
})

describe('a span', () => {
  test('is the last of its length', () => {
    expect(last(HOUR_MS, NOW)).toEqual({ fromMs: NOW - HOUR_MS, untilMs: NOW })
  })

  test('is zoomed around a place, never past now nor beyond a week', () => {
    const day = last(DAY_MS, NOW)
    const half = zoomed(day, 0.5, 0.5, NOW)
    expect([length(half), half.fromMs - day.fromMs]).toEqual([DAY_MS / 2, DAY_MS / 4])
    expect(zoomed(half, 2, 0.5, NOW)).toEqual(day)
    const wide = zoomed(day, 1_000, 1, NOW)
    expect([length(wide), wide.untilMs]).toEqual([WEEK_MS, NOW])
    expect(length(zoomed(day, 0, 0.5, NOW))).toBe(60_000)
  })

  test('is moved, and stops at both ends', () => {
    const hour = last(HOUR_MS, NOW)
    expect(panned(hour, 0.5, NOW)).toEqual(hour)
    expect(panned(hour, -0.5, NOW).untilMs).toBe(NOW - HOUR_MS / 2)
    const far = panned(hour, -10_000, NOW)
    expect([far.fromMs, length(far)]).toEqual([NOW - WEEK_MS, HOUR_MS])
  })

  test('has ticks at whole hours of the person', () => {
    const offset = 5.5 * HOUR_MS
    const ticks = ticksOf(last(DAY_MS, NOW), 6, offset)
    expect(ticks.length).toBeGreaterThanOrEqual(3)
    expect(ticks.length).toBeLessThanOrEqual(6)
    expect(ticks.every(({ atMs }) => (atMs + offset) % HOUR_MS === 0)).toBe(true)
    expect(ticks.every(({ part }) => part >= 0 && part <= 1)).toBe(true)
    expect(ticksOf(last(WEEK_MS, NOW), 6, 0).length).toBeLessThanOrEqual(8)
  })
})

describe('marks', () => {
  const hour = last(HOUR_MS, NOW)
  const at = (part: number) => hour.fromMs + part * HOUR_MS

  test('are where the motions were, and go on up to now where they have not ended', () => {
    const marks = marksOf([seen('b', at(0.9)), seen('a', at(0.25), at(0.5))], hour, NOW)
    expect(marks).toMatchObject([
      { left: 0.25, width: 0.25 },
      { left: 0.9, width: expect.closeTo(0.1) },
    ])
  })

  test('of motions that are too near to each other are one, the newest first', () => {
    const marks = marksOf(
      [seen('c', at(0.8)), seen('a', at(0.1), at(0.101)), seen('b', at(0.103), at(0.104))],
      hour,
      NOW,
    )
    expect(marks.map(({ events }) => events.map(({ id }) => id))).toEqual([['b', 'a'], ['c']])
  })

  test('a thousand in a week are no thousand buttons', () => {
    const week = last(WEEK_MS, NOW)
    const many = Array.from({ length: 1_000 }, (_, n) => seen(String(n), NOW - n * 600_000, NOW - n * 600_000 + 5_000))
    expect(marksOf(many, week, NOW).length).toBeLessThan(170)
  })

  test('those outside are left out, those at the edge are cut', () => {
    expect(marksOf([seen('a', at(-0.5), at(-0.1))], hour, NOW)).toEqual([])
    expect(marksOf([seen('a', at(-0.5), at(0.1))], hour, NOW)).toMatchObject([{ left: 0, width: expect.closeTo(0.1) }])
  })
})

describe('what the service tells', () => {
  test('is read, and merged with what is known', () => {
    const told = create(MotionSchema, { id: 'm', began: timestampFromMs(NOW), zones: ['Door'], score: 0.25 })
    expect(seenOf(told)).toEqual({ id: 'm', beganMs: NOW, zones: ['Door'], score: 0.25, hasPicture: false })
    const known = [seen('b', 200), seen('a', 100, 150)]
    const all = merged(known, [seen('c', 300), seen('b', 200, 250)], 0)
    expect(all.map(({ id, endedMs }) => [id, endedMs])).toEqual([
      ['c', undefined],
      ['b', 250],
      ['a', 150],
    ])
    expect(merged(known, [], 150).map(({ id }) => id)).toEqual(['b'])
  })

  test('is asked for again from where it may have changed', () => {
    expect(changedFrom([])).toBeUndefined()
    expect(changedFrom([seen('b', 200, 210), seen('a', 100, 110)])).toBe(200)
    expect(changedFrom([seen('b', 200, 210), seen('a', 100)])).toBe(100)
  })

  test('in words', () => {
    const one = { ...seen('a', NOW, NOW + 4_200), zones: ['Door', 'Path'] }
    expect(seenWords(one)).toMatch(/ · for 4 s · Door, Path$/)
    expect(seenWords(seen('a', NOW))).toMatch(/goes on$/)
    expect(markWords([one, seen('b', NOW)])).toMatch(/^2 motions · /)
    expect(markWords([])).toBe('')
  })
})
