import { describe, expect, test } from 'vitest'
import type { Publication } from '../src/chat/protocol'
import {
  addDraft,
  applyJoin,
  applyLeave,
  applyLive,
  applyMark,
  applyPage,
  applySubscribed,
  applyTyping,
  expireTyping,
  MOST_LOADED,
  newRoom,
  readersByMessage,
  type Room,
} from '../src/chat/room'

const ADA = { client: 'ca', user: 'ada', name: 'Ada', avatar: '' }
const BOB = { client: 'cb', user: 'bob', name: 'Bob', avatar: '' }

function message(offset: number, data: unknown = `m${offset}`, more: Partial<Publication> = {}): Publication {
  return { offset, ts: offset * 1000, kind: 'message', from: ADA, data, ...more }
}

function reaction(offset: number, ref: number, emoji: string, remove = false, from = BOB): Publication {
  return { offset, ts: 0, kind: 'reaction', from, ref, data: { emoji, remove } }
}

function joined(offset = 0): Room {
  const room = newRoom('lobby')
  applySubscribed(room, { epoch: 'e', offset, recovered: false, publications: [] })
  return room
}

function offsets(room: Room): number[] {
  return room.messages.map(({ offset }) => offset)
}

function page(publications: Publication[], more = false) {
  return { epoch: 'e', offset: 99, publications, more }
}

describe('the stream', () => {
  test('a push that is not newer is dropped', () => {
    const room = joined()
    expect(applyLive(room, message(1))).toBe('message')
    expect(applyLive(room, message(1))).toBe('old')
    expect(offsets(room)).toEqual([1])
    expect(room.position).toEqual({ epoch: 'e', offset: 1 })
  })

  test('pages go in front, and what a push brought already is not repeated', () => {
    const room = joined(3)
    applyLive(room, message(4))
    applyPage(room, page([message(4), message(3), message(2)], true))
    expect(offsets(room)).toEqual([2, 3, 4])
    expect([room.oldest, room.more]).toEqual([2, true])
    applyPage(room, page([message(1)]))
    expect(offsets(room)).toEqual([1, 2, 3, 4])
    expect(room.more).toBe(false)
  })

  test('recovery continues without a gap or a repeat and tells how many messages it brought', () => {
    const room = joined()
    applyLive(room, message(1))
    const publications = [message(2), reaction(3, 1, '👍'), message(4)]
    expect(applySubscribed(room, { epoch: 'e', offset: 4, recovered: true, publications })).toEqual({
      kind: 'recovered',
      messages: 2,
    })
    expect(offsets(room)).toEqual([1, 2, 4])
    expect(room.position?.offset).toBe(4)
  })

  test('a gap that cannot be filled starts the room anew but keeps what was not sent', () => {
    const room = joined()
    applyLive(room, message(1))
    addDraft(room, { key: 'k', text: 'mine', ts: 0, state: 'sending' })
    const answer = { epoch: 'f', offset: 40, recovered: false, publications: [] }
    expect(applySubscribed(room, answer)).toEqual({ kind: 'restarted' })
    expect(offsets(room)).toEqual([])
    expect(room.position).toEqual({ epoch: 'f', offset: 40 })
    expect(room.drafts).toHaveLength(1)
  })

  test('a message of one’s own replaces its draft', () => {
    const room = joined()
    addDraft(room, { key: 'k', text: 'mine', ts: 0, state: 'sending' })
    applyLive(room, message(1, 'mine', { key: 'k' }))
    expect(room.drafts).toEqual([])
  })

  test('the page holds a bounded number of messages, and the rest can be fetched again', () => {
    const room = joined()
    for (let offset = 1; offset <= MOST_LOADED + 5; offset += 1) applyLive(room, message(offset))
    expect(room.messages).toHaveLength(MOST_LOADED)
    expect([room.oldest, room.more]).toEqual([6, true])
  })

  test('unread ones are counted from the first', () => {
    const room = joined()
    applyLive(room, message(1))
    applyLive(room, reaction(2, 1, '👍'))
    applyLive(room, message(3))
    expect([room.unread, room.firstUnread]).toEqual([2, 1])
  })
})

describe('changes', () => {
  test('an edit, a deletion and reactions are applied to their message', () => {
    const room = joined()
    applyLive(room, message(1, 'first'))
    applyLive(room, { ...message(2, 'second'), kind: 'edit', ref: 1 })
    applyLive(room, reaction(3, 1, '👍'))
    applyLive(room, reaction(4, 1, '👍', false, ADA))
    expect(room.messages[0]).toMatchObject({ text: 'second', edited: true })
    expect(room.messages[0]?.reactions).toEqual([{ emoji: '👍', users: ['bob', 'ada'], names: ['Bob', 'Ada'] }])
    applyLive(room, reaction(5, 1, '👍', true))
    expect(room.messages[0]?.reactions[0]?.users).toEqual(['ada'])
    applyLive(room, reaction(6, 1, '👍', true, ADA))
    expect(room.messages[0]?.reactions).toEqual([])
    applyLive(room, { offset: 7, ts: 0, kind: 'delete', from: ADA, ref: 1 })
    expect(room.messages[0]).toMatchObject({ text: '', deleted: true })
    expect(room.messages).toHaveLength(1)
  })

  test('they wait for a message that is not loaded, and the newest edit wins', () => {
    const room = joined(90)
    applyLive(room, { ...message(91, 'newest'), kind: 'edit', ref: 10 })
    applyPage(room, page([{ ...message(50, 'older'), kind: 'edit', ref: 10 }, reaction(49, 10, '🎉')], true))
    expect(offsets(room)).toEqual([])
    applyPage(room, page([message(10, 'first')]))
    expect(room.messages[0]).toMatchObject({ text: 'newest', edited: true, reactions: [{ emoji: '🎉' }] })
  })

  test('a repeat of a change changes nothing', () => {
    const room = joined()
    applyLive(room, message(1))
    applyLive(room, reaction(2, 1, '👍'))
    applyPage(room, page([reaction(2, 1, '👍')]))
    expect(room.messages[0]?.reactions[0]?.users).toEqual(['bob'])
  })
})

describe('people', () => {
  test('come and go by connection', () => {
    const room = joined()
    applyJoin(room, ADA)
    applyJoin(room, ADA)
    applyJoin(room, BOB)
    expect(room.total).toBe(2)
    applyLeave(room, ADA)
    applyLeave(room, ADA)
    expect(room.members).toEqual([BOB])
    expect(room.total).toBe(1)
  })

  test('are shown typing until they stop, post, leave or fall silent', () => {
    const room = joined()
    const typing = (active: boolean) => applyTyping(room, { client: 'cb', name: 'Bob', active }, 1_000)
    for (const end of [
      () => typing(false),
      () => applyLive(room, message(room.position!.offset + 1, '', { from: BOB })),
      () => applyLeave(room, BOB),
      () => expireTyping(room, 60_000),
    ]) {
      typing(true)
      expect(room.typing.size).toBe(1)
      end()
      expect(room.typing.size).toBe(0)
    }
  })

  test('marks only rise, and stand at the newest message they reach', () => {
    const room = joined()
    for (const offset of [1, 2, 4]) applyLive(room, message(offset))
    applyMark(room, { user: 'bob', delivered: 3, read: 3 })
    applyMark(room, { user: 'bob', delivered: 2, read: 2 })
    applyMark(room, { user: 'ada', delivered: 4, read: 4 })
    expect(room.marks.get('bob')).toEqual({ user: 'bob', delivered: 3, read: 3 })
    expect(readersByMessage(room, new Set(['ada']))).toEqual(new Map([[2, ['bob']]]))
  })
})
