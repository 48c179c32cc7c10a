/** The form of a camera, without a browser: settings both ways, what it proposes, and polygons. */
import { create } from '@bufbuild/protobuf'
import { beforeEach, describe, expect, test } from 'vitest'
import { reasonOf, reasonWords } from '../src/cameras/reasons'
import { cameraOf, isCameraName, problemsByField, settingsOf, stepOf, type Settings } from '../src/cameras/settings'
import {
  inside,
  middle,
  moved,
  placed,
  rectangle,
  svgPoints,
  withCornerAfter,
  withCornerAt,
  withoutCorner,
  type Point,
} from '../src/cameras/setup/polygon'
import { deviceWords, loginFor, noteOf, streamWords } from '../src/cameras/setup/device'
import { sourceKey } from '../src/cameras/setup/probe'
import { kindOf, splitLogin, withScheme } from '../src/cameras/setup/source'
import { fingerprintIn, MAKERS, suggestName, withPath } from '../src/cameras/setup/suggest'
import {
  CameraSchema,
  Corner,
  DescribeDeviceResponseSchema,
  DeviceStreamSchema,
  MaskStyle,
  RtspTransport,
} from '../src/gen/patchbay/camera/v1/cameras_pb'
import { locale, serviceWords } from '../src/i18n'
import { en } from '../src/i18n/en'

beforeEach(() => {
  locale.value = 'en'
})

const blank = (changes: Partial<Settings> = {}): Settings => ({ ...settingsOf(undefined), ...changes })
const FINGERPRINT = Array.from({ length: 32 }, (_, byte) => byte.toString(16).padStart(2, '0')).join(':')

