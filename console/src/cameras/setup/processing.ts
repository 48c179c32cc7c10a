/** What is done with a camera's pictures and what moves in them, as a form has it. No I/O. */

import { create } from '@bufbuild/protobuf'
import {
  Corner,
  MaskStyle,
  MotionDetectionSchema,
  ProcessingSchema,
  type MotionDetection,
  type Processing,
} from '../../gen/patchbay/camera/v1/cameras_pb'
import { secondsOf } from '../words'
import type { Point } from './polygon'
import { durationOf, whole } from './source'

export interface ProcessingSettings {
  hasClock: boolean
  corner: Corner
  timeZone: string
  words: string
  /** 0 is that of the source. */
  height: number
  /** 0 is chosen by size. */
  kbits: number
  masks: MaskSettings[]
}

export interface MaskSettings {
  points: Point[]
  style: MaskStyle
}

export interface MotionSettings {
  isOn: boolean
  sensitivity: number
  holdSeconds: number
  zones: ZoneSettings[]
}

export interface ZoneSettings {
  name: string
  points: Point[]
  /** 0 is that of the camera. */
  sensitivity: number
}

const USUAL_SENSITIVITY = 50
const USUAL_HOLD_SECONDS = 5

export function processingSettings(processing: Processing | undefined): ProcessingSettings {
  const { overlay, height = 0, bitrate = 0, masks = [] } = processing ?? {}
  return {
    hasClock: overlay !== undefined,
    corner: overlay?.corner ?? Corner.UNSPECIFIED,
    timeZone: overlay?.timeZone ?? '',
    words: overlay?.title ?? '',
    height,
    kbits: bitrate / 1_000,
    masks: masks.map(({ points, style }) => ({ points: points.map(plain), style })),
  }
}

/** Nothing where nothing is asked for, so that pictures pass through. */
export function processingOf(settings: ProcessingSettings): Processing | undefined {
  const { hasClock, corner, timeZone, words, masks } = settings
  const [height, bitrate] = [whole(settings.height), whole(settings.kbits * 1_000)]
  if (!hasClock && height === 0 && bitrate === 0 && masks.length === 0) return undefined
  const overlay = hasClock ? { overlay: { corner, timeZone: timeZone.trim(), title: words.trim() } } : {}
  return create(ProcessingSchema, { ...overlay, height, bitrate, masks })
}

export function motionSettings(motion: MotionDetection | undefined): MotionSettings {
  const { sensitivity, hold, zones = [] } = motion ?? {}
  return {
    isOn: motion !== undefined,
    sensitivity: sensitivity || USUAL_SENSITIVITY,
    holdSeconds: hold ? secondsOf(hold) : USUAL_HOLD_SECONDS,
    zones: zones.map(({ name, points, sensitivity }) => ({ name, points: points.map(plain), sensitivity })),
  }
}

export function motionOf({ isOn, sensitivity, holdSeconds, zones }: MotionSettings): MotionDetection | undefined {
  if (!isOn) return undefined
  const named = zones.map(({ name, points, sensitivity }) => ({ name: name.trim(), points, sensitivity }))
  return create(MotionDetectionSchema, { sensitivity, hold: durationOf(holdSeconds), zones: named })
}

function plain({ x, y }: Point): Point {
  return { x, y }
}
