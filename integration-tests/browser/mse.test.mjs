/**
 * The viewer page by Media Source Extensions in Chromium: a film that WebRTC cannot carry as it is, a camera that goes away and comes back as another one, and
 * networks that let HTTP through and no media port.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Relay, freePorts } from './relay.mjs'
import { Camera } from './rtsp.mjs'
import { waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

/** Three times what a busy machine with a debug build needs from the wish to a picture. */
const PICTURE_MS = 15_000

/** How long is looked at what plays. */
const LOOK_MS = 8_000

/** How long the page waits for WebRTC in these tests. */
const FALLBACK_MS = 2_000

const cameras = () => [
  '{ name = "test", test = {} }',
  '{ name = "film", file = { path = "film.mp4" } }',
  '{ name = "slow", test = { width = 320, height = 240, fps = 2, bitrate = 100000, silent = true } }',
  `{ name = "yard", rtsp = { url = "rtsp://127.0.0.1:${port}/live" } }`,
].join(', ')

let media, windows, relay, port

const settings = () => ({
  PATCHBAY_CAMERAS__CONFIGURED: `[${cameras()}]`,
  PATCHBAY_CAMERAS__EGRESS__ALLOW: '["127.0.0.0/8"]',
  PATCHBAY_CAMERAS__MEDIA_FOLDER: media,
  PATCHBAY_MSE__FALLBACK_AFTER: `${FALLBACK_MS}ms`,
})

before(async () => {
  media = await mkdtemp(join(tmpdir(), 'patchbay-media-'))
  port = (await freePorts(['camera'])).camera
  makeFilm(join(media, 'film.mp4'))
  relay = await Relay.start({ settings: settings() })
  windows = await Windows.open()
})

after(async () => {
  await windows?.end()
  await relay?.end()
  await rm(media, { recursive: true, force: true })
})

/** H.264 with B-frames, and AAC: what WebRTC carries in no form and MSE as it is. */
function makeFilm(path) {
  const input = '-f lavfi -i testsrc2=size=640x360:rate=30:duration=6 -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6'
  const output = '-c:v libx264 -profile:v high -bf 3 -g 30 -pix_fmt yuv420p -c:a aac -ac 2'
  const made = spawnSync('ffmpeg', ['-v', 'error', '-y', ...`${input} ${output}`.split(' '), path])
  assert.equal(made.status, 0, String(made.stderr))
}

/** A page that looks at a camera and remembers when which picture was shown. */
async function look(t, path, from = relay) {
  const page = await windows.window()
  await page.addInitScript(() => {
    globalThis.pictures = []
    document.addEventListener('DOMContentLoaded', () => {
      const video = document.getElementById('video')
      const follow = () =>
        video.requestVideoFrameCallback((at, { mediaTime, presentedFrames }) => {
          globalThis.pictures.push({ at, mediaTime, presentedFrames })
          follow()
        })
      follow()
    })
  })
  const began = Date.now()
  await page.goto(`${from.url()}${path}`)
  t.after(() => page.context().close())
  await waitUntil('there are pictures', PICTURE_MS, async () => (await shown(page)) > 5)
  return { page, took: Date.now() - began }
}

const shown = (page) => page.evaluate(() => pictures.length)
const way = (page) => page.locator('#stage').getAttribute('data-way')

/** What happens while it is looked at. */
async function watch(page) {
  return await page.evaluate(async (milliseconds) => {
    const video = document.getElementById('video')
    const quality = () => video.getVideoPlaybackQuality()
    const [first, before] = [pictures.length, quality()]
    await new Promise((over) => setTimeout(over, milliseconds))
    const seen = pictures.slice(first)
    const steps = seen.slice(1).map(({ mediaTime }, index) => mediaTime - seen[index].mediaTime)
    const waits = seen.slice(1).map(({ at }, index) => at - seen[index].at)
    const { buffered, currentTime } = video
    return {
      count: seen.length,
      rate: (seen.length * 1000) / milliseconds,
      back: steps.filter((step) => step < 0).length,
      longest: Math.max(0, ...waits),
      dropped: quality().droppedVideoFrames - before.droppedVideoFrames,
      decoded: quality().totalVideoFrames - before.totalVideoFrames,
      soundBytes: video.webkitAudioDecodedByteCount,
      behind: buffered.length ? buffered.end(buffered.length - 1) - currentTime : null,
      ranges: buffered.length,
      kept: buffered.length ? currentTime - buffered.start(0) : null,
      delay: document.getElementById('delay').textContent,
      size: [video.videoWidth, video.videoHeight],
    }
  }, LOOK_MS)
}

const tell = (seen) =>
  `${seen.rate.toFixed(1)} pictures a second, ${seen.back} backwards, longest still ${seen.longest.toFixed(0)} ms, ` +
  `${seen.dropped} of ${seen.decoded} dropped, ${seen.behind?.toFixed(2)} s buffered ahead, delay ${seen.delay}`

