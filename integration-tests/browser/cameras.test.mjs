/** Cameras in the console: as a guest, an operator, a keyboard, a small screen and a Chinese reader meet them. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { focused, look, panel, tabTo } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'
import { addFile } from './wizard.mjs'

/** Three times what a debug build needs to capture, encode, connect and show. */
const LIVE_MS = 15_000

/** A viewer that leaves says so; one that only vanishes would be there for the idle time, which is longer. */
const GONE_MS = 9_000

let suite, windows, operator

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  operator = await windows.window()
  await operator.goto(`${suite.console}/#token=${await suite.token()}`)
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

const card = (page, name) =>
  page.locator('[data-test=camera]', { has: page.locator('code', { hasText: new RegExp(`^${name}$`) }) })
const button = (page, name) => page.getByRole('button', { name, exact: true })
const facts = (page) => page.locator('[data-test=load]')

/** Opens a camera's page and waits until it shows live pictures. */
async function watch(page, name) {
  const began = Date.now()
  await page.goto(`${suite.console}/cameras/${name}`)
  await isLive(page)
  return Date.now() - began
}

function isLive(page) {
  return page.locator('video[data-live]').waitFor({ timeout: LIVE_MS })
}

/** What the page shows of a figure, as a number. */
async function figure(page, name) {
  return Number.parseFloat(await page.locator(`[data-test=figure-${name}] [data-test=value]`).innerText())
}

/** Number of pictures that the video element has shown. */
function pictures(page) {
  return page.evaluate(() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames)
}

async function moves(page) {
  const before = await pictures(page)
  await waitUntil('pictures go on', 6_000, async () => (await pictures(page)) > before + 10)
}

describe('a guest', () => {
  test('sees the camera that guests may see, with a picture that is made anew while it is looked at', async () => {
    const page = await windows.window()
    const asked = []
    page.on('request', (request) => request.url().includes('/camera/snapshot/') && asked.push(request.url()))
    await page.goto(suite.console)
    await page.getByRole('link', { name: 'Cameras' }).first().click()
    await card(page, 'test').getByText('Configured').waitFor()
    const thumbnail = page.getByRole('img', { name: 'Newest picture of Test picture' })
    await page.locator('canvas[data-drawn]').waitFor({ timeout: LIVE_MS })
    const drawn = () => thumbnail.evaluate((canvas) => canvas.toDataURL())
    const first = await drawn()
    await waitUntil('the picture is made anew', 6_000, async () => (await drawn()) !== first)
    assert.ok(asked.every((url) => !url.includes('token')))
    assert.equal(await button(page, 'Add a camera').count(), 0)
    await look(page, 'cameras')

    // A tab that is hidden asks for nothing.
    const show = (visibility) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value })
        document.dispatchEvent(new Event('visibilitychange'))
      }, visibility)
    await show('hidden')
    const hidden = asked.length
    await assert.rejects(page.waitForRequest(/\/camera\/snapshot\//, { timeout: 3_000 }), /Timeout/)
    assert.equal(asked.length, hidden)
    await show('visible')
    await waitUntil('it asks again', 6_000, async () => asked.length > hidden)
    await page.context().close()
  })

  test('watches it live, and is told how well that works', async (t) => {
    const page = await windows.window()
    const took = await watch(page, 'test')
    await page.getByRole('heading', { name: 'Test picture' }).getByText('Live').waitFor()
    await facts(page).getByText('1 capture', { exact: false }).waitFor()
    await waitUntil('figures are there', 9_000, async () => (await figure(page, 'fps')) > 0 && (await figure(page, 'delayMs')) >= 0)
    await page.getByText('read from the picture').waitFor()
    const names = ['delayMs', 'fps', 'bitsPerSecond', 'roundTripMs', 'loss', 'jitterMs']
    const figures = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await figure(page, name)])))
    const first = await page.locator('[data-test=fact-first] dd').innerText()
    const connect = await page.locator('[data-test=fact-connect] dd').innerText()
    t.diagnostic(`page to live ${took} ms, POST to first picture ${first}, POST to connected ${connect}, ${JSON.stringify(figures)}`)
    assert.ok(figures.delayMs < 500, `the picture is ${figures.delayMs} ms old`)
    assert.match(await page.locator('[data-test=fact-picture]').innerText(), /H264|VP8/)
    assert.match(await page.locator('[data-test=fact-transport]').innerText(), /UDP|TCP/)
    assert.match(await page.locator('[data-test=track]').first().innerText(), /640 × 480/)
    // Who else looks is not for guests.
    assert.equal(await panel(page, 'Viewers').count(), 0)
    assert.equal(await page.getByRole('button', { name: /Send away|Remove|^Settings$/ }).count(), 0)
    await moves(page)
    await look(page, 'camera')
    await page.context().close()
  })

  test('has sound, saves a picture, fills the screen, stops and starts', async () => {
    const page = await windows.window()
    await watch(page, 'test')
    const video = (property) => page.evaluate((name) => document.querySelector('video')[name], property)
    assert.equal(await video('muted'), true)
    await button(page, 'Sound on').click()
    assert.equal(await video('muted'), false)
    await button(page, 'Mute').click()
    assert.equal(await video('muted'), true)

    const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Save a picture').click()])
    assert.match(download.suggestedFilename(), /^test-[\dT-]+\.jpg$/)
    const jpeg = await readFile(await download.path())
    assert.deepEqual([...jpeg.subarray(0, 3), ...jpeg.subarray(-2)], [0xff, 0xd8, 0xff, 0xff, 0xd9])

    await button(page, 'Full screen').click()
    await waitUntil('the screen is filled', 6_000, () => page.evaluate(() => document.fullscreenElement !== null))
    await button(page, 'Full screen').click()

    await button(page, 'Stop').click()
    await page.getByText('Stopped', { exact: true }).waitFor()
    await facts(page).getByText('0 viewers', { exact: false }).waitFor()
    await button(page, 'Start').click()
    await isLive(page)
    await moves(page)
    await page.context().close()
  })

  test('is told of a camera that is not there', async () => {
    const page = await windows.window()
    await page.goto(`${suite.console}/cameras/nowhere`)
    await page.getByText('nowhere', { exact: false }).first().waitFor()
    await page.getByRole('alert').or(page.getByRole('link', { name: 'Sign in' })).first().waitFor()
    await page.context().close()
  })
})

