/** Motions in words. */

import { formatDateTime, formatDuration, t, tn } from '../../i18n'
import { percentWords } from '../words'
import type { Seen } from './motions'

/** When, for how long, where. */
export function seenWords({ beganMs, endedMs, zones }: Seen): string {
  const time = formatDateTime(beganMs)
  const lasted =
    endedMs === undefined
      ? t('motion.goesOn')
      : t('motion.lasted', { time: formatDuration(Math.max(1, Math.round((endedMs - beganMs) / 1000))) })
  return [time, lasted, ...(zones.length > 0 ? [zones.join(', ')] : [])].join(' · ')
}

/** Of one, or of several that are drawn as one. */
export function markWords(events: Seen[]): string {
  const [newest] = events
  if (!newest) return ''
  return events.length === 1 ? seenWords(newest) : `${tn('motion.count', events.length)} · ${seenWords(newest)}`
}

export function strengthWords({ score }: Seen): string {
  return t('motion.strength', { n: percentWords(score) })
}
