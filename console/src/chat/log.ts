/** The log's lines: messages with day separators, the mark where unread ones begin, and senders named once a run. */

import type { Message, Room } from './room'

export type Line =
  | { kind: 'day'; key: string; ts: number }
  | { kind: 'unread'; key: string }
  | { kind: 'message'; key: string; message: Message; continued: boolean }

/** Messages of one sender within this time stand under one name. */
const RUN_MS = 5 * 60_000

export function lines(room: Pick<Room, 'messages' | 'firstUnread'>): Line[] {
  const out: Line[] = []
  let before: Message | undefined
  let day: Day | undefined
  for (const message of room.messages) {
    const newDay = !day || message.ts < day.from || message.ts >= day.to
    const unreadHere = message.offset === room.firstUnread
    if (newDay) {
      day = dayAround(message.ts)
      out.push({ kind: 'day', key: `day-${message.offset}`, ts: message.ts })
    }
    if (unreadHere) out.push({ kind: 'unread', key: 'unread' })
    const continued = !newDay && !unreadHere && before !== undefined && inOneRun(before, message)
    out.push({ kind: 'message', key: `message-${message.offset}`, message, continued })
    before = message
  }
  return out
}

interface Day {
  from: number
  to: number
}

function inOneRun(before: Message, message: Message): boolean {
  const sameSender = before.from.user === message.from.user && before.from.name === message.from.name
  return sameSender && message.ts - before.ts < RUN_MS && message.replyTo === undefined
}

/** The local day that a moment is in; not all days have 24 hours. */
function dayAround(ms: number): Day {
  const day = new Date(ms)
  const from = day.setHours(0, 0, 0, 0)
  return { from, to: day.setDate(day.getDate() + 1) }
}