describe('settings', () => {
  test('of an IP camera go to the service and come back, the password aside', () => {
    const camera = cameraOf(
      blank({
        ...{ name: 'yard', title: ' Yard ', address: ' cam.example/1 ', username: 'eye', password: 'secret' },
        transport: RtspTransport.TCP,
      }),
      7n,
    )
    expect(camera).toMatchObject({ name: 'yard', title: 'Yard', revision: 7n, source: { case: 'rtsp' } })
    expect(camera.source.value).toMatchObject({
      url: 'rtsp://cam.example/1',
      login: { username: 'eye', password: 'secret', hasPassword: true },
      transport: RtspTransport.TCP,
    })
    const kept = create(CameraSchema, {
      name: 'yard',
      source: { case: 'rtsp', value: { url: 'rtsp://cam.example/1', login: { username: 'eye', hasPassword: true } } },
    })
    const settings = settingsOf(kept)
    expect(settings).toMatchObject({ username: 'eye', password: '', keepsPassword: true, what: 'address' })
    expect(cameraOf(settings).source.value).toMatchObject({ login: { password: '', hasPassword: true } })
    expect(cameraOf({ ...settings, keepsPassword: false, username: '' }).source.value).not.toHaveProperty('login')
  })

  test('the address says which source it is', () => {
    const kinds = ['rtsp://a', 'RTSPS://a', 'http://a', 'https://a', 'a'].map((address) => kindOf(blank({ address })))
    expect(kinds).toEqual(['rtsp', 'rtsp', 'url', 'url', 'rtsp'])
    expect(kindOf(blank({ address: 'http://a', behind: 'mjpeg' }))).toBe('mjpeg')
    expect(kindOf(blank({ address: 'http://a', what: 'file' }))).toBe('file')
    const mjpeg = cameraOf(blank({ address: 'http://a/', behind: 'mjpeg', intervalSeconds: 0.5 }))
    expect(mjpeg.source).toMatchObject({ case: 'mjpeg', value: { interval: { seconds: 0n, nanos: 500_000_000 } } })
    expect(settingsOf(mjpeg)).toMatchObject({ behind: 'mjpeg', intervalSeconds: 0.5 })
  })

  test('a certificate is pinned only where one comes', () => {
    const pinned = (address: string) => cameraOf(blank({ address, fingerprint: FINGERPRINT })).source.value
    expect(pinned('rtsps://a')).toMatchObject({ certificateFingerprint: FINGERPRINT })
    expect(pinned('rtsp://a')).toMatchObject({ certificateFingerprint: '' })
  })

  test('of every other source come back as they were', () => {
    const sources: Parameters<typeof create<typeof CameraSchema>>[1][] = [
      { source: { case: 'file', value: { path: 'a.mp4' } } },
      { source: { case: 'device', value: { path: '/dev/video0', width: 1280, height: 720, fps: 25 } } },
      { source: { case: 'opencv', value: { input: 'http://a/b' } } },
      {
        source: { case: 'test', value: { width: 320, height: 240, fps: 15, bitrate: 9_000, noise: 20, silent: true } },
      },
      { source: { case: 'test', value: { ignoreKeyFrameRequests: true } } },
    ]
    for (const source of sources) {
      const camera = create(CameraSchema, source)
      expect(cameraOf(settingsOf(camera)).source).toMatchObject({ ...camera.source, value: source!.source!.value })
    }
  })

  test('what is no number of the wire is made one, for the service to judge', () => {
    const test = { ...blank().test, width: 640.4, fps: -1, kbits: 1e9, keyFrameSeconds: 0 }
    const { value } = cameraOf(blank({ what: 'test', test })).source
    expect(value).toMatchObject({ width: 640, fps: 0, bitrate: 2 ** 32 - 1 })
    expect(value).not.toHaveProperty('keyFrameInterval')
  })

  test('nothing is done with the pictures unless it is asked for', () => {
    const camera = cameraOf(blank({ what: 'test' }))
    expect(camera.processing).toBeUndefined()
    expect(camera.motion).toBeUndefined()
  })

  test('of the picture and of motion come back', () => {
    const points = [
      { x: 0, y: 0 },
      { x: 0.5, y: 0 },
      { x: 0.5, y: 0.25 },
    ]
    const settings = blank({
      processing: {
        ...{ hasClock: true, corner: Corner.BOTTOM_RIGHT, timeZone: 'Europe/Berlin', words: 'Yard', height: 480 },
        ...{ kbits: 800, masks: [{ points, style: MaskStyle.PIXELATE }] },
      },
      motion: { isOn: true, sensitivity: 70, holdSeconds: 2.5, zones: [{ name: 'Door', points, sensitivity: 0 }] },
    })
    const camera = cameraOf(settings)
    expect(camera.processing).toMatchObject({
      ...{ height: 480, bitrate: 800_000, masks: [{ style: MaskStyle.PIXELATE }] },
      overlay: { corner: Corner.BOTTOM_RIGHT, timeZone: 'Europe/Berlin', title: 'Yard' },
    })
    expect(camera.motion).toMatchObject({ sensitivity: 70, hold: { seconds: 2n, nanos: 500_000_000 } })
    expect(settingsOf(camera)).toMatchObject({ processing: settings.processing, motion: settings.motion })
  })

  test('names', () => {
    for (const good of ['a', 'test', 'Cam-1_b.c', 'x'.repeat(64)]) expect(isCameraName(good), good).toBe(true)
    for (const bad of ['', '.a', 'a/b', 'a b', '摄像头', 'x'.repeat(65)]) expect(isCameraName(bad), bad).toBe(false)
  })

  test('what is wrong is told at its field, in the step where that is', () => {
    const told = [
      { field: 'camera.test.width', message: 'must be even' },
      { field: 'camera.processing.height', message: 'must be even too' },
    ]
    expect(problemsByField(told)).toEqual({ 'test.width': 'must be even', 'processing.height': 'must be even too' })
    expect(problemsByField(undefined)).toEqual({})
    expect(
      ['camera.rtsp.url', 'test.width', 'camera.name', 'processing.overlay.title', 'motion.zones'].map(stepOf),
    ).toEqual([...['where', 'where', 'rest', 'rest', 'rest']])
  })

  test('a probe belongs to its source, whatever the camera is called', () => {
    const key = (changes: Partial<Settings>) => sourceKey(cameraOf(blank({ address: 'rtsp://a/1', ...changes })))
    expect(key({ name: 'a' })).toBe(key({ name: 'b', alwaysOn: true }))
    expect(key({ password: 'x', username: 'u' })).not.toBe(key({ username: 'u' }))
    expect(() => key({ address: 'http://a', behind: 'mjpeg' })).not.toThrow()
  })
})

