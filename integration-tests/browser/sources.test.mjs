/**
 * RTSP cameras in Chromium by WebRTC: what passes through, what is made for it and for how long, and what a page shows while a camera is away.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Relay, freePorts } from './relay.mjs'
import { Camera } from './rtsp.mjs'
import { waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

/** Three times what a busy machine with a debug build needs from the offer to a picture. */
const PICTURE_MS = 15_000

/** How long is looked at what plays. */
const LOOK_MS = 6_000

/** Goal for pictures after a camera is back. */
const BACK_MS = 3_000

/** How long a transcoder runs on after its last viewer. */
const LINGER_MS = 2_000

const WATCHER = join(import.meta.dirname, 'watcher.js')
const KINDS = ['h264', 'h264b', 'vp8', 'vp9']

let relay, windows, ports
const cameras = new Map()

before(async () => {
  ports = await freePorts([...KINDS, 'away'])
  const configured = Object.entries(ports).map(([name, port]) => `{ name = "${name}", rtsp = { url = "rtsp://127.0.0.1:${port}/live" } }`)
  relay = await Relay.start({
    settings: {
      PATCHBAY_CAMERAS__CONFIGURED: `[${configured.join(', ')}]`,
      PATCHBAY_CAMERAS__EGRESS__ALLOW: '["127.0.0.0/8"]',
      PATCHBAY_CAMERAS__LINGER: `${LINGER_MS}ms`,
    },
  })
  for (const kind of KINDS) cameras.set(kind, await Camera.start(['--video', kind], ports[kind]))
  windows = await Windows.open()
})

after(async () => {
  await windows?.end()
  await relay?.end()
  await Promise.all([...cameras.values()].map((camera) => camera.end()))
})

async function watch(t, camera) {
  const page = await windows.window()
  await page.addInitScript({ path: WATCHER })
  await page.goto(relay.url())
  t.after(() => leave(page))
  await page.evaluate((camera) => {
    globalThis.one = new Watcher(camera)
    return one.open().then(() => undefined)
  }, camera)
  return page
}

async function leave(page) {
  if (page.isClosed()) return
  await page.evaluate(() => globalThis.one?.close())
  await page.context().close()
}

const shown = (page) => page.evaluate(() => one.pictures.length)
const pictures = (page, enough) => waitUntil(`${enough} pictures`, PICTURE_MS, async () => (await shown(page)) >= enough)
const width = (page) => page.evaluate(() => one.video.videoWidth)

async function status(camera) {
  const answer = await fetch(`${relay.url()}/v1/cameras/${camera}`)
  assert.equal(answer.status, 200)
  return (await answer.json()).camera.status
}

/** Every picture is later than the one before, by its own time and by the viewer's. */
function assertRising(seen) {
  const rising = (values) => values.slice(1).every((value, index) => value > values[index])
  assert.ok(rising(seen.map(({ rtp }) => rtp)), 'the time of pictures goes back')
  assert.ok(rising(seen.map(({ at }) => at)), 'pictures are shown at once')
}

for (const kind of ['h264', 'vp8', 'vp9']) {
  test(`${kind} passes through`, async (t) => {
    const page = await watch(t, kind)
    await pictures(page, 30)
    const { tracks, encoders } = await status(kind)
    assert.ok(tracks.every(({ transcoded }) => !transcoded), JSON.stringify(tracks))
    assert.equal(encoders ?? 0, 0)
    assertRising(await page.evaluate(() => one.pictures))
  })
}

test('B-frames play in order, made anew by one transcoder that stops after its last viewer', async (t) => {
  const first = await watch(t, 'h264b')
  const second = await watch(t, 'h264b')
  await pictures(first, 30)
  await pictures(second, 30)
  const from = await shown(first)
  await first.evaluate((milliseconds) => new Promise((over) => setTimeout(over, milliseconds)), LOOK_MS)
  const seen = await first.evaluate((from) => one.pictures.slice(from), from)
  const { tracks, encoders } = await status('h264b')
  const made = tracks.find(({ transcoded }) => transcoded)
  t.diagnostic(`${seen.length} pictures in ${LOOK_MS} ms; ${JSON.stringify(tracks)}`)
  assert.ok(tracks.some(({ reordered }) => reordered), 'the camera was meant to have B-frames')
  assert.match(made?.why ?? '', /B-frames/)
  assert.equal(encoders, 1, 'one for both viewers')
  assert.ok(seen.length > (LOOK_MS / 1000) * 15, `${seen.length} pictures`)
  assertRising(seen)
  await leave(first)
  assert.equal((await status('h264b')).encoders, 1)
  await leave(second)
  const left = Date.now()
  await waitUntil('no transcoder runs', (LINGER_MS + 5_000) * 3, async () => ((await status('h264b')).encoders ?? 0) === 0)
  t.diagnostic(`it stopped ${Date.now() - left} ms after the last viewer had gone`)
})

test('a page that comes while a camera is away shows black, and then the camera, and again after its plug was pulled', async (t) => {
  const page = await watch(t, 'away')
  await pictures(page, 2)
  assert.equal(await width(page), 640, 'that of the slate')
  for (const turn of ['comes', 'comes back']) {
    const camera = await Camera.start([], ports.away)
    const listens = Date.now()
    await waitUntil('the camera is seen', BACK_MS * 4, async () => (await width(page)) === 320)
    const from = await shown(page)
    await pictures(page, from + 20)
    t.diagnostic(`the camera ${turn}: seen within ${Date.now() - listens} ms, 20 pictures included (goal ${BACK_MS})`)
    await camera.end()
    await waitUntil('it is told to be away', PICTURE_MS, async () => (await status('away')).state === 'CAMERA_STATE_FAILED')
    const { reason, detail } = await status('away')
    t.diagnostic(`while it is away: ${reason}, ${detail}`)
    assert.equal(await page.evaluate(() => one.peer.connectionState), 'connected')
    assert.equal(await width(page), 320, 'the last picture stays')
    // Away for so long that the next time counts from the first step again.
  }
  assertRising(await page.evaluate(() => one.pictures))
})
