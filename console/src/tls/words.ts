/** What a probe's answers are called, and in which colours they are shown. */

import type { Timestamp } from '@bufbuild/protobuf/wkt'
import { timestampMs } from '@bufbuild/protobuf/wkt'
import {
  ProbeFailure,
  Severity,
  StartTls,
  TlsVersion,
  type Certificate,
  type Finding,
} from '../gen/patchbay/crypto/v1/tls_pb'
import { formatDate, formatNumber, t, tn, tOr, type Key } from '../i18n'
import type { IconName } from '../ui/Icon.vue'

/** Proper names. */
const VERSIONS: Record<TlsVersion, string> = {
  [TlsVersion.UNSPECIFIED]: '',
  [TlsVersion.SSL30]: 'SSL 3.0',
  [TlsVersion.TLS10]: 'TLS 1.0',
  [TlsVersion.TLS11]: 'TLS 1.1',
  [TlsVersion.TLS12]: 'TLS 1.2',
  [TlsVersion.TLS13]: 'TLS 1.3',
}

/** The choices of a probe, the usual one first. */
export const START_TLS: { startTls: StartTls; words: Key }[] = [
  { startTls: StartTls.UNSPECIFIED, words: 'tls.startTls.byPort' },
  { startTls: StartTls.NONE, words: 'tls.startTls.none' },
  { startTls: StartTls.FTP, words: 'tls.startTls.ftp' },
  { startTls: StartTls.SMTP, words: 'tls.startTls.smtp' },
  { startTls: StartTls.IMAP, words: 'tls.startTls.imap' },
]

const SCHEMES = [
  { scheme: 'ftp', startTls: StartTls.FTP },
  { scheme: 'smtp', startTls: StartTls.SMTP },
  { scheme: 'imap', startTls: StartTls.IMAP },
]

const FAILURES: Record<ProbeFailure, Key> = {
  [ProbeFailure.UNSPECIFIED]: 'tls.failure.OTHER',
  [ProbeFailure.NAME_NOT_FOUND]: 'tls.failure.NAME_NOT_FOUND',
  [ProbeFailure.CONNECTION_REFUSED]: 'tls.failure.CONNECTION_REFUSED',
  [ProbeFailure.UNREACHABLE]: 'tls.failure.UNREACHABLE',
  [ProbeFailure.TIMED_OUT]: 'tls.failure.TIMED_OUT',
  [ProbeFailure.CONNECTION_CLOSED]: 'tls.failure.CONNECTION_CLOSED',
  [ProbeFailure.NOT_TLS]: 'tls.failure.NOT_TLS',
  [ProbeFailure.START_TLS_REFUSED]: 'tls.failure.START_TLS_REFUSED',
  [ProbeFailure.HANDSHAKE_REFUSED]: 'tls.failure.HANDSHAKE_REFUSED',
}

export interface SeverityFacts {
  words: Key
  icon: IconName
  ink: string
  badge: string
}

const SEVERITIES: Record<Severity, SeverityFacts> = {
  [Severity.UNSPECIFIED]: { words: 'tls.severity.good', icon: 'check', ink: 'text-success', badge: 'badge-success' },
  [Severity.NOTE]: { words: 'tls.severity.note', icon: 'info', ink: 'text-info', badge: 'badge-info' },
  [Severity.WARNING]: { words: 'tls.severity.warning', icon: 'alert', ink: 'text-warning', badge: 'badge-warning' },
  [Severity.CRITICAL]: { words: 'tls.severity.critical', icon: 'alert', ink: 'text-error', badge: 'badge-error' },
}

/** Versions that nobody should speak any more, so that speaking them is what is told in colour. */
const OLD = new Set([TlsVersion.SSL30, TlsVersion.TLS10, TlsVersion.TLS11])

export function versionName(version: TlsVersion): string {
  return VERSIONS[version] ?? ''
}

export function isOld(version: TlsVersion): boolean {
  return OLD.has(version)
}

/** State of an address of which the person has said here that it should be probed. No link from elsewhere has it. */
export const ASKED = { asked: true }

export function isAsked(): boolean {
  return (history.state as Partial<typeof ASKED> | null)?.asked === true
}

