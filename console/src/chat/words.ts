/** Protocol errors and ends in words of the chosen language. */

import { t, tOr } from '../i18n'
import type { Phase } from './connection'
import type { CommandError } from './protocol'

export function errorWords(error: Pick<CommandError, 'code' | 'message'>): string {
  return tOr(`error.${error.code}`, t('error.other', { code: error.code, message: error.message }))
}

/** Why the gateway does not want this client back as it is. */
export function stoppedWords(phase: Extract<Phase, { name: 'stopped' }>): string {
  return tOr(
    `stopped.${phase.code}`,
    phase.code < 1000
      ? errorWords({ code: phase.code, message: phase.reason })
      : t('stopped.other', { code: phase.code, reason: phase.reason }),
  )
}
