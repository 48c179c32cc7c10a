import { describe, expect, test } from 'vitest'
import { BACKOFF, backoffMs, Connection, type Output } from '../src/chat/connection'

const AS = { client: 'c', user: 'u', name: 'n', avatar: '', node: '', version: '', ping_ms: 25_000, pong_ms: 10_000 }

function connection(random = 1) {
  return new Connection(
    () => ({ name: 'test', version: '0' }),
    () => random,
  )
}

function connected() {
  const machine = connection()
  machine.handle({ type: 'start' })
  machine.handle({ type: 'opened' })
  machine.handle({ type: 'text', text: JSON.stringify({ id: 1, result: AS }) })
  return machine
}

function sent(outputs: Output[]): string[] {
  return outputs.flatMap((output) => (output.type === 'send' ? [output.text] : []))
}

function timer(outputs: Output[], name: string): number | undefined {
  return outputs.flatMap((output) => (output.type === 'set-timer' && output.timer === name ? [output.ms] : [])).at(-1)
}

test('it greets once it is open, and is connected once it is greeted back', () => {
  const machine = connection()
  expect(machine.handle({ type: 'start' }).some(({ type }) => type === 'open')).toBe(true)
  expect(sent(machine.handle({ type: 'opened' }))).toEqual(['{"id":1,"connect":{"name":"test","version":"0"}}'])
  const outputs = machine.handle({ type: 'text', text: JSON.stringify({ id: 1, result: AS }) })
  expect(machine.phase).toEqual({ name: 'connected', as: AS })
  expect(timer(outputs, 'silence')).toBe(35_000)
})

test('it answers every ping', () => {
  expect(sent(connected().handle({ type: 'text', text: '{}\n{}' }))).toEqual(['{}', '{}'])
})

test('a silent server is left, and tried again', () => {
  const outputs = connected().handle({ type: 'timer', timer: 'silence' })
  expect(outputs.some(({ type }) => type === 'close')).toBe(true)
  expect(timer(outputs, 'retry')).toBe(BACKOFF.firstMs)
})

test('a handshake that takes too long is given up', () => {
  const machine = connection()
  machine.handle({ type: 'start' })
  machine.handle({ type: 'timer', timer: 'handshake' })
  expect(machine.phase.name).toBe('waiting')
})

describe('coming back', () => {
  test('the ceiling doubles and has a top, and the delay is anywhere below it', () => {
    expect([0, 1, 2, 10].map((attempt) => backoffMs(attempt, 1))).toEqual([500, 1000, 2000, BACKOFF.longestMs])
    expect(backoffMs(3, 0)).toBe(0)
    expect(backoffMs(3, 0.5)).toBe(2000)
  })

  test('attempts are counted until a greeting succeeds', () => {
    const machine = connection()
    machine.handle({ type: 'start' })
    for (const delay of [500, 1000, 2000]) {
      expect(timer(machine.handle({ type: 'closed', code: 1006, reason: '' }), 'retry')).toBe(delay)
      machine.handle({ type: 'timer', timer: 'retry' })
    }
    machine.handle({ type: 'opened' })
    machine.handle({ type: 'text', text: JSON.stringify({ id: 1, result: AS }) })
    expect(timer(machine.handle({ type: 'closed', code: 3000, reason: '' }), 'retry')).toBe(500)
  })

  test('the server may say when', () => {
    const outputs = connected().handle({ type: 'closed', code: 3001, reason: '{"reconnect_after_ms":2345}' })
    expect(timer(outputs, 'retry')).toBe(2345)
  })

  test('a terminal code ends it until somebody starts it', () => {
    const machine = connected()
    const outputs = machine.handle({ type: 'closed', code: 3503, reason: 'force disconnect' })
    expect(timer(outputs, 'retry')).toBeUndefined()
    expect(machine.phase).toEqual({ name: 'stopped', code: 3503, reason: 'force disconnect', advice: 'stay-away' })
    machine.handle({ type: 'start' })
    expect(machine.phase.name).toBe('connecting')
  })

  test('a refused greeting is told in its own words, whatever the close code says after it', () => {
    const machine = connection()
    machine.handle({ type: 'start' })
    machine.handle({ type: 'opened' })
    const error = { code: 109, message: 'token expired', temporary: false }
    machine.handle({ type: 'text', text: JSON.stringify({ id: 1, error }) })
    machine.handle({ type: 'closed', code: 3500, reason: '' })
    expect(machine.phase).toMatchObject({ name: 'stopped', code: 109, advice: 'new-token' })
  })
})

describe('commands', () => {
  test('answers find their commands in any order', () => {
    const machine = connected()
    const first = machine.command('presence', { channel: 'a' }).id
    const second = machine.command('presence', { channel: 'b' }).id
    const text = `{"id":${second},"result":{}}\n{"id":${first},"result":{}}`
    const replies = machine.handle({ type: 'text', text }).filter(({ type }) => type === 'reply')
    expect(replies.map((reply) => 'id' in reply && reply.id)).toEqual([second, first])
  })

  test('none is sent while there is no connection', () => {
    expect(connection().command('presence', { channel: 'a' })).toEqual({ outputs: [] })
  })

  test('those that wait when the connection ends are reported lost, once', () => {
    const machine = connected()
    const { id } = machine.command('presence', { channel: 'a' })
    expect(machine.handle({ type: 'closed', code: 1006, reason: '' })).toContainEqual({ type: 'lost', ids: [id] })
    expect(machine.handle({ type: 'text', text: `{"id":${id},"result":{}}` })).toEqual([])
  })
})
