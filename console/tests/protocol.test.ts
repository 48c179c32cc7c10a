import { describe, expect, test } from 'vitest'
import { closeAdvice, decodeFrame, encodeCommand, isRoomName, reconnectHint, textOf } from '../src/chat/protocol'

describe('frames', () => {
  test('a frame holds several objects', () => {
    const frame = '{}\n{"id":7,"result":{"offset":1}}\n{"push":{"channel":"lobby","typing":{}}}'
    expect(decodeFrame(frame).map(({ type }) => type)).toEqual(['ping', 'reply', 'push'])
  })

  test('what is not understood is skipped and the rest is kept', () => {
    expect(decodeFrame('nonsense\n[1]\nnull\n{"x":1}\n\n{"id":1,"error":{"code":100}}')).toEqual([
      { type: 'reply', id: 1, error: { code: 100 } },
    ])
  })

  test('a command is one line, whatever is written in it', () => {
    expect(encodeCommand(3, 'publish', { channel: 'lobby', data: 'a\nb' })).toBe(
      '{"id":3,"publish":{"channel":"lobby","data":"a\\nb"}}',
    )
  })
})

describe('close codes', () => {
  test.each([1000, 1001, 1006, 1009, 1012, 3000, 3001, 3008, 3012, 3499, 4000, 4499])('%i comes back', (code) => {
    expect(closeAdvice(code)).toBe('reconnect')
  })
  test.each([3501, 3503, 3509, 3999, 4500, 4999])('%i stays away', (code) => {
    expect(closeAdvice(code)).toBe('stay-away')
  })
  test.each([3005, 3500])('%i wants another token', (code) => {
    expect(closeAdvice(code)).toBe('new-token')
  })
  test('a hint is taken from the reason, within reason', () => {
    expect(reconnectHint('{"reconnect_after_ms":1500}')).toBe(1500)
    expect(reconnectHint('{"reconnect_after_ms":99999999}')).toBe(120_000)
    for (const reason of ['shutdown', '', '{}', '{"reconnect_after_ms":-1}', '{"reconnect_after_ms":"1"}', '7']) {
      expect(reconnectHint(reason)).toBeUndefined()
    }
  })
})

test('text of a message', () => {
  expect(textOf('hello')).toBe('hello')
  expect(textOf({ text: 'hello', colour: 1 })).toBe('hello')
  expect(textOf({ n: 1 })).toBe('{"n":1}')
  expect(textOf(null)).toBe('null')
  expect(textOf(undefined)).toBe('')
})

test('names of rooms', () => {
  for (const good of ['lobby', 'team/blue', 'a.b_c-d:e@f', 'x'.repeat(128)]) expect(isRoomName(good)).toBe(true)
  for (const bad of ['', 'x'.repeat(129), 'a b', '大厅', '$internal', 'a\nb']) expect(isRoomName(bad)).toBe(false)
})
