/** What the service says of cameras, on pages in another language than its own. */
import { create } from '@bufbuild/protobuf'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { adviceOf, deliveryOf, stepSaid, whyMade, type Said } from '../src/cameras/said'
import { PROBE_STEPS } from '../src/cameras/setup/probe'
import {
  CameraTrackSchema,
  ProbeSourceResponseSchema,
  ProbeStepSchema,
  ProbeTrackSchema,
} from '../src/gen/patchbay/camera/v1/cameras_pb'
import { locale, serviceWords } from '../src/i18n'
import { service } from '../src/i18n/zh/service'

const PROTO = readFileSync(join(import.meta.dirname, '../../proto/patchbay/camera/v1/cameras.proto'), 'utf8')

/** The codes that the interface names in the comment above a field. */
function codesOf(field: string): string[] {
  const lines = PROTO.slice(0, PROTO.indexOf(field)).trimEnd().split('\n')
  const comment = lines.slice(lines.findLastIndex((line) => !line.trim().startsWith('//')) + 1).join()
  return [...comment.matchAll(/`([A-Z][A-Z\d_]+)`/g)].map(([, code]) => code!)
}

const words = ({ code, params }: Said) => serviceWords(code, params)

beforeEach(() => {
  locale.value = 'zh'
})

test('in English the service speaks for itself, and so it does under codes that nobody knows', () => {
  expect(serviceWords('advice.H265')).toContain('H.264')
  expect(serviceWords('advice.FROM_THE_FUTURE')).toBeUndefined()
  locale.value = 'en'
  expect(serviceWords('advice.H265')).toBeUndefined()
})

test('every code of advice that the interface names has words, and no other', () => {
  const named = codesOf('repeated string advice_codes = 8;')
  expect(named.length).toBeGreaterThan(10)
  const known = Object.keys(service).filter((key) => key.startsWith('advice.'))
  expect(known.sort()).toEqual(named.map((code) => `advice.${code}`).sort())
})

test('advice has its codes in order; that of an older service is shown as it is', () => {
  const report = create(ProbeSourceResponseSchema, { advice: ['a', 'b'], adviceCodes: ['NO_SOUND', 'LOSS'] })
  expect(adviceOf(report)).toEqual([
    { words: 'a', code: 'advice.NO_SOUND' },
    { words: 'b', code: 'advice.LOSS' },
  ])
  const [older] = adviceOf(create(ProbeSourceResponseSchema, { advice: ['a'] }))
  expect([older!.words, words(older!)]).toEqual(['a', undefined])
})

test('each step of a probe', () => {
  for (const name of PROBE_STEPS) {
    expect(words(stepSaid(create(ProbeStepSchema, { name, detail: 'x' }))), name).toMatch(/。$/)
  }
})

describe('a track', () => {
  const track = (codec: string, more: object = {}) => create(CameraTrackSchema, { codec, ...more })

  test('goes to browsers as it is, or for a reason not', () => {
    const delivery = (passesThrough: boolean, of: ReturnType<typeof track>) =>
      deliveryOf(create(ProbeTrackSchema, { passesThrough, track: of, delivery: 'its own' }))
    const cases: [Said, string][] = [
      [delivery(true, track('H264')), '原样'],
      [delivery(false, track('H265', { reordered: true })), 'H.265'],
      [delivery(false, track('H264', { reordered: true })), 'B 帧'],
      [delivery(false, track('AAC', { channels: 2 })), '不支持 AAC'],
    ]
    for (const [said, part] of cases) {
      expect(words(said)).toContain(part)
      expect(said.words).toBe('its own')
    }
  })

  test('is made of another one for its codec, its order or its size', () => {
    const made = (codec: string, more: object = {}) => track(codec, { transcoded: true, why: 'its own', ...more })
    const film = track('H264', { height: 720, width: 1280, reordered: true })
    const small = made('H264', { height: 360, width: 640 })
    expect(words(whyMade(made('H264', { height: 720, width: 1280 }), [film]))).toContain('H264 含 B 帧')
    expect(words(whyMade(small, [film, small]))).toContain('较小')
    expect(words(whyMade(small, [track('H264', { height: 720 }), small]))).toContain('较小')
    const sound = made('opus', { channels: 2 })
    expect(words(whyMade(sound, [film, sound, track('AAC', { channels: 2 })]))).toContain('来源的 AAC')
    expect(whyMade(sound, [film, sound]), 'its source is not told').toEqual({ words: 'its own', code: '' })
  })
})
