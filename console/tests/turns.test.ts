import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { inTurn } from '../src/account/turns'

const stored = new Map<string, string>()

/** A browser on plain http: storage, and no locks. */
beforeEach(() => {
  vi.useFakeTimers()
  stored.clear()
  vi.stubGlobal('navigator', {})
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  })
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

test('without locks, too, only one works at a time, and each gets its turn', async () => {
  let working = 0
  let most = 0
  let done = 0
  const work = async () => {
    working += 1
    most = Math.max(most, working)
    await new Promise((finished) => setTimeout(finished, 300))
    working -= 1
    done += 1
  }
  const all = Promise.all([inTurn(work), inTurn(work), inTurn(work)])
  await vi.advanceTimersByTimeAsync(5_000)
  await all
  expect([most, done, stored.size]).toEqual([1, 3, 0])
})

test('a turn that failed is over', async () => {
  const failed = expect(inTurn(() => Promise.reject(new Error('away')))).rejects.toThrow('away')
  await vi.advanceTimersByTimeAsync(1_000)
  await failed
  expect(stored.size).toBe(0)
})

test('a tab that was closed in its turn does not hold up the others for good', async () => {
  stored.set('patchbay.turn', `${Date.now()} 0.5`)
  let done = false
  const waiting = inTurn(async () => {
    done = true
  })
  await vi.advanceTimersByTimeAsync(15_000)
  expect(done).toBe(false)
  await vi.advanceTimersByTimeAsync(6_000)
  await waiting
  expect(done).toBe(true)
})