/** What a watched host's name asks a probe for: `smtp://mail.example.com:25` says how TLS begins. */
export function probeQuery(name: string): { host: string; begin?: string } {
  const [, scheme, host] = /^(\w+):\/\/(.*)$/.exec(name) ?? []
  return host === undefined || scheme === undefined ? { host: name } : { host, begin: scheme }
}

/** The other way round; what nobody knows is as the port has it. */
export function startTlsNamed(scheme: unknown): StartTls {
  return SCHEMES.find((one) => one.scheme === scheme)?.startTls ?? StartTls.UNSPECIFIED
}

export function startTlsWords(startTls: StartTls): string {
  return t(START_TLS.find((one) => one.startTls === startTls)?.words ?? 'tls.startTls.none')
}

export function failureWords(failure: ProbeFailure): string {
  return t(FAILURES[failure] ?? 'tls.failure.OTHER')
}

export function severityFacts(severity: Severity): SeverityFacts {
  return SEVERITIES[severity] ?? SEVERITIES[Severity.NOTE]
}

/** What a finding is called in the language that is chosen; the service's sentence where the page knows no name. */
export function findingName({ code, message }: Finding): string {
  return tOr(`finding.${code}`, message)
}

/** The service's own sentence, with its numbers and names, where it is not the name already. */
export function findingDetail(finding: Finding): string | undefined {
  return findingName(finding) === finding.message ? undefined : finding.message
}

/** Colours of a grade, on its own ground. */
export function gradeColours(grade: string): string {
  if (grade.startsWith('A')) return 'bg-success text-success-content'
  if (grade === 'B') return 'bg-info text-info-content'
  if (grade === 'C' || grade === 'D') return 'bg-warning text-warning-content'
  return 'bg-error text-error-content'
}

/** Days under which a certificate is told in another colour, the fewest first. */
const DAYS: { under: number; badge: string }[] = [
  { under: 7, badge: 'badge-error' },
  { under: 14, badge: 'badge-warning' },
  { under: 30, badge: 'badge-warning badge-outline' },
]

export function daysBadge(days: number): string {
  return DAYS.find(({ under }) => days < under)?.badge ?? 'badge-success badge-soft'
}

export function daysWords(days: number): string {
  return days < 0 ? tn('tls.daysOver', -days) : tn('tls.daysLeft', days)
}

export function dateWords(time: Timestamp | undefined): string {
  return time ? formatDate(timestampMs(time)) : ''
}

/** Bits where the type's name does not say them. */
export function keyWords({ keyType, keyBits }: Certificate): string {
  return keyBits > 0 && !/\d/.test(keyType) ? t('tls.keyBits', { type: keyType, n: keyBits }) : keyType
}

/** The most telling part of a name as RFC 4514 has it: the common name, else the first part. */
export function shortName(name: string): string {
  const parts = partsOfName(name)
  const common = parts.find(([type]) => type.toUpperCase() === 'CN') ?? parts[0]
  return common?.[1] ?? ''
}

/** Types and values of a name; `\` escapes what would end a value. */
export function partsOfName(name: string): [type: string, value: string][] {
  const found = [...name.matchAll(/\s*([\w.-]+)\s*=\s*((?:\\.|[^,+\\])*)[,+]?/gs)]
  return found.map(([, type, value]) => [type ?? '', unescaped((value ?? '').trim())])
}

/** `\,` is the character, `\2C` a byte of UTF-8. */
function unescaped(value: string): string {
  return value.replace(/(?:\\[0-9a-fA-F]{2})+|\\(.)/gs, (whole, character?: string) =>
    character === undefined
      ? new TextDecoder().decode(
          Uint8Array.from(whole.match(/[0-9a-fA-F]{2}/g) ?? [], (hex) => Number.parseInt(hex, 16)),
        )
      : character,
  )
}

/** Two hexadecimal digits apart from the next two, as people compare fingerprints. */
export function inPairs(hex: string): string {
  return hex.toUpperCase().match(/../g)?.join(':') ?? ''
}

export function secondsWords(seconds: number): string {
  return t('tls.seconds', { n: formatNumber(seconds, 'tenths') })
}
