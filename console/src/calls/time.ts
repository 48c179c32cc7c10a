/** Points and spans of time as the services write them. */

import { create } from '@bufbuild/protobuf'
import { DurationSchema, timestampMs, type Duration, type Timestamp } from '@bufbuild/protobuf/wkt'
import { formatDateTime, formatDuration, t } from '../i18n'

const DAY_SECONDS = 86_400

export function daysOf(days: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.round(days * DAY_SECONDS)) })
}

export function inDays(duration: Duration | undefined): number {
  return Number(duration?.seconds ?? 0n) / DAY_SECONDS
}

export function spanWords(days: number): string {
  return formatDuration(Math.round(days * DAY_SECONDS))
}

export function whenWords(time: Timestamp | undefined): string {
  return time ? formatDateTime(timestampMs(time)) : t('time.never')
}

export function isPast(time: Timestamp | undefined): boolean {
  return time !== undefined && timestampMs(time) <= Date.now()
}

/** How long ago, in words: its largest unit is enough. */
export function ageWords(time: Timestamp | undefined): string {
  if (!time) return ''
  const seconds = Math.max(0, Math.floor((Date.now() - timestampMs(time)) / 1000))
  const unit = [DAY_SECONDS, 3_600, 60].find((size) => seconds >= size) ?? 1
  return formatDuration(seconds - (seconds % unit))
}
