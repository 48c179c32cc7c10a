/**
 * One connection to the gateway as a state machine without I/O: inputs go in, outputs come out, and `client.ts`
 * carries them out on a real WebSocket. Holds what belongs to the connection only (phase, command ids, back-off);
 * rooms and their recovery are `room.ts`.
 */

import {
  closeAdvice,
  decodeFrame,
  encodeCommand,
  reconnectHint,
  type CloseAdvice,
  type CommandError,
  type Connected,
  type Push,
  type Verb,
  type Verbs,
} from './protocol'

/** Where the connection is. */
export type Phase =
  | { name: 'idle' }
  | { name: 'connecting'; attempt: number }
  | { name: 'connected'; as: Connected }
  | { name: 'waiting'; attempt: number; delayMs: number }
  | { name: 'stopped'; code: number; reason: string; advice: CloseAdvice }

export type TimerName = 'retry' | 'silence' | 'handshake'

export type Input =
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'opened' }
  | { type: 'text'; text: string }
  | { type: 'closed'; code: number; reason: string }
  | { type: 'timer'; timer: TimerName }

export type Output =
  | { type: 'open' }
  | { type: 'send'; text: string }
  | { type: 'close' }
  | { type: 'set-timer'; timer: TimerName; ms: number }
  | { type: 'clear-timer'; timer: TimerName }
  | { type: 'phase'; phase: Phase }
  | { type: 'push'; push: Push }
  | { type: 'reply'; id: number; result?: unknown; error?: CommandError }
  /** The answers to these commands will never come; whether they took effect is not known. */
  | { type: 'lost'; ids: number[] }

/** Delays of the back-off: a random part of a ceiling that doubles, so that clients do not return together. */
export const BACKOFF = { firstMs: 500, longestMs: 20_000 }

/** How long opening and greeting may take. */
const HANDSHAKE_MS = 10_000

/** Commands that may wait for their answer at a time; more are refused, so that a stalled server holds no memory. */
const MOST_IN_FLIGHT = 256

/** Error code of the protocol for a token that has run out. */
const TOKEN_EXPIRED = 109

/** Full jitter: anywhere between nothing and the ceiling. */
export function backoffMs(attempt: number, random: number): number {
  return Math.round(random * Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** Math.min(attempt, 16)))
}

export class Connection {
  phase: Phase = { name: 'idle' }

  private readonly outputs: Output[] = []
  private readonly inFlight = new Set<number>()
  private nextId = 1
  private connectId = 0
  private attempt = 0
  private silenceMs = 0

  constructor(
    private readonly greeting: () => Verbs['connect']['request'],
    private readonly random: () => number,
  ) {}

  /** Takes one input and returns what is to be done, in order. */
  handle(input: Input): Output[] {
    switch (input.type) {
      case 'start':
        this.start()
        break
      case 'stop':
        this.end({ name: 'idle' })
        break
      case 'opened':
        this.greet()
        break
      case 'text':
        this.read(input.text)
        break
      case 'closed':
        this.closed(input.code, input.reason)
        break
      case 'timer':
        this.timer(input.timer)
    }
    return this.outputs.splice(0)
  }

  /** Sends a command; the id is absent while there is no connection. */
  command<V extends Verb>(verb: V, request: Verbs[V]['request']): { id?: number; outputs: Output[] } {
    if (this.phase.name !== 'connected' || this.inFlight.size >= MOST_IN_FLIGHT) return { outputs: [] }
    const id = this.send(verb, request)
    return { id, outputs: this.outputs.splice(0) }
  }

  private start(): void {
    if (this.phase.name === 'connecting' || this.phase.name === 'connected') return
    this.enter({ name: 'connecting', attempt: this.attempt })
    this.outputs.push({ type: 'clear-timer', timer: 'retry' }, { type: 'open' })
    this.outputs.push({ type: 'set-timer', timer: 'handshake', ms: HANDSHAKE_MS })
  }

  private greet(): void {
    if (this.phase.name === 'connecting') this.connectId = this.send('connect', this.greeting())
  }

  private read(text: string): void {
    for (const incoming of decodeFrame(text)) {
      if (incoming.type === 'ping') this.outputs.push({ type: 'send', text: '{}' })
      else if (incoming.type === 'push') this.outputs.push(incoming)
      else this.reply(incoming)
    }
    if (this.phase.name === 'connected') this.listenForSilence()
  }

  private reply(reply: { id: number; result?: unknown; error?: CommandError }): void {
    if (!this.inFlight.delete(reply.id)) return
    if (reply.id === this.connectId) this.greeted(reply)
    else this.outputs.push({ type: 'reply', ...reply })
  }

  private greeted(reply: { result?: unknown; error?: CommandError }): void {
    this.outputs.push({ type: 'clear-timer', timer: 'handshake' })
    if (reply.error) {
      this.refused(reply.error)
      return
    }
    const as = reply.result as Connected
    this.attempt = 0
    this.silenceMs = as.ping_ms + as.pong_ms
    this.enter({ name: 'connected', as })
  }

  /** The gateway answered `connect` with an error; it will close too, but the answer has the better words. */
  private refused(error: CommandError): void {
    if (error.temporary) {
      this.outputs.push({ type: 'close' })
      this.wait(error.retry_after_ms)
      return
    }
    const advice = error.code === TOKEN_EXPIRED || error.code === 101 ? 'new-token' : 'stay-away'
    this.end({ name: 'stopped', code: error.code, reason: error.message, advice })
  }

  private closed(code: number, reason: string): void {
    if (this.phase.name !== 'connecting' && this.phase.name !== 'connected') return
    const advice = closeAdvice(code)
    if (advice === 'reconnect') this.wait(reconnectHint(reason))
    else this.end({ name: 'stopped', code, reason, advice })
  }

  private timer(timer: TimerName): void {
    if (timer === 'retry') {
      if (this.phase.name === 'waiting') this.start()
      return
    }
    if (this.phase.name !== 'connecting' && this.phase.name !== 'connected') return
    this.outputs.push({ type: 'close' })
    this.wait(undefined)
  }

  private wait(hintMs: number | undefined): void {
    const delayMs = hintMs ?? backoffMs(this.attempt, this.random())
    this.attempt += 1
    this.quiet()
    this.outputs.push({ type: 'set-timer', timer: 'retry', ms: delayMs })
    this.enter({ name: 'waiting', attempt: this.attempt, delayMs })
  }

  private end(phase: Phase): void {
    this.attempt = 0
    this.quiet()
    this.outputs.push({ type: 'clear-timer', timer: 'retry' }, { type: 'close' })
    this.enter(phase)
  }

  /** Stops the connection's timers and gives up the commands that wait. */
  private quiet(): void {
    this.outputs.push({ type: 'clear-timer', timer: 'silence' }, { type: 'clear-timer', timer: 'handshake' })
    const ids = [...this.inFlight].filter((id) => id !== this.connectId)
    this.inFlight.clear()
    if (ids.length > 0) this.outputs.push({ type: 'lost', ids })
  }

  private enter(phase: Phase): void {
    this.phase = phase
    this.outputs.push({ type: 'phase', phase })
  }

  private listenForSilence(): void {
    this.outputs.push({ type: 'set-timer', timer: 'silence', ms: this.silenceMs })
  }

  private send<V extends Verb>(verb: V, request: Verbs[V]['request']): number {
    const id = this.nextId++
    this.inFlight.add(id)
    this.outputs.push({ type: 'send', text: encodeCommand(id, verb, request) })
    return id
  }
}
