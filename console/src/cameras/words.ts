/** What cameras and their figures are called. */

import type { Duration } from '@bufbuild/protobuf/wkt'
import {
  CameraState,
  ViewerKind,
  ViewerQuality,
  type Camera,
  type CameraTrack,
  type Viewer,
} from '../gen/patchbay/camera/v1/cameras_pb'
import { formatNumber, t, tn, type Key } from '../i18n'

export interface StateFacts {
  words: Key
  badge: string
  /** The same as a sentence about the source. */
  health: Key
}

const STATES: Record<CameraState, StateFacts> = {
  [CameraState.UNSPECIFIED]: { words: 'cameras.state.unknown', badge: 'badge-ghost', health: 'health.unknown' },
  [CameraState.IDLE]: { words: 'cameras.state.idle', badge: 'badge-ghost', health: 'health.idle' },
  [CameraState.STARTING]: { words: 'cameras.state.starting', badge: 'badge-info', health: 'health.starting' },
  [CameraState.LIVE]: { words: 'cameras.state.live', badge: 'badge-success', health: 'health.live' },
  [CameraState.STALLED]: { words: 'cameras.state.stalled', badge: 'badge-warning', health: 'health.stalled' },
  [CameraState.FAILED]: { words: 'cameras.state.failed', badge: 'badge-error', health: 'health.failed' },
}

const KINDS: Record<ViewerKind, Key> = {
  [ViewerKind.UNSPECIFIED]: 'cameras.viewer.unknown',
  [ViewerKind.WHEP]: 'cameras.viewer.whep',
  [ViewerKind.WEBSOCKET]: 'cameras.viewer.websocket',
  [ViewerKind.MJPEG]: 'cameras.viewer.mjpeg',
  [ViewerKind.MSE]: 'cameras.viewer.mse',
}

const QUALITIES: Partial<Record<ViewerQuality, Key>> = {
  [ViewerQuality.FULL]: 'quality.full',
  [ViewerQuality.LOW]: 'quality.low',
  [ViewerQuality.KEY_FRAMES]: 'quality.keyFrames',
}

export function stateFacts(state: CameraState | undefined): StateFacts {
  return STATES[state ?? CameraState.UNSPECIFIED] ?? STATES[CameraState.UNSPECIFIED]
}

export function kindWords(kind: ViewerKind): string {
  return t(KINDS[kind] ?? 'cameras.viewer.unknown')
}

/** The camera that every suite has is called in the person's own language. */
export function titleOf({ name, title, source }: Camera): string {
  if (title !== '') return title
  return name === 'test' && source.case === 'test' ? t('cameras.testTitle') : name
}

export function sourceWords({ source }: Camera): string {
  switch (source.case) {
    case 'test':
      return t('cameras.source.test')
    case 'file':
      return t('cameras.source.fileIs', { path: source.value.path })
    case 'rtsp':
    case 'url':
    case 'mjpeg':
      return placeWords(t(`source.kind.${source.case}`), source.value.url)
    case 'device':
      return placeWords(t('source.kind.device'), source.value.path)
    case 'opencv':
      return placeWords(t('source.kind.opencv'), source.value.input)
    default:
      return ''
  }
}

/** Those who may not change a camera are not told where it is. */
function placeWords(kind: string, place: string): string {
  return place === '' ? kind : t('source.kindIs', { kind, place })
}

/** What a viewer gets for the bandwidth that it has; nothing where that is not known. */
export function qualityWords({ quality, availableBitrate, qualityChanges }: Viewer): string[] {
  const words = QUALITIES[quality]
  return [
    ...(words ? [t(words)] : []),
    ...(availableBitrate > 0n ? [t('quality.available', { n: bitrateWords(Number(availableBitrate)) })] : []),
    ...(qualityChanges > 0 ? [tn('quality.changes', qualityChanges)] : []),
  ]
}

/** A track with what was measured of it; `name` is its codec, or more of it where more is known. */
export function trackWords(track: CameraTrack, name = track.codec): string {
  const parts = [name]
  if (track.width > 0) parts.push(t('cameras.size', { width: track.width, height: track.height }))
  if (track.channels > 0) parts.push(tn('cameras.channels', track.channels))
  if (track.width > 0 && track.rate > 0) parts.push(t('cameras.fps', { n: formatNumber(track.rate, 'tenths') }))
  if (track.bitrate > 0n) parts.push(bitrateWords(Number(track.bitrate)))
  if (track.keyFrameInterval) {
    parts.push(t('cameras.keyFrameEach', { n: formatNumber(secondsOf(track.keyFrameInterval), 'tenths') }))
  }
  return parts.join(' · ')
}

export function secondsOf(duration: Duration): number {
  return Number(duration.seconds) + duration.nanos / 1e9
}

export function millisOf(duration: Duration | undefined): number | undefined {
  return duration && secondsOf(duration) * 1000
}

export function bitrateWords(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1e6) return t('cameras.mbits', { n: formatNumber(bitsPerSecond / 1e6, 'tenths') })
  return t('cameras.kbits', { n: formatNumber(bitsPerSecond / 1e3) })
}

export function bytesWords(bytes: number): string {
  if (bytes >= 1e9) return t('cameras.gigabytes', { n: formatNumber(bytes / 1e9, 'tenths') })
  if (bytes >= 1e6) return t('cameras.megabytes', { n: formatNumber(bytes / 1e6, 'tenths') })
  return t('cameras.kilobytes', { n: formatNumber(bytes / 1e3) })
}

export function countWords(count: bigint): string {
  return formatNumber(Number(count))
}

export function millisWords(ms: number): string {
  return t('cameras.ms', { n: formatNumber(ms, ms < 10 ? 'tenths' : 'whole') })
}

export function percentWords(part: number): string {
  return t('cameras.percent', { n: formatNumber(part * 100, 'tenths') })
}
