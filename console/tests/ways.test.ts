/** Which way the pictures take, the one over WebSocket, and staying near the newest picture. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Trouble } from '../src/calls/trouble'
import { advise, type Range } from '../src/cameras/edge'
import { kindsOf } from '../src/cameras/feed'
import { Mse, type MseSocket, type Sink, type SocketEvents } from '../src/cameras/mse'
import { Standing } from '../src/cameras/standing'
import { PATIENCE_MS, Ways, type WayName } from '../src/cameras/ways'
import type { AttemptState } from '../src/cameras/attempts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const trouble: Trouble = { reason: 'R', message: '' }

describe('the way', () => {
  class Fake {
    static made: Fake[] = []
    beganAtMs = 0
    connectedAtMs = undefined
    isStopped = false
    hurried = 0
    constructor(
      readonly name: WayName,
      readonly told: (state: AttemptState) => void,
    ) {
      Fake.made.push(this)
    }
    start() {
      this.told({ name: 'connecting' })
    }
    stop() {
      this.isStopped = true
      this.told({ name: 'idle' })
    }
    hurry() {
      this.hurried += 1
    }
  }

  let states: AttemptState[], ways: Ways
  const current = () => Fake.made.at(-1)!
  const last = () => states.at(-1)!
  const waiting = (told?: Trouble): AttemptState => ({ name: 'waiting', untilMs: 0, trouble: told })

  function begin(hasMse = true): void {
    Fake.made = []
    states = []
    const mse = hasMse ? (told: (state: AttemptState) => void) => new Fake('mse', told) : undefined
    ways = new Ways(
      { webrtc: (told) => new Fake('webrtc', told), mse },
      { state: (state) => states.push(state), way: () => {} },
      { now: () => Date.now(), random: () => 0.5 },
    )
    ways.start()
  }

  test('is WebRTC where that connects in time', () => {
    begin()
    vi.advanceTimersByTime(PATIENCE_MS - 1)
    current().told({ name: 'connected' })
    vi.advanceTimersByTime(60_000)
    expect([ways.name, last().name, Fake.made.length]).toEqual(['webrtc', 'connected', 1])
  })

  test('is MSE after some seconds without a connection, and WebRTC is left', () => {
    begin()
    vi.advanceTimersByTime(PATIENCE_MS)
    expect([ways.name, Fake.made[0]!.isStopped]).toEqual(['mse', true])
    current().told({ name: 'connected' })
    expect(last().name).toBe('connected')
    Fake.made[0]!.told({ name: 'connected' })
    Fake.made[0]!.told(waiting())
    expect(states.map(({ name }) => name)).toEqual(['connecting', 'connecting', 'connected'])
  })

  test('is MSE at once where WebRTC fails, or has no codec for this browser', () => {
    begin()
    current().told(waiting())
    expect(ways.name).toBe('mse')
    begin()
    current().told({ name: 'refused', trouble: { reason: 'NO_COMMON_CODEC', message: '' } })
    expect(ways.name).toBe('mse')
  })

  test('stays where the service says why it refuses', () => {
    begin()
    current().told(waiting(trouble))
    expect([ways.name, last().name]).toEqual(['webrtc', 'waiting'])
    begin()
    current().told({ name: 'refused', trouble })
    vi.advanceTimersByTime(60_000)
    expect([ways.name, last()]).toEqual(['webrtc', { name: 'refused', trouble }])
  })

  test('a way that was good and broke is tried again before the other one', () => {
    begin()
    current().told({ name: 'connected' })
    current().told(waiting())
    expect([ways.name, last().name]).toEqual(['webrtc', 'waiting'])
    current().told({ name: 'connecting' })
    vi.advanceTimersByTime(PATIENCE_MS)
    expect(ways.name).toBe('mse')
    current().told({ name: 'connected' })
    current().told(waiting())
    expect(ways.name).toBe('mse')
    current().told({ name: 'connecting' })
    current().told(waiting())
    expect(last().name).toBe('waiting')
    vi.advanceTimersByTime(1_000)
    expect(ways.name).toBe('webrtc')
  })

  test('while both fail, the pauses grow, and a person need not wait', () => {
    begin()
    const waits: number[] = []
    for (let round = 0; round < 7; round += 1) {
      current().told(waiting())
      current().told(waiting())
      const state = last()
      if (state.name !== 'waiting') throw new Error(state.name)
      waits.push(state.untilMs - Date.now())
      if (round < 6) vi.advanceTimersByTime(state.untilMs - Date.now())
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
    ways.hurry(last())
    expect([ways.name, last().name]).toEqual(['webrtc', 'connecting'])
  })

  test('what WebRTC was refused for is told where MSE is refused too', () => {
    begin()
    const codec = { reason: 'NO_COMMON_CODEC', message: 'of WebRTC' }
    current().told({ name: 'refused', trouble: codec })
    current().told({ name: 'refused', trouble })
    expect(last()).toEqual({ name: 'refused', trouble: codec })
  })

  test('without Media Source Extensions there is only WebRTC', () => {
    begin(false)
    vi.advanceTimersByTime(60_000)
    current().told(waiting())
    expect([ways.name, last().name, Fake.made.length]).toEqual(['webrtc', 'waiting', 1])
    ways.hurry(last())
    expect(current().hurried).toBe(1)
  })

  test('ends when it is told to', () => {
    begin()
    ways.stop()
    vi.advanceTimersByTime(60_000)
    expect([last().name, Fake.made.length]).toEqual(['idle', 1])
  })
})

describe('MSE over WebSocket', () => {
  let sockets: { events: SocketEvents; sent: string[]; isClosed: boolean }[]
  let sinks: { begun: string[]; bytes: number; isStopped: boolean; failed: (why: string) => void }[]
  let states: AttemptState[], mse: Mse
  let failsAtOnce = false

  beforeEach(async () => {
    failsAtOnce = false
    sockets = []
    sinks = []
    states = []
    mse = new Mse(
      { state: (state) => states.push(state), begun: () => {} },
      {
        open: async (events): Promise<MseSocket> => {
          const socket = { events, sent: [] as string[], isClosed: false }
          sockets.push(socket)
          return { send: (text) => void socket.sent.push(text), close: () => void (socket.isClosed = true) }
        },
        sink: (failed): Sink => {
          const sink = { begun: [] as string[], bytes: 0, isStopped: false, failed }
          sinks.push(sink)
          return {
            begin: (mime) => (failsAtOnce ? failed('at once') : void sink.begun.push(mime)),
            push: (bytes) => void (sink.bytes += bytes.byteLength),
            stop: () => void (sink.isStopped = true),
          }
        },
        codecs: ['avc1.640029', 'opus'],
        now: () => Date.now(),
        random: () => 0.5,
      },
    )
    mse.start()
    await vi.advanceTimersByTimeAsync(0)
  })

  const now = () => sockets.at(-1)!
  const say = (message: object) => now().events.text(JSON.stringify(message))
  const names = () => states.map(({ name }) => name)

  test('the page says what it plays, and feeds what comes', () => {
    now().events.opened()
    expect(now().sent).toEqual(['{"type":"mse","codecs":["avc1.640029","opus"]}'])
    say({ type: 'mse', mime: 'video/mp4; codecs="avc1.640029"' })
    now().events.bytes(new ArrayBuffer(100))
    now().events.bytes(new ArrayBuffer(20))
    expect(names()).toEqual(['connecting', 'connected'])
    expect(sinks).toMatchObject([{ begun: ['video/mp4; codecs="avc1.640029"'], bytes: 120 }])
    expect([mse.bytes, mse.fragments]).toEqual([120, 2])
  })

  test('goes on over a restart of the source, with other codecs', () => {
    say({ type: 'mse', mime: 'a' })
    say({ type: 'waiting', message: 'the camera is away' })
    vi.advanceTimersByTime(120_000)
    say({ type: 'mse', mime: 'b' })
    now().events.bytes(new ArrayBuffer(1))
    expect(names()).toEqual(['connecting', 'connected'])
    expect([sockets.length, sinks.length, sinks[0]!.begun]).toEqual([1, 1, ['a', 'b']])
  })

  test('a connection that breaks, is silent, or whose player fails is made anew', async () => {
    const breaks = [
      () => now().events.closed(1006),
      () => vi.advanceTimersByTime(30_000),
      () => sinks.at(-1)!.failed('decoder'),
    ]
    for (const end of breaks) {
      say({ type: 'mse', mime: 'a' })
      expect(names().at(-1)).toBe('connected')
      end()
      expect(names().at(-1)).toBe('waiting')
      expect([now().isClosed, sinks.at(-1)!.isStopped]).toEqual([true, true])
      await vi.advanceTimersByTimeAsync(3_000)
      expect(names().at(-1)).toBe('connecting')
    }
    expect(sockets).toHaveLength(4)
  })

  test('a player that fails at once is not connected', () => {
    failsAtOnce = true
    say({ type: 'mse', mime: 'a' })
    expect(names()).toEqual(['connecting', 'waiting'])
    expect(sinks[0]!.isStopped).toBe(true)
  })

  test('a refusal for good is told and not tried again; one that passes is', async () => {
    say({ type: 'error', code: 'LIMIT', message: 'full' })
    now().events.closed(1013)
    expect(states.at(-1)).toMatchObject({ name: 'waiting', trouble: { reason: 'LIMIT', message: 'full' } })
    await vi.advanceTimersByTimeAsync(1_000)
    say({ type: 'error', code: 'NOT_FOUND', message: 'gone' })
    now().events.closed(1008)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(states.at(-1)).toEqual({ name: 'refused', trouble: { reason: 'NOT_FOUND', message: 'gone' } })
    expect(sockets).toHaveLength(2)
  })

  test('what is not understood is left aside, and no answer is no connection', async () => {
    for (const text of ['', 'null', '[]', '{"type":"later"}', '{"type":"mse"}']) now().events.text(text)
    expect(names()).toEqual(['connecting'])
    await vi.advanceTimersByTimeAsync(15_000)
    expect(names().at(-1)).toBe('waiting')
  })

  test('what a type carries decides whether a player can go on with it', () => {
    const kinds = (codecs: string) => kindsOf(`video/mp4; codecs="${codecs}"`)
    expect(kinds('avc1.64001f,mp4a.40.2')).toBe(kinds('opus, hvc1.1.6.L93.B0'))
    expect(kinds('avc1.64001f')).not.toBe(kinds('avc1.64001f,opus'))
    expect(kindsOf('')).toBe('')
  })

  test('what an old connection brings is dropped', () => {
    const { events } = now()
    mse.stop()
    events.text(JSON.stringify({ type: 'mse', mime: 'a' }))
    events.closed(1006)
    expect([names(), sinks.length]).toEqual([['connecting', 'idle'], 0])
  })
})

describe('the live edge', () => {
  test('nothing is done while there is nothing, and while it is near', () => {
    expect(advise({ at: 0, ranges: [] }, 1)).toEqual({ rate: 1 })
    expect(advise({ at: 9.7, ranges: [[0, 10]] }, 1)).toEqual({ rate: 1 })
  })

  test('far behind, ahead, or in a gap, it jumps near the newest picture', () => {
    expect(advise({ at: 0, ranges: [[0, 10]] }, 1).seek).toBeCloseTo(9.8)
    expect(advise({ at: 50, ranges: [[0, 10]] }, 1).seek).toBeCloseTo(9.8)
    expect(
      advise(
        {
          at: 3,
          ranges: [
            [0, 4],
            [4.5, 4.6],
          ],
        },
        1,
      ).seek,
    ).toBe(4.5)
  })

  test('a jump is waited for as long as it can end', () => {
    const jumping = (at: number, ranges: Range[]) => advise({ at, ranges, isSeeking: true }, 1).seek
    expect(jumping(1, [[1, 1.1]])).toBeUndefined()
    expect(jumping(1, [[1, 9]])).toBeUndefined()
    const gap: Range[] = [
      [1, 1.1],
      [1.2, 3],
    ]
    expect(jumping(1, gap)).toBeCloseTo(2.8)
  })

  test('a little behind, it hurries until it is near', () => {
    const rate = (behind: number, before: number) => advise({ at: 10 - behind, ranges: [[0, 10]] }, before).rate
    expect(rate(0.9, 1)).toBeGreaterThan(1)
    expect(rate(0.6, 1)).toBe(1)
    expect(rate(0.6, 1.08)).toBeGreaterThan(1)
    expect(rate(0.3, 1.08)).toBe(1)
  })

  test('the past is forgotten, in large pieces', () => {
    expect(advise({ at: 14, ranges: [[0, 14.2]] }, 1).forget).toBeUndefined()
    expect(advise({ at: 16, ranges: [[0, 16.2]] }, 1).forget).toBe(11)
  })
})

describe('a player that stands', () => {
  /** Something comes every 40 ms for some seconds; `at` is where the player is each time. */
  function feed(standing: Standing, fromMs: number, seconds: number, at: (ms: number) => number): boolean {
    for (let ms = 0; ms <= seconds * 1_000; ms += 40) {
      standing.fed(fromMs + ms)
      standing.saw(at(ms), true)
      if (standing.isStuck) return true
    }
    return false
  }

  test('is stuck after ten seconds in which something came, also one that has never begun', () => {
    expect(feed(new Standing(), 0, 9.9, () => 0)).toBe(false)
    expect(feed(new Standing(), 0, 10.1, () => 0)).toBe(true)
    const moving = new Standing()
    expect(feed(moving, 0, 60, (ms) => ms / 1_000)).toBe(false)
    expect(feed(moving, 60_000, 10.1, () => 60)).toBe(true)
  })

  test('does not move by jumping', () => {
    const standing = new Standing()
    const jump = (ms: number) => {
      standing.jumped(ms / 1_000)
      return ms / 1_000
    }
    expect(feed(standing, 0, 10.1, jump)).toBe(true)
  })

  test('may stand while nothing comes, however long that is, and while nobody sees it', () => {
    const standing = new Standing()
    feed(standing, 0, 3, (ms) => ms / 1_000)
    // What came last was not shown any more.
    standing.fed(3_100)
    expect(feed(standing, 60_000, 9, () => 3)).toBe(false)
    for (let ms = 70_000; ms < 100_000; ms += 40) {
      standing.fed(ms)
      standing.saw(3, false)
    }
    expect(standing.isStuck).toBe(false)
  })
})
