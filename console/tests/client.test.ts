import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ChatClient, type OpenSocket } from '../src/chat/client'
import type { Publication } from '../src/chat/protocol'

type Events = Parameters<OpenSocket>[0]
type Command = { id: number } & Record<string, Record<string, unknown>>

const AS = { client: 'c', user: 'me', name: 'Me', avatar: '', node: '', version: '', ping_ms: 25_000, pong_ms: 10_000 }

/** A gateway of the test: it sees every command and answers by hand. */
class Gateway {
  sockets: Events[] = []
  commands: Command[] = []

  open: OpenSocket = (events) => {
    this.sockets.push(events)
    return {
      send: (text) => this.commands.push(...text.split('\n').map((line) => JSON.parse(line) as Command)),
      close: () => {},
    }
  }

  say(...objects: unknown[]): void {
    this.sockets.at(-1)?.text(objects.map((object) => JSON.stringify(object)).join('\n'))
  }

  /** The newest command with this verb. */
  last(verb: string): Command {
    const command = this.commands.findLast((one) => verb in one)
    if (!command) throw new Error(`no ${verb} was sent`)
    return command
  }

  count(verb: string): number {
    return this.commands.filter((one) => verb in one).length
  }

  greet(): void {
    this.sockets.at(-1)?.opened()
    this.say({ id: this.last('connect').id, result: AS })
  }

  subscribe(result: object): void {
    this.say({ id: this.last('subscribe').id, result: { epoch: 'e', publications: [], ...result } })
  }
}

function publication(offset: number, more: Partial<Publication> = {}): Publication {
  const from = { client: 'x', user: 'x', name: 'X', avatar: '' }
  return { offset, ts: 0, kind: 'message', from, data: `m${offset}`, ...more }
}

let gateway: Gateway
let client: ChatClient

beforeEach(() => {
  vi.useFakeTimers()
  gateway = new Gateway()
  client = new ChatClient(
    gateway.open,
    () => ({ name: 'test', version: '0' }),
    () => 1,
  )
  client.join('lobby')
  client.start()
  gateway.greet()
  gateway.subscribe({ offset: 0, recovered: false })
})

afterEach(() => {
  client.stop()
  vi.useRealTimers()
})

function lobby() {
  const room = client.state.rooms.get('lobby')
  if (!room) throw new Error('no lobby')
  return room
}

function breakAndReturn(): void {
  gateway.sockets.at(-1)?.closed(1006, '')
  vi.advanceTimersByTime(500)
  gateway.greet()
}

test('joining reads history, people and marks', () => {
  for (const verb of ['history', 'presence', 'receipts'])
    expect(gateway.last(verb)[verb]).toMatchObject({ channel: 'lobby' })
  expect(lobby().phase).toBe('joined')
})

describe('a return', () => {
  test('subscribes from the newest position and tells what was missed', () => {
    gateway.say({ push: { channel: 'lobby', pub: publication(1) } })
    breakAndReturn()
    expect(gateway.last('subscribe')['subscribe']).toMatchObject({ recover: { epoch: 'e', offset: 1 } })
    // A push behind the answer, in one frame with it, must not be taken before it.
    gateway.say(
      {
        id: gateway.last('subscribe').id,
        result: { epoch: 'e', offset: 2, recovered: true, publications: [publication(2)] },
      },
      { push: { channel: 'lobby', pub: publication(3) } },
    )
    expect(lobby().messages.map(({ offset }) => offset)).toEqual([1, 2, 3])
    expect(client.state.recovery).toEqual({ messages: 1, restarted: [] })
  })

  test('reads history anew when the gap cannot be filled, and says so', () => {
    gateway.say({ push: { channel: 'lobby', pub: publication(1) } })
    const before = gateway.count('history')
    breakAndReturn()
    gateway.subscribe({ epoch: 'f', offset: 9, recovered: false })
    expect(client.state.recovery).toEqual({ messages: 0, restarted: ['lobby'] })
    expect(gateway.count('history')).toBe(before + 1)
  })

  test('sends what was not acknowledged again under its key', () => {
    client.send(lobby(), 'hello')
    const first = gateway.last('publish')['publish']
    breakAndReturn()
    gateway.subscribe({ offset: 0, recovered: true })
    expect(gateway.count('publish')).toBe(2)
    expect(gateway.last('publish')['publish']).toEqual(first)
  })

  test('does not send again what recovery brought', () => {
    client.send(lobby(), 'hello')
    const key = gateway.last('publish')['publish']?.['key'] as string
    breakAndReturn()
    gateway.subscribe({ offset: 1, recovered: true, publications: [publication(1, { key })] })
    expect(gateway.count('publish')).toBe(1)
    expect(lobby().drafts).toEqual([])
  })
})

