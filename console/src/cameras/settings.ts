/** A camera as a form has it: plain fields, made of what the service keeps and turned back into it. No I/O. */

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt'
import type { Violation } from '../calls/trouble'
import { CameraSchema, type Camera } from '../gen/patchbay/camera/v1/cameras_pb'
import { secondsOf } from './words'

export interface Settings {
  name: string
  title: string
  kind: 'test' | 'file'
  width: number
  height: number
  fps: number
  kbits: number
  keyFrameSeconds: number
  silent: boolean
  path: string
  alwaysOn: boolean
}

/** What the service takes where a camera says nothing. */
const DEFAULTS: Settings = {
  name: '',
  title: '',
  kind: 'test',
  width: 640,
  height: 480,
  fps: 30,
  kbits: 1_500,
  keyFrameSeconds: 2,
  silent: false,
  path: '',
  alwaysOn: false,
}

export function settingsOf(camera: Camera | undefined): Settings {
  if (!camera) return { ...DEFAULTS }
  const { name, title, alwaysOn, source } = camera
  const common = { ...DEFAULTS, name, title, alwaysOn }
  if (source.case === 'file') return { ...common, kind: 'file', path: source.value.path }
  if (source.case !== 'test') return common
  const { width, height, fps, bitrate, keyFrameInterval, silent } = source.value
  return {
    ...common,
    width: width || DEFAULTS.width,
    height: height || DEFAULTS.height,
    fps: fps || DEFAULTS.fps,
    kbits: bitrate > 0 ? bitrate / 1_000 : DEFAULTS.kbits,
    keyFrameSeconds: keyFrameInterval ? secondsOf(keyFrameInterval) : DEFAULTS.keyFrameSeconds,
    silent,
  }
}

export function cameraOf(settings: Settings, revision = 0n): Camera {
  const { name, title, alwaysOn } = settings
  return create(CameraSchema, { name, title: title.trim(), alwaysOn, revision, source: sourceOf(settings) })
}

function sourceOf(settings: Settings): NonNullable<MessageInitShape<typeof CameraSchema>['source']> {
  if (settings.kind === 'file') return { case: 'file', value: { path: settings.path } }
  const { kbits, keyFrameSeconds, silent } = settings
  const value = {
    width: whole(settings.width),
    height: whole(settings.height),
    fps: whole(settings.fps),
    bitrate: whole(kbits * 1_000),
    silent,
    ...(keyFrameSeconds > 0 ? { keyFrameInterval: durationOf(keyFrameSeconds) } : {}),
  }
  return { case: 'test', value }
}

/** What can be sent; the service says whether it is a good number. */
function whole(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), 2 ** 32 - 1)
}

function durationOf(seconds: number): Duration {
  const millis = Math.min(Math.round(seconds * 1_000), Number.MAX_SAFE_INTEGER)
  return create(DurationSchema, { seconds: BigInt(Math.floor(millis / 1_000)), nanos: (millis % 1_000) * 1e6 })
}

export function isCameraName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/.test(name)
}

/** The service names fields by their path, such as `camera.test.width`; a form knows them by the last part. */
export function problemsByField(violations: Violation[] | undefined): Record<string, string> {
  return Object.fromEntries((violations ?? []).map(({ field, message }) => [field.split('.').at(-1) ?? '', message]))
}