describe('by MSE', () => {
  test('a film with B-frames and AAC plays as it is', async (t) => {
    const { page, took } = await look(t, '/view/film?mse')
    const seen = await watch(page)
    t.diagnostic(`first pictures after ${took} ms; ${tell(seen)}, ${seen.soundBytes} bytes of sound`)
    assert.equal(await way(page), 'mse')
    assert.deepEqual(seen.size, [640, 360])
    assert.equal(seen.back, 0)
    assert.ok(seen.rate > 20, `${seen.rate} pictures a second`)
    assert.ok(seen.soundBytes > 0, 'sound is decoded')
    assert.ok(seen.behind < 2, `${seen.behind} s behind`)
    assert.equal(await relay.metric('encoders'), 0, 'nothing is transcoded')
  })

  test('the test camera is shown soon after it is drawn', async (t) => {
    const { page, took } = await look(t, '/view/test?mse')
    const seen = await watch(page)
    t.diagnostic(`first pictures after ${took} ms; ${tell(seen)}`)
    assert.equal(seen.back, 0)
    assert.ok(seen.rate > 20, `${seen.rate} pictures a second`)
    assert.match(seen.delay, /^\d+ ms$/)
    assert.ok(Number.parseInt(seen.delay) < 2_000, seen.delay)
    await page.locator('#sound').click()
    assert.equal(await page.evaluate(() => document.getElementById('video').muted), false)
    await page.locator('#stop').click()
    await waitUntil('nobody is left', 6_000, async () => (await relay.viewers()) === 0)
  })

  test('a camera with two pictures a second is followed', async (t) => {
    const { page, took } = await look(t, '/view/slow?mse')
    const seen = await watch(page)
    t.diagnostic(`first pictures after ${took} ms; ${tell(seen)}`)
    assert.equal(seen.back, 0)
    assert.ok(seen.rate > 1.5, `${seen.rate} pictures a second`)
  })

  test('a camera that goes away and comes back as another one goes on without the page coming back', async (t) => {
    let camera = await Camera.start(['--video', 'h264b', '--audio', 'aac'], port)
    t.after(() => camera.end())
    const { page, took } = await look(t, '/view/yard?mse')
    t.diagnostic(`first pictures after ${took} ms; ${tell(await watch(page))}`)
    const sockets = []
    page.on('websocket', (socket) => sockets.push(socket.url()))
    const width = () => page.evaluate(() => document.getElementById('video').videoWidth)
    assert.equal(await width(), 320)

    await camera.end()
    const notice = page.locator('#notice')
    await waitUntil('the page says that the camera is away', PICTURE_MS, async () => /no pictures/.test(await notice.innerText()))
    t.diagnostic(`while it is away: ${await notice.innerText()}`)
    camera = await Camera.start(['--video', 'h264', '--width', '640', '--height', '480'], port)
    const began = Date.now()
    await waitUntil('the other picture is shown', PICTURE_MS, async () => (await width()) === 640)
    t.diagnostic(`the other picture was shown ${Date.now() - began} ms after the camera was back`)
    const seen = await watch(page)
    t.diagnostic(tell(seen))
    assert.equal(seen.back, 0)
    assert.ok(seen.rate > 18, `${seen.rate} pictures a second`)
    assert.equal(await notice.innerText(), '')
    assert.deepEqual(sockets, [], 'the page stayed connected')
  })

  test('who comes while the camera is away sees black, and then the camera without coming back', async (t) => {
    const { page, took } = await look(t, '/view/yard?mse')
    const width = () => page.evaluate(() => document.getElementById('video').videoWidth)
    t.diagnostic(`black after ${took} ms, among that five seconds for as many pictures`)
    assert.equal(await width(), 640)
    const sockets = []
    page.on('websocket', (socket) => sockets.push(socket.url()))
    const camera = await Camera.start(['--video', 'h264', '--audio', 'aac'], port)
    t.after(() => camera.end())
    const began = Date.now()
    await waitUntil('the camera is shown', PICTURE_MS, async () => (await width()) === 320)
    t.diagnostic(`the camera was shown ${Date.now() - began} ms after it listened (goal 3000 ms)`)
    const seen = await watch(page)
    t.diagnostic(tell(seen))
    assert.equal(seen.back, 0)
    assert.ok(seen.rate > 18, `${seen.rate} pictures a second`)
    assert.deepEqual(sockets, [], 'the page stayed connected')

    await camera.end()
    // Longer than a player may stand when something comes: that does not count while nothing does.
    const stands = () => page.evaluate(() => performance.now() - pictures.at(-1).at > 11_000)
    await waitUntil('the picture has stood for long', 33_000, stands)
    const before = await shown(page)
    const back = await Camera.start(['--video', 'h264', '--audio', 'aac'], port)
    t.after(() => back.end())
    await waitUntil('pictures go on', PICTURE_MS, async () => (await shown(page)) > before + 20)
    assert.deepEqual(sockets, [], 'the page stayed connected for long')
  })
})

describe('where no media port can be reached', () => {
  let walled

  before(async () => {
    const { nowhere } = await freePorts(['nowhere'])
    walled = await Relay.start({ settings: { ...settings(), PATCHBAY_MEDIA__PUBLIC_PORT: String(nowhere) } })
  })

  after(() => walled?.end())

  test('the page falls back to MSE by itself', async (t) => {
    const { page, took } = await look(t, '/view/test', walled)
    t.diagnostic(`first pictures after ${took} ms, of which ${FALLBACK_MS} ms were for WebRTC`)
    assert.equal(await way(page), 'mse')
    const seen = await watch(page)
    t.diagnostic(tell(seen))
    assert.ok(seen.rate > 20, `${seen.rate} pictures a second`)
    assert.equal(await walled.viewers(), 1, 'the one by WebRTC has gone')
  })

  test('and where WebRTC works it stays with that', async (t) => {
    const { page } = await look(t, '/view/test')
    await page.evaluate((milliseconds) => new Promise((over) => setTimeout(over, milliseconds)), FALLBACK_MS * 1.5)
    assert.equal(await way(page), 'webrtc')
  })
})

test('no page has logged an error', () => assert.deepEqual(windows.errors, []))
