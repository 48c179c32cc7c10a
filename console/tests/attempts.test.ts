/** Attempts at a connection that does as the test says. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Trouble } from '../src/calls/trouble'
import { Attempts, until, type AttemptState } from '../src/cameras/attempts'

const LIMIT_MS = 5_000

class Line extends Attempts {
  /** One for each attempt. */
  signals: AbortSignal[] = []
  released = 0
  heard: string[] = []
  /** What the next attempts do at once; they wait for the test where there is nothing. */
  plan: (() => Promise<void>)[] = []

  protected override async connect(over: AbortSignal): Promise<void> {
    this.signals.push(over)
    this.failAfter(LIMIT_MS)
    await this.plan.shift()?.()
  }
  protected override release(): void {
    this.released += 1
  }

  opens = () => this.connected()
  breaks = () => this.failed()
  lasts = () => this.failNever()
  refuses = (trouble: Trouble) => this.refused(trouble)
  says = (trouble: Trouble) => (this.trouble = trouble)
}

let states: AttemptState[], line: Line

beforeEach(() => {
  vi.useFakeTimers()
  states = []
  line = new Line((state) => states.push(state), { now: () => Date.now(), random: () => 0.5 })
})

afterEach(() => {
  line.stop()
  vi.useRealTimers()
})

const names = () => states.map(({ name }) => name)
const trouble: Trouble = { reason: 'LIMIT', message: 'full' }

/** Until the next attempt, as the last state tells it. */
function waitMs(): number {
  const state = states.at(-1)!
  if (state.name !== 'waiting') throw new Error(`it is ${state.name}`)
  return state.untilMs - Date.now()
}

test('an attempt that is connected is told once, with its times', async () => {
  line.start()
  await vi.advanceTimersByTimeAsync(20)
  line.lasts()
  line.opens()
  await vi.advanceTimersByTimeAsync(60_000)
  line.opens()
  expect(names()).toEqual(['connecting', 'connected'])
  expect(line.connectedAtMs! - line.beganAtMs!).toBe(20)
})

test('each failure is followed by another attempt, later each time and at most so late', async () => {
  line.start()
  const waits: number[] = []
  for (let n = 0; n < 7; n += 1) {
    line.breaks()
    waits.push(waitMs())
    await vi.advanceTimersByTimeAsync(waitMs() - 1)
    expect(names().at(-1)).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1)
    expect(names().at(-1)).toBe('connecting')
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
})

test('after a good connection, and when it is started anew, the pauses are short again', async () => {
  line.start()
  for (const _ of [1, 2, 3]) {
    line.breaks()
    await vi.advanceTimersByTimeAsync(waitMs())
  }
  line.lasts()
  line.opens()
  await vi.advanceTimersByTimeAsync(6_000)
  line.breaks()
  expect(waitMs()).toBe(500)
  await vi.advanceTimersByTimeAsync(500)
  line.breaks()
  expect(waitMs()).toBe(1_000)
  line.start()
  line.breaks()
  expect(waitMs()).toBe(500)
})

test('one that throws fails, and so does one that takes too long', async () => {
  line.plan = [() => Promise.reject(new TypeError('nobody there'))]
  line.start()
  await vi.advanceTimersByTimeAsync(0)
  expect(names()).toEqual(['connecting', 'waiting'])
  await vi.advanceTimersByTimeAsync(500 + LIMIT_MS - 1)
  expect(names().at(-1)).toBe('connecting')
  await vi.advanceTimersByTimeAsync(1)
  expect(names().at(-1)).toBe('waiting')
})

test('what the service said is told with the failure, and not before the time that it named', async () => {
  line.start()
  line.says({ ...trouble, retrySeconds: 7 })
  line.breaks()
  expect(states.at(-1)).toMatchObject({ name: 'waiting', trouble: { reason: 'LIMIT', message: 'full' } })
  expect(waitMs()).toBe(7_000)
  await vi.advanceTimersByTimeAsync(7_000)
  line.breaks()
  expect(states.at(-1)).toMatchObject({ name: 'waiting', trouble: undefined })
})

test('a refusal for good is the end, until somebody starts it again', async () => {
  line.start()
  line.refuses(trouble)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(states.at(-1)).toEqual({ name: 'refused', trouble })
  expect(line.signals).toHaveLength(1)
  line.start()
  expect(names().at(-1)).toBe('connecting')
})

test('a person need not wait, and hurries nothing that does not wait', async () => {
  line.start()
  line.hurry(states.at(-1)!)
  expect(line.signals).toHaveLength(1)
  line.breaks()
  line.hurry(states.at(-1)!)
  await vi.advanceTimersByTimeAsync(400)
  expect([line.signals.length, names().at(-1)]).toEqual([2, 'connecting'])
})

test('each attempt gives back what it took, and what comes after its end is dropped', async () => {
  let fail: (error: Error) => void = () => {}
  line.plan = [() => new Promise((_, reject) => (fail = reject))]
  line.start()
  const [over] = line.signals
  const hear = until(over!, (word: string) => line.heard.push(word))
  hear('in time')
  line.stop()
  hear('late')
  fail(new Error('late'))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(over!.aborted).toBe(true)
  expect(line.heard).toEqual(['in time'])
  expect(names()).toEqual(['connecting', 'idle'])
  // Before the attempt, which could have followed another one, and after it.
  expect(line.released).toBe(2)
})