describe('an operator', () => {
  test('sees one capture for several viewers, and that those who leave are gone', async () => {
    await watch(operator, 'test')
    await panel(operator, 'Viewers').getByText('this window').waitFor()
    const others = [await windows.window(), await windows.window()]
    for (const page of others) await watch(page, 'test')
    await facts(operator).getByText('1 capture, 3 viewers').waitFor()
    const listed = operator.locator('[data-test=viewer]')
    await waitUntil('all are listed', 9_000, async () => (await listed.count()) === 3)
    // Windows that vanish say nothing; the relay notices their silence.
    for (const page of others) await page.context().close()
    await facts(operator).getByText('1 capture, 1 viewer', { exact: true }).waitFor({ timeout: 40_000 })
    const page = await windows.window()
    await watch(page, 'test')
    await facts(operator).getByText('1 capture, 2 viewers').waitFor()
    // Another page of the console: the viewer says that it leaves.
    await page.getByRole('link', { name: 'Cameras' }).first().click()
    await facts(operator).getByText('1 capture, 1 viewer', { exact: true }).waitFor({ timeout: GONE_MS })
    await page.context().close()
  })

  test('sends a viewer away, whose page comes back by itself', async () => {
    await watch(operator, 'test')
    const guest = await windows.window()
    await watch(guest, 'test')
    const states = guest.locator('[data-test=player]')
    // The operator's own window has no such button.
    await operator.getByRole('button', { name: 'Send away Guest' }).click()
    await operator.getByRole('dialog').getByRole('button', { name: 'Send away' }).click()
    await waitUntil('the guest notices', GONE_MS, async () => (await states.getAttribute('data-state')) !== 'connected')
    await isLive(guest)
    await guest.context().close()
  })

  test('is told why a camera of the configuration cannot be changed', async () => {
    await operator.goto(`${suite.console}/cameras/test`)
    await operator.getByText('stands in the configuration of camera-relay', { exact: false }).waitFor()
    assert.equal(await button(operator, 'Remove').count(), 0)
  })
})

