/** Why a call failed: the service's own reason, and words for it in the language that is chosen. */

import { BinaryReader } from '@bufbuild/protobuf/wire'
import { Code, ConnectError } from '@connectrpc/connect'
import { formatDuration, t, tOr, type Key } from '../i18n'

export interface Trouble {
  /** Stable word of the service, or of the page where the service said none. */
  reason: string
  /** What the service says, in English. */
  message: string
  /** When trying again may help. */
  retrySeconds?: number
  /** What is wrong with single fields of what was sent. */
  violations?: Violation[]
}

/** A field, as the interface names it, and what the service has against it, in English. */
export interface Violation {
  field: string
  message: string
}

/** Words of the page for calls that no service has answered, or that it answered without a reason. */
const REASONS: Partial<Record<Code, string>> = {
  [Code.Unavailable]: 'UNREACHABLE',
  [Code.DeadlineExceeded]: 'UNREACHABLE',
  [Code.Unauthenticated]: 'UNAUTHENTICATED',
  [Code.PermissionDenied]: 'PERMISSION_DENIED',
  [Code.Unimplemented]: 'UNIMPLEMENTED',
  [Code.Canceled]: 'STOPPED',
}

/** A failure that carries its trouble already. */
interface Told {
  trouble: Trouble
}

/** A failure that the page itself has found. */
export class TroubleError extends Error implements Told {
  readonly trouble: Trouble

  constructor(reason: string, message = '') {
    super(message || reason)
    this.trouble = { reason, message }
  }
}

export function troubleOf(error: unknown): Trouble {
  if (isTold(error)) return error.trouble
  const { code, rawMessage, details, cause } = ConnectError.from(error)
  // What `fetch` throws when nobody is there.
  const reason = cause instanceof TypeError ? 'UNREACHABLE' : (REASONS[code] ?? 'OTHER')
  const trouble: Trouble = { reason, message: rawMessage }
  for (const detail of details) {
    if (!('type' in detail) || !('value' in detail) || !(detail.value instanceof Uint8Array)) continue
    if (detail.type === 'google.rpc.ErrorInfo') trouble.reason = firstText(detail.value) ?? trouble.reason
    if (detail.type === 'google.rpc.RetryInfo') trouble.retrySeconds = retrySeconds(detail.value)
    if (detail.type === 'google.rpc.BadRequest') trouble.violations = violationsIn(detail.value)
  }
  return trouble
}

export function troubleWords({ reason, message, retrySeconds }: Trouble): string {
  const words =
    weakPasswordWords(reason, message) ??
    tOr(`trouble.${reason}`, t('trouble.OTHER')).replaceAll('{message}', () => message)
  if (retrySeconds === undefined || retrySeconds < 1) return words
  return `${words} ${t('trouble.retryIn', { time: formatDuration(Math.ceil(retrySeconds)) })}`
}

/** What the service has against passwords, in the language that is chosen; the numbers are its configuration. */
const WEAK: [RegExp, Key][] = [
  [/(\d+) characters at least/, 'weak.characters'],
  [/(\d+) bytes at most/, 'weak.bytes'],
  [/account's name/, 'weak.name'],
  [/one character repeated/, 'weak.repeated'],
]

function weakPasswordWords(reason: string, message: string): string | undefined {
  if (reason !== 'WEAK_PASSWORD') return undefined
  const known = WEAK.find(([pattern]) => pattern.test(message))
  return known && t(known[1], { n: known[0].exec(message)?.[1] ?? '' })
}

/** Tells whether the token is what is wrong, so that a new one may help. */
export function isAboutToken({ reason }: Trouble): boolean {
  return reason === 'UNAUTHENTICATED' || reason.startsWith('TOKEN_')
}

function isTold(error: unknown): error is Told {
  return error instanceof Error && 'trouble' in error
}

/** Field 1 of `google.rpc.ErrorInfo`: the reason. */
function firstText(message: Uint8Array): string | undefined {
  const reader = new BinaryReader(message)
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === 1) return reader.string()
    reader.skip(wire)
  }
  return undefined
}

/** Field 1 of `google.rpc.BadRequest`, repeated: a violation with the field's name in 1 and a description in 2. */
function violationsIn(message: Uint8Array): Violation[] {
  const outer = new BinaryReader(message)
  const violations: Violation[] = []
  while (outer.pos < outer.len) {
    const [field, wire] = outer.tag()
    if (field === 1) violations.push(violationIn(outer.bytes()))
    else outer.skip(wire)
  }
  return violations
}

function violationIn(message: Uint8Array): Violation {
  const reader = new BinaryReader(message)
  const violation = { field: '', message: '' }
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === 1) violation.field = reader.string()
    else if (field === 2) violation.message = reader.string()
    else reader.skip(wire)
  }
  return violation
}

/** Field 1 of `google.rpc.RetryInfo` is a duration; field 1 of that, the seconds. A part of a second counts as one. */
function retrySeconds(message: Uint8Array): number {
  const outer = new BinaryReader(message)
  let seconds = 0
  while (outer.pos < outer.len) {
    const [field, wire] = outer.tag()
    if (field !== 1) {
      outer.skip(wire)
      continue
    }
    const inner = new BinaryReader(outer.bytes())
    while (inner.pos < inner.len) {
      const [part, wire] = inner.tag()
      if (part === 1) seconds += Number(inner.int64())
      else if (part === 2) seconds += inner.int32() / 1e9
      else inner.skip(wire)
    }
  }
  return seconds
}
