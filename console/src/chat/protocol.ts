/**
 * Words of the chat protocol `patchbay.v1.json` (docs/protocol/chat.md): shapes, frames and close codes.
 * Knows nothing of sockets, rooms or the page.
 */

/** Subprotocol that the WebSocket asks for. */
export const SUBPROTOCOL = 'patchbay.v1.json'

/** Longest message text that the composer accepts, in UTF-8 bytes; the gateway's own limit is told at connect. */
export const DEFAULT_PAYLOAD_LIMIT = 32 * 1024

/** Place in a room's stream. */
export interface Position {
  epoch: string
  offset: number
}

/** Somebody's connection. */
export interface Member {
  client: string
  user: string
  name: string
  avatar: string
}

export type PublicationKind = 'message' | 'edit' | 'delete' | 'reaction'

/** One entry of a room's stream. */
export interface Publication {
  offset: number
  ts: number
  kind: PublicationKind
  from: Member
  data?: unknown
  key?: string
  reply_to?: number
  ref?: number
}

export interface Connected {
  client: string
  user: string
  name: string
  avatar: string
  node: string
  version: string
  expires_in?: number
  ping_ms: number
  pong_ms: number
  limits?: { frame: number; payload: number; rooms: number; history: number }
  /** With it a guest comes back as who it was. */
  session?: string
}

export interface Subscribed {
  epoch: string
  offset: number
  recovered: boolean
  publications: Publication[]
}

export interface HistoryPage {
  epoch: string
  offset: number
  publications: Publication[]
  more: boolean
}

export interface Mark {
  user: string
  delivered: number
  read: number
}

/** What the verbs used here take and give. */
export interface Verbs {
  connect: {
    request: {
      token?: string
      username?: string
      avatar?: string
      session?: string
      name: string
      version: string
    }
    result: Connected
  }
  refresh: { request: { token: string }; result: { expires_in: number } }
  subscribe: { request: { channel: string; recover?: Position; join_leave?: boolean }; result: Subscribed }
  unsubscribe: { request: { channel: string }; result: object }
  publish: { request: { channel: string; data: unknown; key?: string; reply_to?: number }; result: Position }
  edit: { request: { channel: string; ref: number; data: unknown }; result: Position }
  delete: { request: { channel: string; ref: number }; result: Position }
  react: { request: { channel: string; ref: number; emoji: string; remove?: boolean }; result: Position }
  history: { request: { channel: string; before?: number; limit?: number }; result: HistoryPage }
  presence: { request: { channel: string }; result: { members: Member[]; total: number } }
  typing: { request: { channel: string; active: boolean }; result: object }
  receipt: { request: { channel: string; delivered?: number; read?: number }; result: object }
  receipts: { request: { channel: string }; result: { marks: Mark[] } }
}

export type Verb = keyof Verbs

/** Why a command failed, as the gateway says it. */
export interface CommandError {
  code: number
  message: string
  temporary: boolean
  retry_after_ms?: number
}

/** Something that happened in a room. */
export interface Push {
  channel: string
  pub?: Publication
  join?: Member
  leave?: Member
  typing?: { client: string; user: string; name: string; active: boolean }
  receipt?: Mark
  unsub?: { code: number; message: string }
  sub?: Position
}

/** One JSON object of a frame. */
export type Incoming =
  | { type: 'ping' }
  | { type: 'reply'; id: number; result?: unknown; error?: CommandError }
  | { type: 'push'; push: Push }

/** Splits a frame; lines that are not understood are skipped, as the protocol may grow. */
export function decodeFrame(text: string): Incoming[] {
  return text.split('\n').flatMap((line) => {
    const incoming = decodeLine(line)
    return incoming ? [incoming] : []
  })
}

function decodeLine(line: string): Incoming | undefined {
  const value = parseObject(line)
  if (!value) return undefined
  if (Object.keys(value).length === 0) return { type: 'ping' }
  const push = value['push']
  if (isObject(push) && typeof push['channel'] === 'string') return { type: 'push', push: push as unknown as Push }
  const id = value['id']
  if (typeof id !== 'number') return undefined
  const error = value['error']
  if (isObject(error)) return { type: 'reply', id, error: error as unknown as CommandError }
  return { type: 'reply', id, result: value['result'] }
}

/** Writes one command. */
export function encodeCommand<V extends Verb>(id: number, verb: V, request: Verbs[V]['request']): string {
  return JSON.stringify({ id, [verb]: request })
}

/** What a close code asks of the client. */
export type CloseAdvice = 'reconnect' | 'new-token' | 'stay-away'

/** Reads a close code by its range, so that codes of later gateways are honoured too. */
export function closeAdvice(code: number): CloseAdvice {
  if (code === 3005 || code === 3500) return 'new-token'
  const terminal = (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000)
  return terminal ? 'stay-away' : 'reconnect'
}

/** Longest wait that a close reason may ask for. */
const LONGEST_HINT_MS = 120_000

/** Reads `{"reconnect_after_ms":N}` from a close reason. */
export function reconnectHint(reason: string): number | undefined {
  const wanted = parseObject(reason)?.['reconnect_after_ms']
  if (typeof wanted !== 'number' || !(wanted >= 0)) return undefined
  return Math.min(wanted, LONGEST_HINT_MS)
}

/** Tells whether the server may be asked for a room of this name; it decides about reserved names itself. */
export function isRoomName(name: string): boolean {
  return /^[A-Za-z0-9._\-:/@]{1,128}$/.test(name)
}

/** Text of a message's data: a string as it is, an object's `text`, anything else as JSON. */
export function textOf(data: unknown): string {
  if (typeof data === 'string') return data
  if (isObject(data) && typeof data['text'] === 'string') return data['text']
  return JSON.stringify(data) ?? ''
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
