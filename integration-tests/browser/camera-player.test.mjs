/** The player of the console: WebRTC first, MSE over WebSocket where that does not get through, and no reload whatever the source does. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { look } from './people.mjs'
import { Camera } from './rtsp.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

/** Three times what a debug build needs to capture, encode, connect and show; and what the page waits for WebRTC before that. */
const LIVE_MS = 15_000
const PATIENCE_MS = 6_000

let suite, windows, camera, token

before(async () => {
  camera = await Camera.start(['--audio', 'aac', '--gop', '50'])
  suite = await Suite.start({ PATCHBAY_CAMERA_RELAY__CAMERAS__EGRESS__ALLOW: '["127.0.0.0/8"]' })
  windows = await Windows.open()
  token = await suite.token()
  await makeFilm()
  await add({ name: 'yard', rtsp: { url: camera.url } })
  await add({ name: 'film', file: { path: 'film.mp4' } })
})

after(async () => {
  await windows?.end()
  await suite?.end()
  await camera?.end()
})

async function add(added) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const answer = await fetch(`${suite.console}/camera/v1/cameras`, { method: 'POST', headers, body: JSON.stringify({ camera: added }) })
  assert.ok(answer.ok, await answer.text())
}

/** H.264 with B-frames and AAC, which WebRTC carries in no form, and MSE as they are. */
async function makeFilm() {
  await mkdir(join(suite.data, 'media'), { recursive: true })
  const input = '-f lavfi -i testsrc2=size=640x360:rate=30:duration=8 -f lavfi -i sine=sample_rate=48000:duration=8'
  const output = '-c:v libx264 -profile:v high -bf 3 -g 60 -pix_fmt yuv420p -c:a aac -ac 2'
  const made = spawnSync('ffmpeg', ['-v', 'error', '-y', ...`${input} ${output}`.split(' '), join(suite.data, 'media', 'film.mp4')])
  assert.equal(made.status, 0, String(made.stderr))
}

/** A page that is signed in; with `cut`, offers of WebRTC never get an answer, or get none that leads anywhere. */
async function open(t, cut) {
  const page = await windows.window()
  t.after(() => page.context().close())
  if (cut === 'refused') await page.route('**/camera/whep/**', (route) => route.abort('connectionrefused'))
  if (cut === 'silent') await page.route('**/camera/whep/**', () => {})
  await page.goto(`${suite.console}/#token=${token}`)
  return page
}

async function watch(page, name, way) {
  const began = Date.now()
  await page.goto(`${suite.console}/cameras/${name}`)
  await page.locator(`[data-test=player-way][data-way=${way}]`).waitFor({ timeout: LIVE_MS + PATIENCE_MS })
  await page.locator('video[data-live]').waitFor({ timeout: LIVE_MS })
  return Date.now() - began
}

/** Where the video is, in the media and in pictures, and how far it is behind what it has. */
const seen = (page) =>
  page.evaluate(() => {
    const video = document.querySelector('video')
    const { buffered, currentTime: at } = video
    const end = buffered.length > 0 ? buffered.end(buffered.length - 1) : at
    const state = { readyState: video.readyState, seeking: video.seeking, paused: video.paused, ranges: buffered.length, way: document.querySelector('[data-test=player-way]')?.dataset.way }
    return { ...state, at, behind: end - at, pictures: video.getVideoPlaybackQuality().totalVideoFrames, size: [video.videoWidth, video.videoHeight] }
  })

async function moves(page) {
  const before = (await seen(page)).pictures
  await waitUntil('pictures go on', 9_000, async () => (await seen(page)).pictures > before + 20)
}

test('WebRTC is in use where it gets through, and the page says so', async (t) => {
  const page = await open(t)
  const took = await watch(page, 'yard', 'webrtc')
  await page.locator('[data-test=player-way]').getByText('WebRTC').waitFor()
  await moves(page)
  t.diagnostic(`live after ${took} ms`)
})

