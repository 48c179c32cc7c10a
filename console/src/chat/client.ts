/**
 * The chat as the pages use it: carries out what the connection's state machine asks for, joins and rejoins rooms,
 * and keeps one reactive state. Sockets are given to it, so that tests need none.
 */

import { reactive } from 'vue'
import { Connection, type Input, type Output, type Phase, type TimerName } from './connection'
import { Receipts } from './receipts'
import {
  addDraft,
  applyJoin,
  applyLeave,
  applyLive,
  applyMark,
  applyPage,
  applySubscribed,
  applyTyping,
  clearUnread,
  dropDraft,
  expireTyping,
  newRoom,
  type Draft,
  type Room,
} from './room'
import type { CommandError, Connected, Position, Publication, Push, Verb, Verbs } from './protocol'

export interface Socket {
  send(text: string): void
  close(): void
}

/** Opens a socket and tells what happens on it. */
export type OpenSocket = (events: {
  opened(): void
  text(text: string): void
  closed(code: number, reason: string): void
}) => Socket

/** What a return to the gateway brought, over all rooms. */
export interface Recovery {
  messages: number
  restarted: string[]
}

export interface ChatState {
  phase: Phase
  me?: Connected
  /** Users that the person here has been since the page was loaded: a guest gets a new id with each connection. */
  selves: Set<string>
  rooms: Map<string, Room>
  recovery?: Recovery
  problem?: CommandError
}

/** Command error that never left the page, or whose answer was lost with the connection. */
export const DISCONNECTED: CommandError = { code: 0, message: 'disconnected', temporary: true }

/** Publications asked for at a time when scrolling back. */
export const PAGE_SIZE = 50

/** From this code on, an ended subscription is to be taken up again. */
const UNSUB_COME_BACK = 2500

const TYPING_REPEAT_MS = 3_000
const HOUSEKEEPING_MS = 1_000

type Waiting = (answer: { result?: unknown; error?: CommandError }) => void

export class ChatClient {
  readonly state: ChatState = reactive({ phase: { name: 'idle' }, selves: new Set(), rooms: new Map() })

  private readonly connection: Connection
  private readonly waiting = new Map<number, Waiting>()
  private readonly timers = new Map<TimerName, ReturnType<typeof setTimeout>>()
  private readonly receipts = new Receipts((channel, marks) => this.forget('receipt', { channel, ...marks }))
  private readonly lastTyping = new Map<string, number>()
  private housekeeping?: ReturnType<typeof setInterval>
  private socket?: Socket
  private rejoining?: { left: Set<string>; recovery: Recovery }
  private viewed?: string

  constructor(
    private readonly openSocket: OpenSocket,
    greeting: () => Verbs['connect']['request'],
    random: () => number = Math.random,
  ) {
    this.connection = new Connection(greeting, random)
  }

  /** Connects, or tries again at once. */
  start(): void {
    this.housekeeping ??= setInterval(() => this.expire(), HOUSEKEEPING_MS)
    this.input({ type: 'start' })
  }

  /** Leaves the gateway; rooms keep what they have. */
  stop(): void {
    clearInterval(this.housekeeping)
    delete this.housekeeping
    this.receipts.clear()
    this.input({ type: 'stop' })
  }

  /** Forgets every room's content, for another person is about to use the page. */
  reset(): void {
    const names = [...this.state.rooms.keys()]
    this.stop()
    this.state.rooms.clear()
    this.state.selves.clear()
    delete this.state.me
    delete this.state.recovery
    delete this.state.problem
    for (const name of names) this.join(name)
  }

  /** Goes on with a new token of the same person: told on the connection, or with the next greeting. */
  takeToken(token: string): void {
    const { phase } = this.state
    if (phase.name === 'connected') this.act('refresh', { token })
    else if (phase.name === 'stopped' && phase.advice === 'new-token') this.start()
  }

  join(name: string): void {
    if (this.state.rooms.has(name)) return
    this.state.rooms.set(name, newRoom(name))
    this.subscribe(name)
  }

  leave(name: string): void {
    this.forget('unsubscribe', { channel: name })
    this.state.rooms.delete(name)
    this.receipts.forgetRoom(name)
  }

  /** Says which room the person looks at now, at its newest end. */
  view(name: string | undefined): void {
    const left = this.state.rooms.get(this.viewed ?? '')
    if (left && left.name !== name) clearUnread(left)
    delete this.viewed
    const room = name === undefined ? undefined : this.state.rooms.get(name)
    if (!room) return
    this.viewed = room.name
    this.markRead(room)
  }

  send(room: Room, text: string, replyTo?: number): void {
    const draft: Draft = {
      key: randomKey(),
      text,
      ts: Date.now(),
      state: 'sending',
      ...(replyTo === undefined ? {} : { replyTo }),
    }
    addDraft(room, draft)
    clearUnread(room)
    this.post(room.name, draft.key)
  }

  /** Sends a failed message again under its key, so that it cannot appear twice. */
  retry(room: Room, key: string): void {
    this.post(room.name, key)
  }

