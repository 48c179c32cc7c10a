/** The parts of the Cameras page that need no browser. */
import { create } from '@bufbuild/protobuf'
import { DurationSchema } from '@bufbuild/protobuf/wkt'
import { beforeEach, describe, expect, test } from 'vitest'
import { lines, range } from '../src/cameras/graph'
import { changed } from '../src/cameras/list'
import { countersOf, countersOfPlayer, delaySince, figuresOf } from '../src/cameras/measure'
import { troubleIn } from '../src/cameras/snapshot'
import { Steady } from '../src/cameras/steady'
import { CODE_HEIGHT, CODE_WIDTH, timeIn } from '../src/cameras/timecode'
import {
  bitrateWords,
  bytesWords,
  kindWords,
  qualityWords,
  sourceWords,
  stateFacts,
  titleOf,
  trackWords,
} from '../src/cameras/words'
import {
  CameraSchema,
  CameraState,
  CameraTrackSchema,
  ViewerKind,
  ViewerQuality,
  ViewerSchema,
  WatchCamerasResponseSchema,
} from '../src/gen/patchbay/camera/v1/cameras_pb'
import { en } from '../src/i18n/en'
import { locale } from '../src/i18n'

beforeEach(() => {
  locale.value = 'en'
})

describe('the time code', () => {
  // Sync, 0x01923456789A ms, picture 0xBCDE, CRC-8 of the eight bytes before it: as the relay documents the layout.
  const BYTES = [0xb2, 0x01, 0x92, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]
  const bitsOf = (bytes: number[]) =>
    bytes.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => (byte >> (7 - bit)) & 1))

  /** Video range as browsers expand it, blurred at the edges of blocks as compression does. */
  function draw(bits: number[], white = 255, black = 0): Uint8ClampedArray {
    const pixels = new Uint8ClampedArray(CODE_WIDTH * CODE_HEIGHT * 4).fill(255)
    for (let y = 0; y < CODE_HEIGHT; y += 1) {
      for (let x = 0; x < CODE_WIDTH; x += 1) {
        const isEdge = x % 8 === 0 || x % 8 === 7 || y % 8 === 0 || y % 8 === 7
        const light = isEdge ? 128 : bits[Math.floor(y / 8) * 40 + Math.floor(x / 8)] ? white : black
        pixels.fill(light, (y * CODE_WIDTH + x) * 4, (y * CODE_WIDTH + x) * 4 + 3)
      }
    }
    return pixels
  }

  /** Bit by bit over the message and its check, so that it is not computed as the page does it. */
  function checkOf(bytes: number[]): number {
    let register = 0
    for (const bit of [...bitsOf(bytes), 0, 0, 0, 0, 0, 0, 0, 0]) {
      register = (register << 1) | bit
      if (register & 0x100) register ^= 0x107
    }
    return register
  }

  const code = bitsOf([...BYTES, checkOf(BYTES.slice(1))])

  test('is read, in strong and in weak contrast', () => {
    expect(checkOf([...'123456789'].map((digit) => digit.charCodeAt(0)))).toBe(0xf4)
    expect(timeIn(draw(code))).toBe(0x01923456789a)
    expect(timeIn(draw(code, 170, 90))).toBe(0x01923456789a)
  })

  test('is not believed when a block is wrong, or where there is none', () => {
    for (const block of code.keys()) {
      expect(timeIn(draw(code.with(block, code[block] ? 0 : 1))), `block ${block}`).toBeUndefined()
    }
    expect(timeIn(draw(code.map(() => 0)))).toBeUndefined()
    expect(timeIn(draw(code.map(() => 1)))).toBeUndefined()
  })
})

describe('catching up', () => {
  const TICKS = 90

  /** Feeds pictures `stepMs` apart that are `mediaMs` apart in the stream; tells after how many they are shown. */
  function shownAfter(steady: Steady, steps: [number, number][], start = { atMs: 0, media: 0 }): number | undefined {
    let { atMs, media } = start
    const pictures = [[0, 0], ...steps]
    const index = pictures.findIndex(([stepMs, mediaMs]) => {
      atMs += stepMs!
      media += mediaMs!
      return steady.saw({ atMs, rtpTimestamp: (media * TICKS) % 2 ** 32 })
    })
    return index < 0 ? undefined : index
  }

  const hurried = (n: number) => Array.from({ length: n }, (): [number, number] => [17, 400])
  const live = (n: number) => Array.from({ length: n }, (): [number, number] => [33, 33.3])

  test('live pictures are shown at once, but for a few that prove it', () => {
    expect(shownAfter(new Steady(), live(10))).toBe(3)
  })

  test('what hurries by is hidden until it is live', () => {
    expect(shownAfter(new Steady(), [...hurried(20), ...live(10)])).toBe(23)
  })

  test('the wrap of the clock is no leap', () => {
    const media = 2 ** 32 / TICKS - 50
    expect(shownAfter(new Steady(), live(10), { atMs: 5_000, media })).toBe(3)
  })

  test('pictures known to be near live, or whose browser tells nothing, are shown', () => {
    expect(new Steady().saw({ atMs: 0, rtpTimestamp: 1, lagMs: 60 })).toBe(true)
    expect(new Steady().saw({ atMs: 0, rtpTimestamp: 1, lagMs: 900 })).toBe(false)
    expect(new Steady().saw({ atMs: 0 })).toBe(true)
  })

  test('nothing is hidden for good', () => {
    expect(shownAfter(new Steady(), hurried(200))).toBe(118)
  })

  test('once shown, pictures stay', () => {
    const steady = new Steady()
    shownAfter(steady, live(5))
    expect(steady.saw({ atMs: 200, rtpTimestamp: 99_999_999 })).toBe(true)
  })
})