test('one that comes in the middle of ten seconds without a key frame sees no hurry', async (t) => {
  await mkdir(join(suite.data, 'media'), { recursive: true })
  const film = join(suite.data, 'media', 'film.mp4')
  const made = spawnSync('ffmpeg', [
    ...['-loglevel', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x480:rate=30', '-f', 'lavfi', '-i', 'sine', '-t', '20'],
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-bf', '0', '-g', '300', '-keyint_min', '300', '-sc_threshold', '0'],
    ...['-pix_fmt', 'yuv420p', '-c:a', 'aac', film],
  ])
  assert.equal(made.status, 0, String(made.stderr))
  await addFile(operator, suite, 'film', 'film.mp4')
  await isLive(operator)
  await operator.locator('[data-test=track]').getByText('Transcoded: ', { exact: false }).waitFor()

  const page = await windows.window()
  // What the page is told of pictures, and whether it showed them.
  await page.addInitScript(() => {
    const original = HTMLVideoElement.prototype.requestVideoFrameCallback
    globalThis.pictures = []
    HTMLVideoElement.prototype.requestVideoFrameCallback = function (told) {
      return original.call(this, (now, metadata) => {
        told(now, metadata)
        const shown = this.dataset.live !== undefined
        globalThis.pictures.push({ wall: now, media: metadata.rtpTimestamp / 90, shown })
      })
    }
  })
  await page.goto(`${suite.console}/#token=${await suite.token()}`)
  await waitUntil('it plays in the middle', 9_000, async () => (await pictures(operator)) > 60)
  await watch(page, 'film')
  await waitUntil('enough was shown', 9_000, () => page.evaluate(() => globalThis.pictures.filter(({ shown }) => shown).length > 30))
  const all = await page.evaluate(() => globalThis.pictures)
  const shown = all.filter(({ shown }) => shown).slice(0, 31)
  const [first, last] = [shown[0], shown.at(-1)]
  const speed = (last.media - first.media) / (last.wall - first.wall)
  const hidden = all.indexOf(first)
  t.diagnostic(`${hidden} pictures hidden, ${(first.media - all[0].media).toFixed(0)} ms of film in ${(first.wall - all[0].wall).toFixed(0)} ms; then ${speed.toFixed(2)} times real time`)
  assert.ok(hidden > 0)
  assert.ok(speed > 0.7 && speed < 1.3, `shown at ${speed} times real time`)
  await page.context().close()
})

test('a page that watches comes back by itself after the services were away', async (t) => {
  const page = await windows.window()
  await watch(page, 'test')
  await suite.stop()
  await page.locator('[data-test=player]:not([data-state=connected])').waitFor({ timeout: 40_000 })
  await suite.run()
  const began = Date.now()
  // Pauses grow while the services are away; 15 s is the longest.
  await page.locator('video[data-live]').waitFor({ timeout: 45_000 })
  t.diagnostic(`live again ${Date.now() - began} ms after the services`)
  await moves(page)
  await page.context().close()
})

test('everything can be done with the keyboard alone', async () => {
  const page = await windows.window()
  await page.goto(`${suite.console}/cameras`)
  await card(page, 'test').waitFor()
  await page.locator('main').focus()
  await page.keyboard.press('Tab')
  assert.match(await focused(page), /Test picture/)
  await page.keyboard.press('Enter')
  await isLive(page)
  await tabTo(page, 'Stop')
  await page.keyboard.press('Enter')
  await page.getByText('Stopped', { exact: true }).waitFor()
  await tabTo(page, 'Full screen')
  await page.context().close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    test(`${colorScheme}, ${locale}, 360 px: complete, legible, and no wider than the screen`, async () => {
      const page = await windows.window({ width: 360, height: 740, colorScheme, locale })
      const name = (what) => `${what}-360-${colorScheme}-${locale.slice(0, 2)}`
      await page.goto(`${suite.console}/#token=${await suite.token()}`)
      await page.goto(`${suite.console}/cameras`)
      await page.locator('canvas[data-drawn]').first().waitFor({ timeout: LIVE_MS })
      await look(page, name('cameras'))
      await watch(page, 'test')
      await waitUntil('figures are there', 9_000, async () => (await figure(page, 'fps')) > 0)
      await look(page, name('camera'))
      await page.context().close()
    })
  }
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  // Chromium logs by itself that a camera has no picture, and that streams were cut when the services stopped.
  const known = /status of (404|409|503)|ERR_INCOMPLETE_CHUNKED_ENCODING/
  assert.deepEqual(windows.errors.filter((error) => !known.test(error)), [])
})