  discard(room: Room, key: string): void {
    dropDraft(room, key)
  }

  edit(room: Room, ref: number, data: string): void {
    this.act('edit', { channel: room.name, ref, data })
  }

  remove(room: Room, ref: number): void {
    this.act('delete', { channel: room.name, ref })
  }

  react(room: Room, ref: number, emoji: string, has: 'has' | 'has-not'): void {
    this.act('react', { channel: room.name, ref, emoji, ...(has === 'has' ? { remove: true } : {}) })
  }

  /** Tells the others that something is being typed, now and then, or no longer. */
  typing(room: Room, active: boolean): void {
    const last = this.lastTyping.get(room.name)
    if (active && last !== undefined && Date.now() - last < TYPING_REPEAT_MS) return
    if (!active && last === undefined) return
    if (active) this.lastTyping.set(room.name, Date.now())
    else this.lastTyping.delete(room.name)
    this.forget('typing', { channel: room.name, active })
  }

  loadOlder(room: Room): void {
    if (room.loadingOlder || !room.more) return
    this.loadPage(room.name, room.oldest)
  }

  dismissRecovery(): void {
    delete this.state.recovery
  }

  dismissProblem(): void {
    delete this.state.problem
  }

  private input(input: Input): void {
    this.run(this.connection.handle(input))
  }

  private run(outputs: Output[]): void {
    for (const output of outputs) this.carryOut(output)
  }

  private carryOut(output: Output): void {
    switch (output.type) {
      case 'open':
        this.open()
        break
      case 'send':
        this.socket?.send(output.text)
        break
      case 'close':
        this.socket?.close()
        delete this.socket
        break
      case 'set-timer':
        this.setTimer(output.timer, output.ms)
        break
      case 'clear-timer':
        clearTimeout(this.timers.get(output.timer))
        break
      case 'phase':
        this.phase(output.phase)
        break
      case 'push':
        this.push(output.push)
        break
      case 'reply':
        this.settle(output.id, output)
        break
      case 'lost':
        for (const id of output.ids) this.settle(id, { error: DISCONNECTED })
    }
  }

  private open(): void {
    this.socket = this.openSocket({
      opened: () => this.input({ type: 'opened' }),
      text: (text) => this.input({ type: 'text', text }),
      closed: (code, reason) => this.input({ type: 'closed', code, reason }),
    })
  }

  private setTimer(timer: TimerName, ms: number): void {
    clearTimeout(this.timers.get(timer))
    this.timers.set(
      timer,
      setTimeout(() => this.input({ type: 'timer', timer }), ms),
    )
  }