describe('an address', () => {
  test('gives its login away', () => {
    expect(splitLogin('rtsp://eye:p%40ss@cam:554/x@y?z')).toEqual({
      ...{ address: 'rtsp://cam:554/x@y?z', username: 'eye', password: 'p@ss' },
    })
    expect(splitLogin('rtsp://eye@cam/')).toEqual({ address: 'rtsp://cam/', username: 'eye', password: '' })
    expect(splitLogin('rtsp://u:a@b@cam/')).toMatchObject({ address: 'rtsp://cam/', password: 'a@b' })
    expect(splitLogin('rtsp://u:100%@cam/')).toMatchObject({ password: '100%' })
    expect(splitLogin(' rtsp://cam/a@b ')).toEqual({ address: 'rtsp://cam/a@b' })
  })

  test('without a scheme is that of a camera', () => {
    expect(['', 'cam/1', 'HTTP://a', '10.0.0.1:554'].map(withScheme)).toEqual([
      ...['', 'rtsp://cam/1', 'HTTP://a', 'rtsp://10.0.0.1:554'],
    ])
  })

  test('is tried with the paths of makers', () => {
    expect(withPath('rtsp://cam:554/wrong?x=1', '/stream1')).toBe('rtsp://cam:554/stream1')
    expect(withPath('cam', '/stream1')).toBe('rtsp://cam/stream1')
    expect(MAKERS.every(({ path }) => path.startsWith('/'))).toBe(true)
  })
})

describe('proposals', () => {
  test('names say where a camera is, and are free', () => {
    const name = (changes: Partial<Settings>, taken: string[] = [], scopes = ['admin']) =>
      suggestName(blank(changes), taken, scopes)
    expect(name({ address: 'rtsp://yard.example:554/1' })).toBe('yard-example')
    expect(name({ address: 'rtsp://u:p@192.168.1.5/1' })).toBe('camera-192-168-1-5')
    expect(name({ address: 'rtsp://[fe80::1]/' })).toBe('fe80-1')
    expect(name({ address: '' })).toBe('camera')
    expect(name({ what: 'file', path: 'films/Easy life.mp4' })).toBe('Easy-life')
    expect(name({ what: 'device', device: { path: '/dev/video0', width: 0, height: 0, fps: 0 } })).toBe('video0')
    expect(name({ what: 'test' }, ['test-picture', 'test-picture-2'])).toBe('test-picture-3')
    expect(isCameraName(name({ address: `rtsp://${'a'.repeat(200)}/` }, ['a'.repeat(64)]))).toBe(true)
  })

  test('who may change one camera alone gets its name', () => {
    const address = 'rtsp://cam/'
    expect(suggestName(blank({ address }), [], ['media:write:yard', 'media:read:*'])).toBe('yard')
    expect(suggestName(blank({ address }), [], ['media:write:yard', 'media:write:*'])).toBe('cam')
    expect(suggestName(blank({ address }), ['yard'], ['media:write:yard'])).toBe('cam')
  })

  test('the certificate that a probe met', () => {
    expect(fingerprintIn(`its SHA-256 fingerprint is ${FINGERPRINT.toUpperCase()}: pin it`)).toBe(
      FINGERPRINT.toUpperCase(),
    )
    expect(fingerprintIn(FINGERPRINT.replaceAll(':', ''))).toHaveLength(64)
    expect(fingerprintIn('no certificate at all: ab:cd')).toBeUndefined()
  })
})

describe('reasons', () => {
  test('all have words and a thing to do, in both languages, and new ones are others', () => {
    const all = Object.keys(en).filter((key) => /^reason\.[A-Z_]+$/.test(key))
    expect(all).toHaveLength(15)
    for (const chosen of ['en', 'zh'] as const) {
      locale.value = chosen
      for (const key of all) {
        const { what, todo } = reasonWords(key.replace('reason.', ''))
        expect([what.length > 3, todo.length > 3], key).toEqual([true, true])
      }
    }
    expect(reasonOf('FROM_THE_FUTURE')).toBe('OTHER')
  })
})

