/**
 * What is known of one room, as plain data and functions over it: messages with everything that was done to them,
 * the place in the stream, people, typing and read marks. No I/O and no time of its own.
 */

import {
  textOf,
  type CommandError,
  type HistoryPage,
  type Mark,
  type Member,
  type Position,
  type Publication,
  type Subscribed,
} from './protocol'

/** A message as shown: what was posted, with its edits, its deletion and its reactions applied. */
export interface Message {
  offset: number
  ts: number
  from: Member
  text: string
  key?: string
  replyTo?: number
  edited: boolean
  deleted: boolean
  reactions: Reaction[]
}

export interface Reaction {
  emoji: string
  users: string[]
  names: string[]
}

/** A message of one's own that the gateway has not acknowledged. The key makes a repeat harmless. */
export interface Draft {
  key: string
  text: string
  ts: number
  replyTo?: number
  state: 'sending' | 'failed'
  error?: CommandError
}

export type RoomPhase = 'joining' | 'joined' | 'refused'

export interface Room {
  name: string
  phase: RoomPhase
  /** Why the room was refused, or ended by the server, and the error's code. */
  refusal?: { code: number; message: string }
  position?: Position
  /** Oldest first, by offset, without holes since the oldest loaded one. */
  messages: Message[]
  /** Every edit, deletion and reaction seen, by the message it is about, which may not be loaded yet. */
  changes: Map<number, Publication[]>
  /** Messages as they were posted, from which the shown ones are made. */
  posted: Map<number, Publication>
  /** Lowest offset that a page has covered; older ones are fetched before it. */
  oldest?: number
  more: boolean
  loadingOlder: boolean
  drafts: Draft[]
  members: Member[]
  total: number
  typing: Map<string, { name: string; until: number }>
  marks: Map<string, Mark>
  /** Messages of others that came while nobody looked, and where they begin. */
  unread: number
  firstUnread?: number
}

/** What a publication meant to the reader. */
export type Applied = 'old' | 'message' | 'change'

/** Messages kept on the page; older ones are let go and can be fetched again. */
export const MOST_LOADED = 1000

/** Messages whose changes are remembered, loaded or not. */
const MOST_CHANGED = 5_000

/** How long somebody is shown as typing after the last word about it. */
export const TYPING_MS = 6_000

export function newRoom(name: string): Room {
  return {
    name,
    phase: 'joining',
    messages: [],
    changes: new Map(),
    posted: new Map(),
    more: false,
    loadingOlder: false,
    drafts: [],
    members: [],
    total: 0,
    typing: new Map(),
    marks: new Map(),
    unread: 0,
  }
}

/** What a subscription brought. */
export type Joined =
  | { kind: 'first' }
  | { kind: 'recovered'; messages: number }
  /** The gap could not be filled: what was loaded is gone, and history has to be read anew. */
  | { kind: 'restarted' }

/** Takes the answer to `subscribe`. */
export function applySubscribed(room: Room, result: Subscribed): Joined {
  const returning = room.position !== undefined
  room.phase = 'joined'
  delete room.refusal
  if (result.recovered) {
    const messages = result.publications.filter((pub) => applyLive(room, pub) === 'message').length
    room.position = { epoch: result.epoch, offset: Math.max(result.offset, room.position?.offset ?? 0) }
    return { kind: 'recovered', messages }
  }
  forget(room)
  room.position = { epoch: result.epoch, offset: result.offset }
  return { kind: returning ? 'restarted' : 'first' }
}

/** Takes a publication that was pushed, or replayed by recovery. One not newer than the position is a repeat. */
export function applyLive(room: Room, pub: Publication): Applied {
  if (room.position && pub.offset <= room.position.offset) return 'old'
  if (room.position) room.position.offset = pub.offset
  room.typing.delete(pub.from.client)
  const applied = insert(room, pub)
  if (applied === 'message') {
    room.unread += 1
    room.firstUnread ??= pub.offset
    trim(room)
  }
  return applied
}

/** Says that everything loaded has been seen. */
export function clearUnread(room: Room): void {
  room.unread = 0
  delete room.firstUnread
}

/** Takes a page of older history, newest first. */
export function applyPage(room: Room, page: HistoryPage): void {
  for (const pub of page.publications) {
    insert(room, pub)
    room.oldest = Math.min(room.oldest ?? pub.offset, pub.offset)
  }
  room.more = page.more && page.publications.length > 0
}

/** Shows a message of one's own before the gateway has it. */
export function addDraft(room: Room, draft: Draft): void {
  room.drafts.push(draft)
}

/** Removes a draft that has become a message, or that was given up. */
export function dropDraft(room: Room, key: string): void {
  const at = room.drafts.findIndex((draft) => draft.key === key)
  if (at >= 0) room.drafts.splice(at, 1)
}

export function applyJoin(room: Room, member: Member): void {
  const known = room.members.findIndex((other) => other.client === member.client)
  if (known >= 0) room.members[known] = member
  else {
    room.members.push(member)
    room.total += 1
  }
}

export function applyLeave(room: Room, member: Member): void {
  room.typing.delete(member.client)
  const known = room.members.findIndex((other) => other.client === member.client)
  if (known < 0) return
  room.members.splice(known, 1)
  room.total = Math.max(0, room.total - 1)
}

export function applyTyping(room: Room, who: { client: string; name: string; active: boolean }, now: number): void {
  if (who.active) room.typing.set(who.client, { name: who.name, until: now + TYPING_MS })
  else room.typing.delete(who.client)
}