test('a message that was refused stays, and is sent again under the same key', () => {
  client.send(lobby(), 'hello')
  const first = gateway.last('publish')
  gateway.say({ id: first.id, error: { code: 111, message: 'slow down', temporary: true } })
  expect(lobby().drafts).toMatchObject([{ state: 'failed', error: { code: 111 } }])
  client.retry(lobby(), lobby().drafts[0]!.key)
  expect(lobby().drafts).toMatchObject([{ state: 'sending' }])
  expect(gateway.last('publish')['publish']).toEqual(first['publish'])
})

test('an acknowledged duplicate whose message went by long ago leaves no draft', () => {
  gateway.say({ push: { channel: 'lobby', pub: publication(5) } })
  client.send(lobby(), 'hello')
  gateway.say({ id: gateway.last('publish').id, result: { epoch: 'e', offset: 4, duplicate: true } })
  expect(lobby().drafts).toEqual([])
})

describe('a subscription that the server ends', () => {
  test('is taken up again from 2500 on', () => {
    gateway.say({ push: { channel: 'lobby', unsub: { code: 2500, message: 'insufficient state' } } })
    expect(gateway.count('subscribe')).toBe(2)
  })

  test('is over below', () => {
    gateway.say({ push: { channel: 'lobby', unsub: { code: 2000, message: 'removed' } } })
    expect(gateway.count('subscribe')).toBe(1)
    expect(lobby().phase).toBe('refused')
  })
})

describe('marks', () => {
  test('are gathered, and say read where somebody looks', () => {
    client.view('lobby')
    gateway.say(
      { push: { channel: 'lobby', pub: publication(1) } },
      { push: { channel: 'lobby', pub: publication(2) } },
    )
    vi.advanceTimersByTime(5_000)
    expect(gateway.count('receipt')).toBe(1)
    expect(gateway.last('receipt')['receipt']).toEqual({ channel: 'lobby', read: 2 })
    expect([lobby().unread, lobby().firstUnread]).toEqual([0, undefined])
  })

  test('say delivered where nobody does', () => {
    gateway.say({ push: { channel: 'lobby', pub: publication(1) } })
    vi.advanceTimersByTime(5_000)
    expect(gateway.last('receipt')['receipt']).toEqual({ channel: 'lobby', delivered: 1 })
    expect(lobby().unread).toBe(1)
  })
})

test('typing is told now and then, not with every key', () => {
  for (let key = 0; key < 10; key += 1) client.typing(lobby(), true)
  expect(gateway.count('typing')).toBe(1)
  client.typing(lobby(), false)
  client.typing(lobby(), false)
  expect(gateway.count('typing')).toBe(2)
})

describe('a new token of the same person', () => {
  test('is told on the connection, which goes on', () => {
    client.takeToken('h.new.s')
    expect(gateway.last('refresh')['refresh']).toEqual({ token: 'h.new.s' })
    gateway.say({ id: gateway.last('refresh').id, result: { expires_in: 900 } })
    expect([gateway.sockets.length, client.state.phase.name, client.state.problem]).toEqual([1, 'connected', undefined])
  })

  test('brings back a connection whose token had ended', () => {
    gateway.sockets.at(-1)?.closed(3005, 'token expired')
    expect(client.state.phase.name).toBe('stopped')
    client.takeToken('h.new.s')
    expect([gateway.sockets.length, client.state.phase.name]).toEqual([2, 'connecting'])
  })

  test('waits for the greeting while there is no connection', () => {
    gateway.sockets.at(-1)?.closed(1006, '')
    client.takeToken('h.new.s')
    expect([gateway.count('refresh'), client.state.phase.name]).toEqual([0, 'waiting'])
  })
})