describe('polygons', () => {
  const square: Point[] = [
    { x: 0.2, y: 0.2 },
    { x: 0.4, y: 0.2 },
    { x: 0.4, y: 0.4 },
    { x: 0.2, y: 0.4 },
  ]

  test('stay within the picture', () => {
    expect(inside({ x: -1, y: 1.0004 })).toEqual({ x: 0, y: 1 })
    expect(withCornerAt(square, 0, { x: -3, y: 0.12345 })[0]).toEqual({ x: 0, y: 0.123 })
    expect(moved(square, { x: 5, y: -5 })).toEqual([
      { x: 0.8, y: 0 },
      { x: 1, y: 0 },
      { x: 1, y: 0.2 },
      { x: 0.8, y: 0.2 },
    ])
  })

  test('get and lose corners within bounds', () => {
    const more = withCornerAfter(square, 3)
    expect(more[4]).toEqual({ x: 0.2, y: 0.3 })
    expect(withoutCorner(more, 4)).toEqual(square)
    const triangle = square.slice(1)
    expect(withoutCorner(triangle, 0)).toEqual(triangle)
    let many = square
    for (let n = 0; n < 100; n += 1) many = withCornerAfter(many, 0)
    expect(many).toHaveLength(32)
  })

  test('are drawn from any corner to any other, not by accident', () => {
    const [a, b] = [
      { x: 0.4, y: 0.2 },
      { x: 0.2, y: 0.4 },
    ]
    expect(rectangle(a, b)).toEqual(square)
    expect(rectangle(b, a)).toEqual(square)
    expect(rectangle(a, { x: 0.41, y: 0.9 })).toBeUndefined()
  })

  test('that nobody has drawn are in the picture, and no two in one place', () => {
    const all = Array.from({ length: 5 }, (_, index) => placed(index))
    expect(new Set(all.map((points) => JSON.stringify(points))).size).toBe(5)
    expect(all.flat().every(({ x, y }) => x >= 0 && x <= 1 && y >= 0 && y <= 1)).toBe(true)
    expect(middle(square)).toEqual({ x: expect.closeTo(0.3), y: expect.closeTo(0.3) })
    expect(svgPoints(square.slice(0, 2), 640, 360)).toBe('128.0,72.0 256.0,72.0')
  })
})

describe('an ONVIF camera', () => {
  test('is called what it calls itself, and no part of that twice', () => {
    const named = (maker: string, model: string) => deviceWords(create(DescribeDeviceResponseSchema, { maker, model }))
    expect(named('Eye', 'X1')).toBe('Eye X1')
    expect(named('Eye', 'Eye X1')).toBe('Eye X1')
    expect(named('', 'X1')).toBe('X1')
    expect(named('Eye', '')).toBe('Eye')
  })

  test('has streams that are told by what is known of them', () => {
    const figures = { codec: 'H264', width: 1920, height: 1080, fps: 12.5, bitrate: 4_096_000n }
    const stream = (known: object) => streamWords(create(DeviceStreamSchema, { token: 'P1', ...known }))
    expect(stream({ name: 'Main', ...figures })).toBe('Main · H264 · 1920 × 1080 · 12.5 fps · 4.1 Mbit/s')
    expect(stream({})).toBe('P1')
  })

  test('has its login for its own streams, and not for those of a host that it names', () => {
    const login = { username: 'admin', password: 'secret' }
    const given = (noteCode: string) => loginFor(create(DeviceStreamSchema, { noteCode }), login)
    for (const own of ['', 'HOST_REPLACED']) expect(given(own)).toEqual(login)
    expect(given('OTHER_HOST')).toEqual({ username: '', password: '' })
  })

  test('whose addresses need a word has that in Chinese too', () => {
    locale.value = 'zh'
    for (const noteCode of ['HOST_REPLACED', 'OTHER_HOST', 'NO_ADDRESS', 'REFUSED']) {
      const { code, words } = noteOf(create(DeviceStreamSchema, { note: 'as it is', noteCode }))
      expect([words, serviceWords(code)]).toEqual(['as it is', expect.stringMatching(/[\u4e00-\u9fff]/)])
    }
  })
})