/** Removes those who have not been heard typing for a while. */
export function expireTyping(room: Room, now: number): void {
  for (const [client, { until }] of room.typing) if (until <= now) room.typing.delete(client)
}

/** Takes a mark; marks only rise. */
export function applyMark(room: Room, mark: Mark): void {
  const known = room.marks.get(mark.user)
  room.marks.set(mark.user, {
    user: mark.user,
    delivered: Math.max(mark.delivered, known?.delivered ?? 0),
    read: Math.max(mark.read, known?.read ?? 0),
  })
}

/** Users other than `self` and the sender whose newest read message is this one: shown where they stopped reading. */
export function readersByMessage(room: Room, self: ReadonlySet<string>): Map<number, string[]> {
  const readers = new Map<number, string[]>()
  for (const mark of room.marks.values()) {
    if (self.has(mark.user)) continue
    const message = room.messages.findLast(({ offset }) => offset <= mark.read)
    if (message && message.from.user !== mark.user)
      readers.set(message.offset, [...(readers.get(message.offset) ?? []), mark.user])
  }
  return readers
}

/** Highest offset that somebody else has read. */
export function readByOthers(room: Room, self: ReadonlySet<string>): number {
  return Math.max(0, ...[...room.marks.values()].filter(({ user }) => !self.has(user)).map(({ read }) => read))
}

export function findMessage(room: Room, offset: number): Message | undefined {
  const at = lowerBound(room.messages, offset)
  const found = room.messages[at]
  return found?.offset === offset ? found : undefined
}

function insert(room: Room, pub: Publication): Applied {
  if (pub.kind === 'message') return insertMessage(room, pub) ? 'message' : 'old'
  return insertChange(room, pub) ? 'change' : 'old'
}

function insertMessage(room: Room, pub: Publication): boolean {
  if (room.posted.has(pub.offset)) return false
  room.posted.set(pub.offset, pub)
  room.messages.splice(lowerBound(room.messages, pub.offset), 0, fold(pub, room.changes.get(pub.offset) ?? []))
  if (pub.key !== undefined) dropDraft(room, pub.key)
  return true
}

function insertChange(room: Room, pub: Publication): boolean {
  if (pub.ref === undefined) return false
  const changes = room.changes.get(pub.ref) ?? []
  if (changes.some(({ offset }) => offset === pub.offset)) return false
  changes.push(pub)
  changes.sort((a, b) => a.offset - b.offset)
  room.changes.set(pub.ref, changes)
  forgetOldestChanges(room)
  refresh(room, pub.ref)
  return true
}

function forgetOldestChanges(room: Room): void {
  const [first] = room.changes.keys()
  if (room.changes.size > MOST_CHANGED && first !== undefined) room.changes.delete(first)
}

/** Makes a shown message anew after a change to it; nothing happens while it is not loaded. */
function refresh(room: Room, offset: number): void {
  const posted = room.posted.get(offset)
  if (!posted) return
  room.messages[lowerBound(room.messages, offset)] = fold(posted, room.changes.get(offset) ?? [])
}

/**
 * Applies changes, oldest first, to a message as it was posted. The result is frozen: a change makes a new one, and the
 * page need not watch the fields of a thousand messages.
 */
function fold(posted: Publication, changes: Publication[]): Message {
  const message: Message = {
    offset: posted.offset,
    ts: posted.ts,
    from: posted.from,
    text: textOf(posted.data),
    edited: false,
    deleted: false,
    reactions: [],
    ...(posted.key === undefined ? {} : { key: posted.key }),
    ...(posted.reply_to === undefined ? {} : { replyTo: posted.reply_to }),
  }
  for (const change of changes) applyChange(message, change)
  if (message.deleted) Object.assign(message, { text: '', reactions: [] })
  return Object.freeze(message)
}

function applyChange(message: Message, change: Publication): void {
  if (change.kind === 'delete') message.deleted = true
  if (change.kind === 'edit') {
    message.text = textOf(change.data)
    message.edited = true
  }
  if (change.kind === 'reaction') applyReaction(message, change)
}

function applyReaction(message: Message, change: Publication): void {
  const { emoji, remove } = (change.data ?? {}) as { emoji?: unknown; remove?: unknown }
  if (typeof emoji !== 'string') return
  const reaction = message.reactions.find((other) => other.emoji === emoji) ?? { emoji, users: [], names: [] }
  const at = reaction.users.indexOf(change.from.user)
  if (at >= 0) {
    reaction.users.splice(at, 1)
    reaction.names.splice(at, 1)
  }
  if (remove !== true) {
    reaction.users.push(change.from.user)
    reaction.names.push(change.from.name)
  }
  const others = message.reactions.filter((other) => other !== reaction)
  if (at < 0 || reaction.users.length === 0)
    message.reactions = reaction.users.length > 0 ? [...others, reaction] : others
}

/** Lets the oldest messages go; scrolling back fetches them again. */
function trim(room: Room): void {
  const excess = room.messages.length - MOST_LOADED
  if (excess <= 0) return
  // Their changes stay, because a page that brings them back does not reach up to the changes.
  for (const { offset } of room.messages.splice(0, excess)) room.posted.delete(offset)
  room.oldest = room.messages[0]?.offset ?? room.oldest ?? 0
  room.more = true
}

function forget(room: Room): void {
  room.messages = []
  room.posted.clear()
  room.changes.clear()
  room.typing.clear()
  room.marks.clear()
  delete room.oldest
  room.more = false
  room.loadingOlder = false
  room.unread = 0
  delete room.firstUnread
}

function lowerBound(messages: Message[], offset: number): number {
  let low = 0
  let high = messages.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((messages[middle]?.offset ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}