describe('figures', () => {
  const report = (bytes: number, packets: number, lost: number, frames: number) => [
    { type: 'inbound-rtp', kind: 'audio', bytesReceived: 1_000, packetsReceived: 50, packetsLost: 9, jitter: 1 },
    {
      type: 'inbound-rtp',
      kind: 'video',
      codecId: 'c',
      bytesReceived: bytes,
      packetsReceived: packets,
      packetsLost: lost,
      framesDecoded: frames,
      jitter: 0.004,
      freezeCount: 0,
      frameWidth: 640,
      frameHeight: 480,
    },
    { type: 'codec', id: 'c', mimeType: 'video/H264' },
    { type: 'candidate-pair', id: 'old', nominated: true, state: 'succeeded', currentRoundTripTime: 9 },
    { type: 'candidate-pair', id: 'p', remoteCandidateId: 'r', currentRoundTripTime: 0.02 },
    { type: 'transport', selectedCandidatePairId: 'p' },
    { type: 'remote-candidate', id: 'r', protocol: 'udp' },
    { type: 'remote-outbound-rtp', kind: 'video', remoteTimestamp: 1_100, timestamp: 1_000 },
  ]

  test('come from two looks at the counters', () => {
    const before = countersOf(report(10_000, 100, 5, 30), 1_000)
    const now = countersOf(report(135_000, 190, 15, 90), 3_000)
    expect(now).toMatchObject({
      codec: 'H264',
      transport: 'UDP',
      width: 640,
      height: 480,
      jitterMs: 4,
      roundTripMs: 20,
    })
    expect(now.clockAheadMs).toBe(110)
    expect(figuresOf(now, before, 27)).toEqual({
      atMs: 3_000,
      delayMs: 27,
      fps: 30,
      bitsPerSecond: 500_000,
      roundTripMs: 20,
      jitterMs: 4,
      loss: 0.1,
    })
  })

  test('come from the player where there are no reports', () => {
    const came = { bytes: 5_000, mime: 'video/mp4; codecs="hvc1.1.6.L93.B0,mp4a.40.2"' }
    const counters = countersOfPlayer(came, { frames: 39, width: 640, height: 360 }, 1_000)
    expect(counters).toMatchObject({ codec: 'H265', transport: 'WebSocket', bytes: 5_000, frames: 39, width: 640 })
    const next = countersOfPlayer({ ...came, bytes: 15_000 }, { frames: 69, width: 640, height: 360 }, 2_000)
    expect(figuresOf(next, counters, undefined)).toMatchObject({ fps: 30, bitsPerSecond: 80_000, loss: undefined })
    expect(countersOfPlayer({ ...came, mime: '' }, { frames: 0, width: 0, height: 0 }, 1)).not.toHaveProperty('width')
  })

  test('are not made of two connections, nor of one look', () => {
    const before = countersOf(report(10_000, 100, 5, 30), 1_000)
    const anew = countersOf(report(500, 3, 0, 1), 2_000)
    expect(figuresOf(anew, before, undefined).fps).toBeUndefined()
    expect(figuresOf(before, undefined, undefined).bitsPerSecond).toBeUndefined()
    expect(figuresOf(countersOf([], 5_000), undefined, undefined)).toEqual({ atMs: 5_000 })
  })

  test('a packet that came after all is no loss below nothing', () => {
    const before = countersOf(report(10_000, 100, 5, 30), 1_000)
    expect(figuresOf(countersOf(report(20_000, 200, 3, 60), 2_000), before, undefined).loss).toBe(0)
  })

  test('the delay is told across clocks, and not at all where they cannot be compared', () => {
    expect(delaySince(1_000, 1_040)).toBe(40)
    expect(delaySince(1_000, 1_040, 12)).toBe(40)
    expect(delaySince(5_000, 1_040, 4_010)).toBe(50)
    expect(delaySince(1_010, 1_000)).toBe(0)
    expect(delaySince(9_000, 1_000)).toBeUndefined()
    expect(delaySince(1_000, 1_040, 1e12)).toBe(40)
  })

  test('become lines with gaps, from nothing at the bottom to the highest at the top', () => {
    expect(lines([0, 10, undefined, 5], 4, 90, 20)).toEqual(['0.0,18.0 30.0,2.0', '90.0,10.0'])
    expect(lines([], 60, 120, 32)).toEqual([])
    expect(lines([0, 0], 2, 10, 10)).toEqual(['0.0,8.0 10.0,8.0'])
    expect([range([3, undefined, 1]), range([undefined])]).toEqual([[1, 3], undefined])
  })
})

