/** The WHEP client with a relay and a connection that do as the test says. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Trouble } from '../src/calls/trouble'
import type { AttemptState } from '../src/cameras/attempts'
import { resourceOf, Whep } from '../src/cameras/whep'

const ADDRESS = '/camera/whep/yard'

class Peer {
  static made: Peer[] = []
  kinds: string[] = []
  localDescription: { sdp: string } | null = null
  remote: string | undefined
  isClosed = false
  connectionState = 'new'
  onconnectionstatechange?: () => void
  ontrack?: (event: unknown) => void

  constructor() {
    Peer.made.push(this)
  }
  addTransceiver(kind: string, { direction }: { direction: string }) {
    this.kinds.push(`${kind} ${direction}`)
  }
  async setLocalDescription() {
    this.localDescription = { sdp: 'offer' }
  }
  async setRemoteDescription({ sdp }: { sdp: string }) {
    this.remote = sdp
  }
  close() {
    this.isClosed = true
  }
  becomes(state: string) {
    this.connectionState = state
    this.onconnectionstatechange?.()
  }
}

class RelayRefusal extends Error {
  constructor(
    readonly status: number,
    readonly trouble: Trouble,
  ) {
    super(trouble.message)
  }
}

interface Asked {
  address: string
  method: string | undefined
  request: RequestInit
}

let asked: Asked[], states: AttemptState[], answers: (() => Promise<Response>)[], whep: Whep

const created = (location = '/whep/yard/node.42') =>
  Promise.resolve(new Response('answer', { status: 201, headers: { location } }))

beforeEach(() => {
  vi.useFakeTimers()
  Peer.made = []
  asked = []
  states = []
  answers = []
  whep = new Whep(
    ADDRESS,
    { state: (state) => states.push(state), track: () => {} },
    {
      peer: () => new Peer() as unknown as RTCPeerConnection,
      fetch: (address, request) => {
        asked.push({ address, method: request.method, request })
        if (request.method === 'DELETE') return Promise.resolve(new Response())
        return (answers.shift() ?? created)()
      },
      headers: () => Promise.resolve({ authorization: 'Bearer t' }),
      refusalOf: (answer) =>
        Promise.resolve(
          new RelayRefusal(answer.status, {
            reason: 'R',
            message: '',
            ...(answer.headers.has('retry-after') ? { retrySeconds: Number(answer.headers.get('retry-after')) } : {}),
          }),
        ),
      now: () => Date.now(),
      random: () => 0.5,
    },
  )
})

afterEach(() => {
  whep.stop()
  vi.useRealTimers()
})

const names = () => states.map(({ name }) => name)
const last = () => Peer.made.at(-1)!
const posts = () => asked.filter(({ method }) => method === 'POST')
const deletes = () => asked.filter(({ method }) => method === 'DELETE')

async function connect(): Promise<void> {
  whep.start()
  await vi.advanceTimersByTimeAsync(20)
  last().becomes('connected')
}

test('an offer to receive is posted, with the token, and the answer taken', async () => {
  await connect()
  expect(last().kinds).toEqual(['video recvonly', 'audio recvonly'])
  expect(posts()).toHaveLength(1)
  expect(posts()[0]).toMatchObject({
    address: ADDRESS,
    request: { body: 'offer', headers: { authorization: 'Bearer t', 'content-type': 'application/sdp' } },
  })
  expect(last().remote).toBe('answer')
  expect(names()).toEqual(['connecting', 'connected'])
  expect(whep.viewer).toBe('node.42')
  expect(whep.connectedAtMs! - whep.beganAtMs!).toBe(20)
})

test('leaving deletes the viewer at the relay, even while the page goes', async () => {
  await connect()
  whep.stop()
  expect(last().isClosed).toBe(true)
  expect(deletes()).toMatchObject([
    { address: '/camera/whep/yard/node.42', request: { keepalive: true, headers: { authorization: 'Bearer t' } } },
  ])
  expect(names().at(-1)).toBe('idle')
})

test('a viewer that the relay makes after we have left is deleted too', async () => {
  let answer: (response: Response) => void = () => {}
  answers = [() => new Promise((resolve) => (answer = resolve))]
  whep.start()
  await vi.advanceTimersByTimeAsync(0)
  whep.stop()
  answer(await created())
  await vi.advanceTimersByTimeAsync(0)
  expect(deletes().map(({ address }) => address)).toEqual(['/camera/whep/yard/node.42'])
  expect(names()).toEqual(['connecting', 'idle'])
})

test('a connection that breaks is made anew, and the old viewer given back', async () => {
  await connect()
  last().becomes('failed')
  expect(names().at(-1)).toBe('waiting')
  expect(deletes()).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(500)
  expect(names().at(-1)).toBe('connecting')
  expect(Peer.made.map(({ isClosed }) => isClosed)).toEqual([true, false])
})

test('a short break is waited for', async () => {
  await connect()
  last().becomes('disconnected')
  await vi.advanceTimersByTimeAsync(3_000)
  last().becomes('connected')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(posts()).toHaveLength(1)
  last().becomes('disconnected')
  await vi.advanceTimersByTimeAsync(4_000)
  expect(names().at(-1)).toBe('waiting')
})

test('an answer that leads to no connection is given up', async () => {
  whep.start()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(names()).toEqual(['connecting', 'waiting'])
  expect(deletes()).toHaveLength(1)
})

test.each([400, 401, 403, 404, 406, 422])('a refusal with %i is told and not tried again', async (status) => {
  answers = [() => Promise.resolve(new Response('', { status }))]
  whep.start()
  await vi.advanceTimersByTimeAsync(120_000)
  expect(states.at(-1)).toEqual({ name: 'refused', trouble: { reason: 'R', message: '' } })
  expect(posts()).toHaveLength(1)
})

test.each([408, 429, 500, 502, 503])('%i passes, after the time that the relay names', async (status) => {
  answers = [() => Promise.resolve(new Response('', { status, headers: { 'retry-after': '7' } }))]
  whep.start()
  await vi.advanceTimersByTimeAsync(6_900)
  expect(posts()).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(200)
  expect(posts()).toHaveLength(2)
})

test('the relay ends a viewer by closing DTLS, after which it is asked again', async () => {
  await connect()
  const transport: { state: string; onstatechange?: () => void } = { state: 'connected' }
  const receiver = { transport, track: { kind: 'video' } }
  last().ontrack?.({ track: receiver.track, receiver, transceiver: { receiver } })
  transport.state = 'closed'
  transport.onstatechange?.()
  expect(names().at(-1)).toBe('waiting')
})

test('the viewer is found below the prefix of the origin, however the relay writes it', () => {
  const viewer = '/camera/whep/yard/v1'
  expect(resourceOf('/whep/yard/v1', ADDRESS)).toBe(viewer)
  expect(resourceOf('/camera/whep/yard/v1', ADDRESS)).toBe(viewer)
  expect(resourceOf('yard/v1', ADDRESS)).toBe(viewer)
  expect(resourceOf('https://elsewhere.example/whep/yard/v1', ADDRESS), 'no token goes elsewhere').toBe(viewer)
  expect(() => resourceOf(null, ADDRESS)).toThrow()
})