  private settle(id: number, answer: { result?: unknown; error?: CommandError }): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    waiting?.(answer)
  }

  /** Sends a command. The answer is taken at once, not in a later task: pushes behind it in the same frame count on it. */
  private command<V extends Verb>(
    verb: V,
    request: Verbs[V]['request'],
    done: (answer: { result?: Verbs[V]['result']; error?: CommandError }) => void,
  ): void {
    const { id, outputs } = this.connection.command(verb, request)
    if (id === undefined) {
      done({ error: DISCONNECTED })
      return
    }
    this.waiting.set(id, done as Waiting)
    this.run(outputs)
  }

  /** Sends a command whose failure the person should see. */
  private act<V extends Verb>(verb: V, request: Verbs[V]['request']): void {
    this.command(verb, request, ({ error }) => {
      if (error) this.state.problem = error
    })
  }

  /** Sends a command whose failure does not matter. */
  private forget<V extends Verb>(verb: V, request: Verbs[V]['request']): void {
    this.command(verb, request, () => {})
  }

  private phase(phase: Phase): void {
    this.state.phase = phase
    if (phase.name !== 'connected') return
    const returning = this.state.me !== undefined
    this.state.me = phase.as
    this.state.selves.add(phase.as.user)
    this.receipts.clear()
    this.lastTyping.clear()
    this.rejoin(returning)
  }

  private rejoin(returning: boolean): void {
    const names = [...this.state.rooms.keys()]
    delete this.state.recovery
    delete this.rejoining
    if (returning) this.rejoining = { left: new Set(names), recovery: { messages: 0, restarted: [] } }
    for (const name of names) this.subscribe(name)
  }

  private subscribe(name: string): void {
    const room = this.state.rooms.get(name)
    if (!room || this.state.phase.name !== 'connected') return
    room.phase = 'joining'
    const recover: Position | undefined = room.position && { ...room.position }
    this.command('subscribe', { channel: name, join_leave: true, ...(recover && { recover }) }, (answer) => {
      const joined = this.state.rooms.get(name)
      if (!joined || answer.error === DISCONNECTED) return
      if (answer.error) refuse(joined, answer.error)
      if (answer.result) this.subscribed(joined, answer.result)
      this.rejoined(name)
    })
  }

  private subscribed(room: Room, result: Verbs['subscribe']['result']): void {
    const joined = applySubscribed(room, result)
    const recovery = this.rejoining?.recovery
    if (joined.kind === 'recovered') {
      if (recovery) recovery.messages += joined.messages
      this.seen(room)
    } else {
      if (joined.kind === 'restarted') recovery?.restarted.push(room.name)
      this.loadPage(room.name, undefined)
    }
    this.loadPeople(room.name)
    for (const draft of room.drafts) if (draft.state === 'sending') this.post(room.name, draft.key)
  }

  /** Once every room is back, tells what the return brought. */
  private rejoined(name: string): void {
    this.rejoining?.left.delete(name)
    if (!this.rejoining || this.rejoining.left.size > 0) return
    this.state.recovery = this.rejoining.recovery
    delete this.rejoining
  }

  private loadPeople(name: string): void {
    this.command('presence', { channel: name }, ({ result }) => {
      const room = this.state.rooms.get(name)
      if (room && result) Object.assign(room, { members: result.members, total: result.total })
    })
    this.command('receipts', { channel: name }, ({ result }) => {
      const room = this.state.rooms.get(name)
      if (room) for (const mark of result?.marks ?? []) applyMark(room, mark)
    })
  }

  private loadPage(name: string, before: number | undefined): void {
    const room = this.state.rooms.get(name)
    if (!room) return
    room.loadingOlder = true
    this.command(
      'history',
      { channel: name, limit: PAGE_SIZE, ...(before === undefined ? {} : { before }) },
      (answer) => {
        const room = this.state.rooms.get(name)
        if (!room) return
        room.loadingOlder = false
        if (answer.result && answer.result.epoch === room.position?.epoch) applyPage(room, answer.result)
        this.seen(room)
      },
    )
  }

  /** Publishes a draft, for the first time or again. */
  private post(name: string, key: string): void {
    const draft = this.draft(name, key)
    if (!draft) return
    draft.state = 'sending'
    delete draft.error
    const { text: data, replyTo } = draft
    const request = { channel: name, data, key, ...(replyTo === undefined ? {} : { reply_to: replyTo }) }
    this.command('publish', request, ({ result, error }) => {
      if (result) this.acknowledged(name, key, result)
      if (error && error !== DISCONNECTED) this.failed(name, key, error)
    })
  }

  /** A draft goes when its message arrives; where the message has gone by already, it goes now. */
  private acknowledged(name: string, key: string, position: Position): void {
    const room = this.state.rooms.get(name)
    if (room?.position && position.offset <= room.position.offset) dropDraft(room, key)
  }

  /** Keeps a draft whose message was refused. One whose answer was lost stays as it is and is sent on return. */
  private failed(name: string, key: string, error: CommandError): void {
    const draft = this.draft(name, key)
    if (draft) Object.assign(draft, { state: 'failed', error })
  }

  private draft(name: string, key: string): Draft | undefined {
    return this.state.rooms.get(name)?.drafts.find((draft) => draft.key === key)
  }

  private push(push: Push): void {
    const room = this.state.rooms.get(push.channel)
    if (push.sub) this.addedByOperator(push.channel, push.sub)
    if (!room) return
    if (push.pub) this.published(room, push.pub)
    if (push.join) applyJoin(room, push.join)
    if (push.leave) applyLeave(room, push.leave)
    if (push.typing && push.typing.client !== this.state.me?.client) applyTyping(room, push.typing, Date.now())
    if (push.receipt) applyMark(room, push.receipt)
    if (push.unsub) this.unsubscribed(room, push.unsub)
  }

  private published(room: Room, pub: Publication): void {
    if (applyLive(room, pub) === 'old') return
    if (this.state.selves.has(pub.from.user)) clearUnread(room)
    this.seen(room)
  }

  private unsubscribed(room: Room, end: { code: number; message: string }): void {
    if (end.code >= UNSUB_COME_BACK) this.subscribe(room.name)
    else refuse(room, { code: end.code, message: end.message })
  }

  /** An operator subscribed this connection to a room. */
  private addedByOperator(name: string, position: Position): void {
    if (this.state.rooms.has(name)) return
    this.state.rooms.set(name, { ...newRoom(name), phase: 'joined', position })
    this.loadPage(name, undefined)
    this.loadPeople(name)
  }

  /** Marks what has arrived as read where somebody looks, else as delivered. */
  private seen(room: Room): void {
    if (this.viewed === room.name) {
      clearUnread(room)
      this.markRead(room)
    } else if (room.position) this.receipts.raise(room.name, 'delivered', room.position.offset)
  }

  private markRead(room: Room): void {
    room.unread = 0
    if (room.position) this.receipts.raise(room.name, 'read', room.position.offset)
  }

  private expire(): void {
    for (const room of this.state.rooms.values()) if (room.typing.size > 0) expireTyping(room, Date.now())
  }
}

function refuse(room: Room, { code, message }: { code: number; message: string }): void {
  room.phase = 'refused'
  room.refusal = { code, message }
}

/** 128 random bits; `crypto.randomUUID` is missing on plain-http origins other than localhost. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