describe('cameras', () => {
  const camera = (name: string, title = '') => create(CameraSchema, { name, title })
  const names = (list: ReturnType<typeof camera>[]) => list.map(({ name }) => name)
  const told = (name: string, removed = false) => create(WatchCamerasResponseSchema, { camera: { name }, removed })

  test('a list follows what is told, in the order of names', () => {
    const list = [camera('a'), camera('c')]
    expect(names(changed(list, told('b')))).toEqual(['a', 'b', 'c'])
    expect(names(changed(list, told('d')))).toEqual(['a', 'c', 'd'])
    expect(names(changed(list, told('a')))).toEqual(['a', 'c'])
    expect(names(changed(list, told('c', true)))).toEqual(['a'])
    expect(names(changed(list, create(WatchCamerasResponseSchema, {})))).toEqual(['a', 'c'])
  })

  test('have words for every state and door, and for ones that are newer than the page', () => {
    for (const state of Object.values(CameraState).filter((value) => typeof value === 'number')) {
      expect(en).toHaveProperty([stateFacts(state).words])
    }
    expect(stateFacts(99 as CameraState).words).toBe('cameras.state.unknown')
    expect(kindWords(ViewerKind.MJPEG)).toBe('MJPEG')
    expect(kindWords(99 as ViewerKind)).toBe('Unknown door')
  })

  test('have words for their source, without the place for those who may not know it', () => {
    const rtsp = (url: string) => create(CameraSchema, { source: { case: 'rtsp', value: { url } } })
    expect(sourceWords(rtsp('rtsp://cam/1'))).toBe('RTSP rtsp://cam/1')
    expect(sourceWords(rtsp(''))).toBe('RTSP')
    expect(sourceWords(create(CameraSchema, { source: { case: 'device', value: { path: '/dev/video0' } } }))).toBe(
      'Video device /dev/video0',
    )
    expect(sourceWords(create(CameraSchema, {}))).toBe('')
  })

  test('viewers: what they get for their bandwidth', () => {
    expect(qualityWords(create(ViewerSchema, {}))).toEqual([])
    const low = { quality: ViewerQuality.LOW, availableBitrate: 800_000n, qualityChanges: 2 }
    expect(qualityWords(create(ViewerSchema, low))).toEqual([
      'smaller picture',
      '800 kbit/s available',
      '2 changes of quality',
    ])
  })

  test('the one that every suite has is called in the language of the page', () => {
    const test = create(CameraSchema, { name: 'test', source: { case: 'test', value: {} } })
    expect(titleOf(test)).toBe('Test picture')
    locale.value = 'zh'
    expect(titleOf(test)).toBe('测试画面')
    expect(titleOf(camera('test', 'Ours'))).toBe('Ours')
    expect(titleOf(camera('yard'))).toBe('yard')
  })

  test('tracks and amounts in words', () => {
    const video = create(CameraTrackSchema, {
      codec: 'H264',
      width: 640,
      height: 480,
      rate: 29.97,
      bitrate: 1_500_000n,
      keyFrameInterval: create(DurationSchema, { seconds: 2n }),
    })
    expect(trackWords(video)).toBe('H264 · 640 × 480 · 30 fps · 1.5 Mbit/s · key frame each 2 s')
    const sound = create(CameraTrackSchema, { codec: 'opus', channels: 2, rate: 50, bitrate: 64_000n })
    expect(trackWords(sound)).toBe('opus · 2 channels · 64 kbit/s')
    expect([bitrateWords(950), bytesWords(2_500_000_000), bytesWords(300)]).toEqual(['1 kbit/s', '2.5 GB', '0 kB'])
  })

  test('what HTTP refuses has a reason, with and without the words of the service', () => {
    const told = JSON.stringify({ error: { reason: 'NO_PICTURE', message: 'not yet' } })
    expect(troubleIn(told, 503)).toEqual({ reason: 'NO_PICTURE', message: 'not yet' })
    expect(troubleIn('<html>', 502)).toEqual({ reason: 'UNREACHABLE', message: 'HTTP 502' })
    expect(troubleIn('', 401).reason).toBe('UNAUTHENTICATED')
    expect(troubleIn('null', 404).reason).toBe('NOT_FOUND')
  })
})
