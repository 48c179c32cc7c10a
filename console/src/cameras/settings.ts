/** A camera as a form has it: plain fields, made of what the service keeps and turned back into it. No I/O. */

import { create } from '@bufbuild/protobuf'
import type { Violation } from '../calls/trouble'
import { CameraSchema, type Camera } from '../gen/patchbay/camera/v1/cameras_pb'
import {
  motionOf,
  motionSettings,
  processingOf,
  processingSettings,
  type MotionSettings,
  type ProcessingSettings,
} from './setup/processing'
import { sourceOf, sourceSettings, usualSource, type SourceSettings } from './setup/source'

export interface Settings extends SourceSettings {
  name: string
  title: string
  alwaysOn: boolean
  processing: ProcessingSettings
  motion: MotionSettings
}

export function settingsOf(camera: Camera | undefined): Settings {
  const { name = '', title = '', alwaysOn = false, source, processing, motion } = camera ?? {}
  return {
    ...(source ? sourceSettings(source) : usualSource()),
    ...{ name, title, alwaysOn },
    processing: processingSettings(processing),
    motion: motionSettings(motion),
  }
}

export function cameraOf(settings: Settings, revision = 0n): Camera {
  const { name, title, alwaysOn } = settings
  const [processing, motion] = [processingOf(settings.processing), motionOf(settings.motion)]
  return create(CameraSchema, {
    ...{ name, title: title.trim(), alwaysOn, revision, source: sourceOf(settings) },
    ...(processing ? { processing } : {}),
    ...(motion ? { motion } : {}),
  })
}

export function isCameraName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/.test(name)
}

/** What is wrong with each field, by its path in the interface, such as `test.width`. */
export type Problems = Record<string, string>

export function problemsByField(violations: Violation[] | undefined): Problems {
  return Object.fromEntries((violations ?? []).map(({ field, message }) => [pathOf(field), message]))
}

/** A camera's field, as the interface names it in calls. */
function pathOf(field: string): string {
  return field.replace(/^camera\./, '')
}

/** What a form asks for in turn. */
export const STEPS = ['what', 'where', 'probe', 'rest'] as const

export type Step = (typeof STEPS)[number]

/** The step in which a field is that something is wrong with. */
export function stepOf(field: string): Step {
  return /^(name|title|always_on|processing|motion)\b/.test(pathOf(field)) ? 'rest' : 'where'
}
