import { expect, test } from 'vitest'
import { lines } from '../src/chat/log'
import { people } from '../src/chat/people'
import { payloadBytes, pieces } from '../src/chat/text'
import { figures, services } from '../src/overview/figures'
import type { Replica, Snapshot } from '../src/overview/nodes'
import { initials, shownPicture } from '../src/ui/picture'

test('pictures are shown from here, https and data only', () => {
  const here = 'http://console.test:8000'
  expect(shownPicture('/avatars/1.svg', here)).toBe(`${here}/avatars/1.svg`)
  expect(shownPicture(`${here}/a.png`, here)).toBe(`${here}/a.png`)
  expect(shownPicture('https://pictures.test/a.png', here)).toBe('https://pictures.test/a.png')
  expect(shownPicture('data:image/png;base64,AA==', here)).toBe('data:image/png;base64,AA==')
  for (const other of [
    '',
    './images/1.png',
    'http://elsewhere.test/a.png',
    '//elsewhere.test/a.png',
    'javascript:alert(1)',
    'data:text/html,x',
    '/\\elsewhere.test/a.png',
  ]) {
    expect(shownPicture(other, here)).toBeUndefined()
  }
})

test('initials', () => {
  expect(['Ada', 'ada lovelace', '李明', 'Ana María Ruiz', '😀 x', ''].map(initials)).toEqual([
    'A',
    'AL',
    '李',
    'AR',
    '😀X',
    '?',
  ])
})

test('links are found in text, and only http ones', () => {
  expect(pieces('see https://a.test/x?y=1, or (http://b.test).')).toEqual([
    { text: 'see ' },
    { text: 'https://a.test/x?y=1', href: 'https://a.test/x?y=1' },
    { text: ', or (' },
    { text: 'http://b.test', href: 'http://b.test' },
    { text: ').' },
  ])
  expect(pieces('<b>javascript:alert(1)</b>')).toEqual([{ text: '<b>javascript:alert(1)</b>' }])
})

test('size of a payload is counted as the gateway counts it', () => {
  expect([payloadBytes('a'), payloadBytes('字'), payloadBytes('"')]).toEqual([3, 5, 4])
})

test('people are one for each user, oneself first', () => {
  const member = (client: string, user: string, name: string) => ({ client, user, name, avatar: '' })
  const shown = people([member('1', 'z', 'Zoe'), member('2', 'b', 'Bob'), member('3', 'b', 'Bob')], 'z')
  expect(shown.map(({ user, windows }) => [user, windows])).toEqual([
    ['z', 1],
    ['b', 2],
  ])
})

test('a sender is named once a run, and days are parted', () => {
  const from = { client: 'c', user: 'u', name: 'U', avatar: '' }
  const message = (offset: number, ts: number) => ({
    offset,
    ts,
    from,
    text: '',
    edited: false,
    deleted: false,
    reactions: [],
  })
  const day = 86_400_000
  const shown = lines({ messages: [message(1, day), message(2, day + 1), message(3, 3 * day)], firstUnread: 3 })
  expect(shown.map((line) => (line.kind === 'message' ? line.continued : line.kind))).toEqual([
    'day',
    false,
    true,
    'day',
    'unread',
    false,
  ])
})

test('counters become rates, and a restarted replica has none yet', () => {
  const replica = (id: string, published: number): Replica => ({
    id,
    service: 'chat-gateway',
    version: '1',
    uptimeSeconds: 1,
    state: 'ready',
    detail: '',
    figures: { published_total: published, connections: 2 },
  })
  const snapshot = (atMs: number, replicas: Replica[]): Snapshot => ({
    replicas,
    backplane: 'memory',
    backplaneUp: true,
    atMs,
  })
  const before = snapshot(0, [replica('a', 10), replica('b', 50)])
  const now = snapshot(2_000, [replica('a', 30), replica('b', 5)])
  expect(figures(now.replicas[1]!, now, before)).toContainEqual({ name: 'published', kind: 'rate' })
  expect(services(now, before)[0]?.figures).toEqual([
    { name: 'connections', kind: 'gauge', value: 4 },
    { name: 'published', kind: 'rate', value: 10 },
  ])
})
