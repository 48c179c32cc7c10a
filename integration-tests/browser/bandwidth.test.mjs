/** Chromium behind a way that is too narrow for the camera: it gets a smaller picture, then key frames, and all again when there is room. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { NarrowPort } from './network.mjs'
import { Relay, freePorts } from './relay.mjs'
import { waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

const WATCHER = join(import.meta.dirname, 'watcher.js')

/** Three times what a busy machine with a debug build needs from the offer to a picture. */
const PICTURE_MS = 15_000

/** The camera fills this, and so does a way of twice as much now and then. */
const NOISY =
  '{ name = "noisy", test = { width = 640, height = 480, bitrate = 3000000, noise = 40, key_frame_interval = "2s", silent = true } }'

let relay, windows, way

before(async () => {
  const { door } = await freePorts(['door'])
  const settings = {
    PATCHBAY_MEDIA__TCP: '',
    PATCHBAY_MEDIA__PUBLIC_PORT: String(door),
    PATCHBAY_CAMERAS__CONFIGURED: `[${NOISY}]`,
  }
  relay = await Relay.start({ settings })
  way = await NarrowPort.open(door, relay.ports.media)
  windows = await Windows.open()
})

after(async () => {
  await windows?.end()
  way?.close()
  await relay?.end()
})

const width = (page) => page.evaluate(() => one.video.videoWidth)

/** Looks for a while: pictures, the longest time without a new one, and how wide they are at the end. */
async function look(page, milliseconds) {
  const first = await page.evaluate(() => one.pictures.length)
  await page.evaluate((milliseconds) => new Promise((over) => setTimeout(over, milliseconds)), milliseconds)
  const seen = await page.evaluate((first) => one.pictures.slice(first), first)
  const still = seen.slice(1).reduce((most, { at }, index) => Math.max(most, at - seen[index].at), 0)
  for (let index = 1; index < seen.length; index += 1) {
    assert.ok((seen[index].rtp - seen[index - 1].rtp) >>> 0 < 2 ** 31, 'time stamps go on')
  }
  return { pictures: seen.length, still: Math.round(still), width: await width(page), waited: way.waited() }
}

test('a browser on a narrow way gets what that carries', async (t) => {
  const page = await windows.window()
  await page.addInitScript({ path: WATCHER })
  await page.goto(relay.url())
  t.after(() => page.context().close())
  await page.evaluate(() => {
    globalThis.one = new Watcher('noisy')
    return one.open().then(() => undefined)
  })
  await waitUntil('pictures', PICTURE_MS, () => page.evaluate(() => one.pictures.length > 30))
  const wide = await look(page, 5_000)
  t.diagnostic(`with room: ${JSON.stringify(wide)}`)
  assert.equal(wide.width, 640)

  way.rate = 1_000_000
  const narrowed = Date.now()
  await waitUntil('the smaller picture', 10_000, async () => (await width(page)) === 320)
  t.diagnostic(`1 Mbit/s: the smaller picture after ${Date.now() - narrowed} ms`)
  const over = await look(page, 3_000)
  const low = await look(page, 8_000)
  t.diagnostic(`going over ${JSON.stringify(over)}, then ${JSON.stringify(low)}`)
  assert.ok(low.pictures > 150 && low.still < 1_500 && low.width === 320)

  way.rate = 90_000
  await waitUntil('fewer pictures', 15_000, async () => (await look(page, 2_000)).pictures < 6)
  const keys = await look(page, 10_000)
  t.diagnostic(`90 kbit/s: ${JSON.stringify(keys)}`)
  assert.ok(keys.pictures >= 2 && keys.pictures < 30)

  way.rate = 50_000_000
  const widened = Date.now()
  await waitUntil('the whole picture', 120_000, async () => (await width(page)) === 640)
  t.diagnostic(`50 Mbit/s: the whole picture after ${Date.now() - widened} ms`)
  await look(page, 2_000)
  const full = await look(page, 5_000)
  t.diagnostic(`with room again: ${JSON.stringify(full)}; ${await relay.metric('viewer_steps_total')} steps`)
  assert.ok(full.pictures > 100 && full.width === 640)
})
