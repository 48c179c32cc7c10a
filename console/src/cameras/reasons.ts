/** Why a source brings no pictures, and what to do about it, in the language that is chosen. */

import { t, type Key } from '../i18n'

const REASONS = [
  'NAME_NOT_FOUND',
  'FORBIDDEN',
  'REFUSED',
  'UNREACHABLE',
  'TIMED_OUT',
  'TLS',
  'UNAUTHORIZED',
  'NOT_FOUND',
  'PROTOCOL',
  'NO_TRACKS',
  'CODEC',
  'NO_KEY_FRAME',
  'DEVICE',
  'ENDED',
  'OTHER',
] as const

export type Reason = (typeof REASONS)[number]

export interface ReasonWords {
  what: string
  todo: string
}

/** A reason that is newer than the page is another one. */
export function reasonOf(reason: string): Reason {
  return REASONS.find((known) => known === reason) ?? 'OTHER'
}

export function reasonWords(reason: string): ReasonWords {
  const known = reasonOf(reason)
  return { what: t(`reason.${known}` satisfies Key), todo: t(`reason.${known}.todo` satisfies Key) }
}
