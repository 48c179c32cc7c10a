/** Where a camera's pictures come from, as a form has it: plain fields, made of what the service keeps and turned back into it. No I/O. */

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt'
import {
  RtspTransport,
  type Camera,
  type CameraSchema,
  type Login,
  type TestSource,
} from '../../gen/patchbay/camera/v1/cameras_pb'
import { secondsOf } from '../words'

/** The sources, as the interface names them. */
export type Kind = 'rtsp' | 'url' | 'mjpeg' | 'file' | 'device' | 'test' | 'opencv'

/** What a person chooses first; an address says by its scheme which source it is. */
export type What = 'address' | 'file' | 'device' | 'test' | 'opencv'

export interface SourceSettings {
  what: What
  address: string
  /** What is behind an address of HTTP. */
  behind: 'url' | 'mjpeg'
  username: string
  password: string
  /** The service has a password, which it never gives back; it stays while `password` is empty. */
  keepsPassword: boolean
  transport: RtspTransport
  fingerprint: string
  intervalSeconds: number
  path: string
  device: DeviceSettings
  test: TestSettings
  input: string
}

export interface DeviceSettings {
  path: string
  width: number
  height: number
  fps: number
}

export interface TestSettings {
  width: number
  height: number
  fps: number
  kbits: number
  keyFrameSeconds: number
  silent: boolean
  noise: number
  ignoreKeyFrameRequests: boolean
}

/** What the service takes where a camera says nothing. */
export function usualSource(): SourceSettings {
  return {
    ...{ what: 'address', address: '', behind: 'url', username: '', password: '', keepsPassword: false },
    ...{ transport: RtspTransport.UNSPECIFIED, fingerprint: '', intervalSeconds: 1, path: '', input: '' },
    device: { path: '', width: 0, height: 0, fps: 0 },
    test: {
      ...{ width: 640, height: 480, fps: 30, kbits: 1_500, keyFrameSeconds: 2 },
      ...{ silent: false, noise: 0, ignoreKeyFrameRequests: false },
    },
  }
}

type Source = Camera['source']

export function sourceSettings(source: Source): SourceSettings {
  const usual = usualSource()
  switch (source.case) {
    case 'rtsp':
      return { ...usual, ...remote(source.value), transport: source.value.transport }
    case 'url':
      return { ...usual, ...remote(source.value) }
    case 'mjpeg': {
      const { interval } = source.value
      const intervalSeconds = interval ? secondsOf(interval) : usual.intervalSeconds
      return { ...usual, ...remote(source.value), behind: 'mjpeg', intervalSeconds }
    }
    case 'file':
      return { ...usual, what: 'file', path: source.value.path }
    case 'device': {
      const { path, width, height, fps } = source.value
      return { ...usual, what: 'device', device: { path, width, height, fps } }
    }
    case 'opencv':
      return { ...usual, what: 'opencv', input: source.value.input }
    case 'test':
      return { ...usual, what: 'test', test: testSettings(source.value, usual.test) }
    default:
      return usual
  }
}

interface Remote {
  url: string
  login?: Login | undefined
  certificateFingerprint: string
}

function remote({ url, login, certificateFingerprint }: Remote) {
  const { username = '', hasPassword = false } = login ?? {}
  return { address: url, username, keepsPassword: hasPassword, fingerprint: certificateFingerprint }
}

function testSettings(source: TestSource, usual: TestSettings): TestSettings {
  const { width, height, fps, bitrate, keyFrameInterval, silent, noise, ignoreKeyFrameRequests } = source
  return {
    width: width || usual.width,
    height: height || usual.height,
    fps: fps || usual.fps,
    kbits: bitrate > 0 ? bitrate / 1_000 : usual.kbits,
    keyFrameSeconds: keyFrameInterval ? secondsOf(keyFrameInterval) : usual.keyFrameSeconds,
    ...{ silent, noise, ignoreKeyFrameRequests },
  }
}

/** Which source the settings make. */
export function kindOf({ what, address, behind }: Pick<SourceSettings, 'what' | 'address' | 'behind'>): Kind {
  if (what !== 'address') return what
  return isHttp(address) ? behind : 'rtsp'
}

export function isHttp(address: string): boolean {
  return /^https?:/i.test(address.trim())
}

/** Whether the way there is encrypted, so that a certificate comes. */
export function isTls(address: string): boolean {
  return /^(rtsps|https):/i.test(address.trim())
}

/** An address without a scheme is of the usual protocol of cameras. */
export function withScheme(address: string): string {
  const text = address.trim()
  return text === '' || /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `rtsp://${text}`
}

/** Takes a login out of an address, where it would be shown. */
export function splitLogin(address: string): { address: string; username?: string; password?: string } {
  const [, scheme, login, rest] = /^([a-z][a-z\d+.-]*:\/\/)([^/?#]*)@(.*)$/i.exec(address.trim()) ?? []
  if (scheme === undefined || login === undefined || rest === undefined) return { address: address.trim() }
  const at = login.indexOf(':')
  const [username, password] = at < 0 ? [login, ''] : [login.slice(0, at), login.slice(at + 1)]
  return { address: scheme + rest, username: decoded(username), password: decoded(password) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export type SourceInit = NonNullable<MessageInitShape<typeof CameraSchema>['source']>

export function sourceOf(settings: SourceSettings): SourceInit {
  const { transport, intervalSeconds, path, device, input } = settings
  const kind = kindOf(settings)
  switch (kind) {
    case 'rtsp':
      return { case: kind, value: { ...remoteOf(settings), transport } }
    case 'url':
      return { case: kind, value: remoteOf(settings) }
    case 'mjpeg': {
      const interval = intervalSeconds > 0 ? { interval: durationOf(intervalSeconds) } : {}
      return { case: kind, value: { ...remoteOf(settings), ...interval } }
    }
    case 'file':
      return { case: kind, value: { path } }
    case 'device': {
      const { width, height, fps } = device
      return { case: kind, value: { path: device.path, width: whole(width), height: whole(height), fps: whole(fps) } }
    }
    case 'opencv':
      return { case: kind, value: { input } }
    case 'test':
      return { case: kind, value: testOf(settings.test) }
  }
}

function remoteOf({ address, username, password, keepsPassword, fingerprint }: SourceSettings) {
  const isLogin = username !== '' || password !== '' || keepsPassword
  const hasPassword = keepsPassword || password !== ''
  const certificateFingerprint = isTls(withScheme(address)) ? fingerprint.trim() : ''
  const url = withScheme(address)
  return { url, certificateFingerprint, ...(isLogin ? { login: { username, password, hasPassword } } : {}) }
}

function testOf({ width, height, fps, kbits, keyFrameSeconds, silent, noise, ignoreKeyFrameRequests }: TestSettings) {
  return {
    ...{ width: whole(width), height: whole(height), fps: whole(fps), bitrate: whole(kbits * 1_000) },
    ...{ silent, ignoreKeyFrameRequests, noise: whole(noise) },
    ...(keyFrameSeconds > 0 ? { keyFrameInterval: durationOf(keyFrameSeconds) } : {}),
  }
}

/** What can be sent; the service says whether it is a good number. */
export function whole(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), 2 ** 32 - 1)
}

export function durationOf(seconds: number): Duration {
  const millis = Math.min(Math.round(seconds * 1_000), Number.MAX_SAFE_INTEGER)
  return create(DurationSchema, { seconds: BigInt(Math.floor(millis / 1_000)), nanos: (millis % 1_000) * 1e6 })
}
