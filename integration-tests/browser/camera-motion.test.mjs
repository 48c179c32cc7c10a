/** Motion in the console: a camera before which something moves is marked live, and on a line of time with pictures. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { focused, look } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

/** The picture is learned for ten seconds; then a motion begins each eight. Three times that, with time to start. */
const SEEN_MS = 75_000

let suite, windows, page, token

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  token = await suite.token()
  await makeYard()
  const points = [[0, 0.2], [1, 0.2], [1, 0.7], [0, 0.7]].map(([x, y]) => ({ x, y }))
  await add({ name: 'yard', file: { path: 'yard.mp4' }, motion: { zones: [{ name: 'Path', points }], hold: '1s' } })
  await add({ name: 'still', test: {} })
  page = await windows.window({ height: 1200 })
  await page.goto(`${suite.console}/#token=${token}`)
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

async function add(camera) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const answer = await fetch(`${suite.console}/camera/v1/cameras`, { method: 'POST', headers, body: JSON.stringify({ camera }) })
  assert.ok(answer.ok, await answer.text())
}

/** A grey yard with noise, through which a white box goes for two of each eight seconds. */
async function makeYard() {
  await mkdir(join(suite.data, 'media'), { recursive: true })
  const box = "[0][1]overlay=x='if(between(mod(t,8),3,5),(mod(t,8)-3)*360-80,-200)':y=120"
  const made = spawnSync('ffmpeg', [
    ...['-v', 'error', '-y', '-f', 'lavfi', '-i', 'color=c=0x707070:size=640x360:rate=25,noise=alls=5:allf=t'],
    ...['-f', 'lavfi', '-i', 'color=c=white:size=80x90:rate=25', '-filter_complex', box, '-t', '16'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-g', '50', '-pix_fmt', 'yuv420p', join(suite.data, 'media', 'yard.mp4')],
  ])
  assert.equal(made.status, 0, String(made.stderr))
}

const marks = () => page.locator('[data-test=motion]')
const shown = () => page.locator('[data-test=motion-shown]')

describe('a camera before which something moves', () => {
  test('is marked live, in the list and on its page, and later on the line of time', async (t) => {
    await page.goto(`${suite.console}/cameras`)
    const began = Date.now()
    const card = page.locator('[data-test=camera]', { has: page.locator('code', { hasText: /^yard$/ }) })
    await card.locator('[data-test=motion-now]').waitFor({ timeout: SEEN_MS })
    t.diagnostic(`in the list ${Date.now() - began} ms after it was opened`)
    await card.click()
    await page.locator('h1').locator('[data-test=motion-now]').waitFor({ timeout: SEEN_MS })
    await marks().first().waitFor({ timeout: 9_000 })
    await page.locator('h1').locator('[data-test=motion-now]').waitFor({ state: 'detached', timeout: 20_000 })
    await waitUntil('it has ended on the line too', 9_000, async () => /for \d+ s · Path$/.test(await marks().first().getAttribute('aria-label')))
  })

  test('has a picture of each motion, which opens large', async () => {
    await marks().first().hover()
    await shown().locator('canvas[data-drawn]').waitFor()
    await marks().first().click()
    const dialog = page.getByRole('dialog')
    await dialog.locator('canvas[data-drawn]').waitFor()
    // A white box on grey.
    const light = await dialog.locator('canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      let white = 0
      for (let at = 0; at < data.length; at += 4) white += data[at] > 200 ? 1 : 0
      return { white: white / (data.length / 4), width: canvas.width }
    })
    assert.ok(light.width === 640 && light.white > 0.005, JSON.stringify(light))
    await page.keyboard.press('Escape')
  })

  test('shows new motions as they come, one mark each when one looks closer', async () => {
    await page.getByText(/[3-9] motions in this span/).waitFor({ timeout: SEEN_MS })
    for (let n = 0; n < 4; n += 1) await page.getByRole('button', { name: 'Zoom in' }).click()
    await waitUntil('marks apart', 9_000, async () => (await marks().count()) >= 2)
    await look(page, 'camera-motion')
  })

  test('is looked through with the keyboard', async () => {
    await marks().last().focus()
    const newest = await focused(page)
    await page.keyboard.press('ArrowLeft')
    await waitUntil('another one has the focus', 3_000, async () => (await focused(page)) !== newest)
    const before = await focused(page)
    await shown().getByText(before.replace(/^\d+ motions · /, ''), { exact: true }).waitFor()
    const count = await marks().count()
    await page.keyboard.press('-')
    await page.keyboard.press('-')
    await waitUntil('the line is longer', 3_000, async () => (await marks().count()) <= count)
    await page.keyboard.press('Home')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').locator('[data-test=motion-opened]').waitFor()
    await page.keyboard.press('Escape')
  })

  test('goes back in time, and returns to now', async () => {
    const later = page.getByRole('button', { name: 'Later', exact: true })
    await page.getByRole('button', { name: 'Hour', exact: true }).click()
    assert.equal(await later.isDisabled(), true)
    await page.getByRole('button', { name: 'Earlier', exact: true }).click()
    await page.getByRole('button', { name: 'Earlier', exact: true }).click()
    await waitUntil('nothing was before', 9_000, async () => (await marks().count()) === 0)
    for (let n = 0; n < 2; n += 1) await later.click()
    await marks().first().waitFor()
    assert.equal(await later.isDisabled(), true)
    for (const span of ['Day', 'Week']) {
      await page.getByRole('button', { name: span, exact: true }).click()
      await marks().first().waitFor()
      await shown().waitFor()
    }
  })
})

test('a camera that is not to tell of motion has no such line', async () => {
  await page.goto(`${suite.console}/cameras/still`)
  await page.locator('[data-test=health]').waitFor()
  assert.equal(await page.locator('[data-test=motion-panel]').count(), 0)
})

for (const [colorScheme, locale] of [['light', 'zh-CN'], ['dark', 'en-GB']]) {
  test(`${colorScheme}, ${locale}, 360 px: complete, legible, and no wider than the screen`, async () => {
    const small = await windows.window({ width: 360, height: 740, colorScheme, locale })
    await small.goto(`${suite.console}/#token=${token}`)
    await small.goto(`${suite.console}/cameras/yard`)
    await small.locator('[data-test=motion-shown] canvas[data-drawn]').waitFor()
    await look(small, `camera-motion-360-${colorScheme}-${locale.slice(0, 2)}`)
    await small.context().close()
  })
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  const known = /status of (404|409|503)|ERR_INCOMPLETE_CHUNKED_ENCODING/
  assert.deepEqual(windows.errors.filter((error) => !known.test(error)), [])
})