test('where WebRTC is refused the page goes on by MSE, near live, with figures', async (t) => {
  const page = await open(t, 'refused')
  const took = await watch(page, 'yard', 'mse')
  await page.locator('[data-test=player-way]').getByText('MSE over WebSocket').waitFor()
  await moves(page)
  const behind = []
  await waitUntil('it was looked at for a while', 9_000, async () => {
    behind.push((await seen(page)).behind)
    return behind.length >= 30
  })
  const figure = async (name) => Number.parseFloat(await page.locator(`[data-test=figure-${name}] [data-test=value]`).innerText())
  await waitUntil('figures are there', 9_000, async () => (await figure('fps')) > 10 && (await figure('bitsPerSecond')) > 0)
  assert.match(await page.locator('[data-test=fact-picture]').innerText(), /H264/)
  assert.match(await page.locator('[data-test=fact-transport]').innerText(), /WebSocket/)
  await page.locator('[data-test=viewer]').getByText('MSE', { exact: false }).waitFor()
  t.diagnostic(`live after ${took} ms, behind the newest picture ${Math.min(...behind).toFixed(2)} to ${Math.max(...behind).toFixed(2)} s`)
  assert.ok(Math.max(...behind) < 2, `${Math.max(...behind)} s behind`)
  await look(page, 'camera-mse')
})

test('where WebRTC is silent the page waits some seconds, and goes back to it when it is asked to', async (t) => {
  const page = await open(t, 'silent')
  const took = await watch(page, 'yard', 'mse')
  t.diagnostic(`live after ${took} ms`)
  assert.ok(took >= PATIENCE_MS - 500, `already after ${took} ms`)
  await page.unroute('**/camera/whep/**')
  await page.getByRole('button', { name: 'Try WebRTC' }).click()
  await page.locator('[data-test=player-way][data-way=webrtc]').waitFor()
  await page.locator('video[data-live]').waitFor({ timeout: LIVE_MS })
  await moves(page)
})

test('pictures in another order and AAC play by MSE, and never go back', async (t) => {
  const page = await open(t, 'refused')
  await watch(page, 'film', 'mse')
  await page.evaluate(() => {
    globalThis.times = []
    const video = document.querySelector('video')
    const told = (_, { mediaTime }) => {
      globalThis.times.push(mediaTime)
      video.requestVideoFrameCallback(told)
    }
    video.requestVideoFrameCallback(told)
  })
  // Longer than the film, which begins anew in between.
  await waitUntil('enough was shown', 30_000, () => page.evaluate(() => globalThis.times.length > 260))
  const times = await page.evaluate(() => globalThis.times)
  assert.ok(times.slice(1).every((time, index) => time >= times[index]), 'the times rise')
  const sound = page.getByRole('button', { name: 'Sound on' })
  await sound.click()
  assert.equal(await page.evaluate(() => document.querySelector('video').muted), false)
})

for (const way of ['webrtc', 'mse']) {
  test(`a camera that goes away and comes back is shown again without a reload, by ${way}`, async (t) => {
    const page = await open(t, way === 'mse' ? 'refused' : undefined)
    let loads = 0
    page.on('load', () => (loads += 1))
    await watch(page, 'yard', way)
    const loaded = loads
    await camera.end()
    await page.locator('[data-test=source-notice]').waitFor({ timeout: 40_000 })
    const reason = await page.locator('[data-test=source-notice]').getAttribute('data-reason')
    await camera.run()
    const began = Date.now()
    const before = await seen(page)
    let now = before
    const again = waitUntil('pictures come again', 45_000, async () => {
      now = await seen(page)
      // A player that began anew counts from nothing.
      return now.pictures > before.pictures + 20 || (now.pictures > 20 && now.pictures < before.pictures)
    })
    await again.catch((error) => {
      throw new Error(`${error.message}; before ${JSON.stringify(before)}, now ${JSON.stringify(now)}; the suite:\n${suite.log.slice(-6000)}`)
    })
    t.diagnostic(`${reason}; pictures again ${Date.now() - began} ms after the camera`)
    await page.locator(`[data-test=player-way][data-way=${way}]`).waitFor()
    await page.locator('[data-test=source-notice]').waitFor({ state: 'detached', timeout: LIVE_MS })
    assert.equal(loads, loaded)
  })
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  // Chromium logs by itself that a camera has no picture, and what was cut.
  const known = /status of (404|409|503)|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_REFUSED/
  assert.deepEqual(windows.errors.filter((error) => !known.test(error)), [])
})
