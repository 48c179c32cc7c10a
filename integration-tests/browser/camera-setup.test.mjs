/** Adding and changing cameras in the console: what is wrong with a source is told, nothing is lost, and masks and zones are drawn. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { OnvifDevice } from './onvif.mjs'
import { assertAccessible, focused, look, tabTo } from './people.mjs'
import { freePorts } from './relay.mjs'
import { Camera, Refusing } from './rtsp.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'
import { answered, choose, failure, next, probe } from './wizard.mjs'

/** Three times what a debug build needs to capture, encode, connect and show. */
const LIVE_MS = 15_000

let suite, windows, operator, token

before(async () => {
  suite = await Suite.start({ PATCHBAY_CAMERA_RELAY__CAMERAS__EGRESS__ALLOW: '["127.0.0.0/8"]' })
  windows = await Windows.open()
  token = await suite.token()
  operator = await windows.window({ height: 1000 })
  await operator.goto(`${suite.console}/#token=${token}`)
  // What was entered is given up between the tests.
  operator.on('dialog', (dialog) => dialog.accept())
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

const button = (page, name) => page.getByRole('button', { name, exact: true })
const isLive = (page) => page.locator('video[data-live]').waitFor({ timeout: LIVE_MS })
const size = (page) =>
  page.evaluate(() => [document.querySelector('video').videoWidth, document.querySelector('video').videoHeight])

/** How each step of the probe went. */
const steps = (page) =>
  page.locator('[data-step]').evaluateAll((all) => Object.fromEntries(all.map(({ dataset }) => [dataset.step, dataset.state])))

async function address(page, url) {
  await choose(page, suite, 'An address')
  await page.getByLabel('Address', { exact: true }).fill(url)
}

async function remove(page, name) {
  await page.goto(`${suite.console}/cameras/${name}`)
  await button(page, 'Remove').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.waitForURL(`${suite.console}/cameras`)
}

/** The camera as the service keeps it, by REST. */
async function kept(name) {
  const answer = await fetch(`${suite.console}/camera/v1/cameras/${name}`, { headers: { authorization: `Bearer ${token}` } })
  return (await answer.json()).camera
}

describe('a test picture', () => {
  test('is added after the service has said what is wrong, and changed under its viewer', async () => {
    await operator.goto(`${suite.console}/cameras`)
    await operator.getByRole('link', { name: 'Add a camera' }).click()
    await operator.getByRole('radio', { name: 'A test picture', exact: true }).check()
    await next(operator)
    await operator.getByLabel('Width in pixels').fill('641')
    await next(operator)
    // Back at the field, with the words of the service.
    await operator.getByText('must be even').first().waitFor()
    assert.equal(await operator.getByLabel('Width in pixels').getAttribute('aria-invalid'), 'true')
    await look(operator, 'camera-form')
    await operator.getByLabel('Width in pixels').fill('320')
    await operator.getByLabel('Height in pixels').fill('240')
    await probe(operator)
    await operator.getByText('Pictures come.', { exact: false }).waitFor()
    assert.ok(Object.values(await steps(operator)).every((state) => state === 'good'), JSON.stringify(await steps(operator)))
    await operator.locator('[data-test=probe-tracks]').getByText('320 × 240', { exact: false }).waitFor()
    await operator.locator('[data-test=probe-tracks]').getByText('passes through').first().waitFor()
    await look(operator, 'camera-probe')
    await next(operator)

    assert.equal(await operator.getByLabel('Name', { exact: true }).inputValue(), 'test-picture')
    await operator.getByLabel('Name', { exact: true }).fill('a/b')
    await operator.getByText('Only letters, digits', { exact: false }).waitFor()
    await operator.getByLabel('Name', { exact: true }).fill('yard')
    await button(operator, 'Add').click()
    await operator.waitForURL(`${suite.console}/cameras/yard`)
    await isLive(operator)
    assert.deepEqual(await size(operator), [320, 240])

    await operator.locator('main').getByRole('link', { name: 'Settings' }).click()
    await operator.getByLabel('Title').fill('The yard')
    await operator.getByRole('button', { name: 'Where' }).click()
    await operator.getByLabel('Width in pixels').fill('640')
    await operator.getByLabel('Height in pixels').fill('360')
    await button(operator, 'Save').click()
    await operator.getByRole('heading', { name: 'The yard' }).waitFor()
    await isLive(operator)
    assert.deepEqual(await size(operator), [640, 360])
  })

  test('a name that is taken is told, and nothing that was entered is lost', async () => {
    await choose(operator, suite, 'A test picture')
    await probe(operator)
    await next(operator)
    await operator.getByLabel('Name', { exact: true }).fill('yard')
    await operator.getByLabel('Title').fill('Another one')
    await button(operator, 'Add').click()
    await operator.getByRole('alert').waitFor()
    assert.equal(await operator.getByLabel('Title').inputValue(), 'Another one')
    await operator.getByLabel('Name', { exact: true }).fill('yard-2')
    await button(operator, 'Add').click()
    await operator.waitForURL(`${suite.console}/cameras/yard-2`)
    await remove(operator, 'yard-2')
  })
})

describe('what is wrong with an address is told, with what to do', () => {
  const cases = [
    { what: 'a name that nobody has', reason: 'NAME_NOT_FOUND', words: 'The name of the host has no address.', url: () => 'rtsp://camera.invalid/1' },
    { what: 'a network that is not allowed', reason: 'FORBIDDEN', words: 'cameras.egress.allow', url: () => 'rtsp://10.1.2.3/1' },
    {
      what: 'a port where nobody listens',
      reason: 'REFUSED',
      words: 'nobody listens at that port',
      url: async () => `rtsp://127.0.0.1:${(await freePorts(['nobody'])).nobody}/1`,
    },
  ]
  for (const { what, reason, words, url } of cases) {
    test(what, async (t) => {
      await address(operator, await url())
      await probe(operator)
      await failure(operator, reason).getByText(words, { exact: false }).first().waitFor()
      t.diagnostic(await operator.locator('[data-test=failure-detail]').innerText())
      await assertAccessible(operator)
    })
  }

  test('a wrong path, for which the paths of makers are offered', async () => {
    const camera = await Refusing.start('404 Not Found')
    await address(operator, camera.url)
    await probe(operator)
    await failure(operator, 'NOT_FOUND').getByText('nothing under that path', { exact: false }).waitFor()
    await look(operator, 'camera-wrong-path')
    await failure(operator, 'NOT_FOUND').getByRole('button', { name: /Hikvision/ }).click()
    await answered(operator)
    await operator.getByRole('button', { name: 'Where' }).click()
    assert.match(await operator.getByLabel('Address', { exact: true }).inputValue(), /:\d+\/Streaming\/Channels\/101$/)
    await camera.end()
  })

  test('a login that is missing, until it is given; the password is kept and never shown', async (t) => {
    const camera = await Camera.start(['--auth', 'digest', '--user', 'eye', '--password', 'secret-1'])
    t.after(() => camera.end())
    await address(operator, camera.url)
    await probe(operator)
    await failure(operator, 'UNAUTHORIZED').getByText('or does not accept this one', { exact: false }).waitFor()
    await button(operator, 'Change address or login').click()
    // A login in the address is moved out of sight.
    await operator.getByLabel('Address', { exact: true }).fill(camera.url.replace('rtsp://', 'rtsp://eye:secret-1@'))
    await operator.getByLabel('User name').focus()
    assert.equal(await operator.getByLabel('Address', { exact: true }).inputValue(), camera.url)
    assert.equal(await operator.getByLabel('User name').inputValue(), 'eye')
    await probe(operator)
    await operator.getByText('Pictures come.', { exact: false }).waitFor()
    await next(operator)
    await operator.getByLabel('Name', { exact: true }).fill('door')
    await button(operator, 'Add').click()
    await operator.waitForURL(`${suite.console}/cameras/door`)
    await isLive(operator)

    await operator.goto(`${suite.console}/cameras/door/settings`)
    await operator.getByRole('button', { name: 'Where' }).click()
    await operator.locator('[data-test=kept-password]').getByText('A password is kept.').waitFor()
    assert.ok(!(await operator.content()).includes('secret-1'))
    await probe(operator)
    await operator.getByText('Pictures come.', { exact: false }).waitFor()
    await button(operator, 'Save').click()
    await operator.waitForURL(`${suite.console}/cameras/door`)
    await isLive(operator)
    const { rtsp } = await kept('door')
    assert.deepEqual([rtsp.url, rtsp.login.username, rtsp.login.has_password, rtsp.login.password ?? ''], [camera.url, 'eye', true, ''])
    await remove(operator, 'door')
  })

  test('a certificate that nobody signed, until it is pinned', async (t) => {
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(suite.data, name))
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=camera', '-keyout', key, '-out', cert],
    ])
    assert.equal(made.status, 0, String(made.stderr))
    const camera = await Camera.start(['--cert', cert, '--key', key])
    t.after(() => camera.end())
    await address(operator, camera.url.replace('rtsp:', 'rtsps:'))
    await probe(operator)
    const fingerprint = new X509Certificate(await readFile(cert)).fingerprint256
    await failure(operator, 'TLS').getByText(fingerprint, { exact: true }).waitFor()
    await look(operator, 'camera-pin')
    await button(operator, 'Pin this certificate').click()
    await answered(operator)
    await operator.getByText('Pictures come.', { exact: false }).waitFor()
    assert.equal((await steps(operator)).tls, 'good')
    await operator.getByRole('button', { name: 'Where' }).click()
    assert.equal(await operator.getByLabel('Fingerprint of the certificate (SHA-256)').inputValue(), fingerprint)
  })

  test('a file that is none, also on the page of the camera', async () => {
    await mkdir(join(suite.data, 'media'), { recursive: true })
    await writeFile(join(suite.data, 'media', 'broken.mp4'), 'this is no film')
    await choose(operator, suite, 'A file')
    await operator.getByLabel('File', { exact: true }).fill('../secret.mp4')
    await next(operator)
    await operator.getByRole('alert').waitFor()
    await operator.getByLabel('File', { exact: true }).fill('broken.mp4')
    await probe(operator)
    await operator.locator('[data-test=probe-failure]').waitFor()
    await button(operator, 'Go on anyway').click()
    await operator.getByLabel('Name', { exact: true }).fill('gone')
    await button(operator, 'Add').click()
    await operator.waitForURL(`${suite.console}/cameras/gone`)
    await operator.getByRole('heading', { name: 'gone' }).getByText('Failed').waitFor({ timeout: LIVE_MS })
    assert.match(await operator.locator('[data-test=detail]').innerText(), /\w{3}/)
    await operator.locator('[data-test=health]').getByText('It cannot be opened.', { exact: false }).waitFor()
    assert.match(await operator.locator('[data-test=next-try]').innerText(), /Next try in \d+ seconds?|tried again now|only every half hour/)
    await look(operator, 'camera-failed')
    await remove(operator, 'gone')
  })
})

test('on Chinese pages what the service says is told in Chinese, with its own words beside it', async () => {
  const page = await windows.window({ locale: 'zh-CN' })
  page.on('dialog', (dialog) => dialog.accept())
  await page.goto(`${suite.console}/#token=${token}`)
  await page.goto(`${suite.console}/add-camera`)
  await page.locator('input[type=radio][value=test]').check()
  await next(page)
  await page.getByLabel('不带声音').check()
  await probe(page)
  const advice = page.locator('[data-test=advice] li')
  await advice.getByText('没有声音；许多摄像头默认关闭声音。', { exact: true }).waitFor()
  await advice.locator('[lang=en]').getByText('it has no sound', { exact: false }).waitFor()
  await page.locator('[data-test=probe-tracks]').getByText('原样发送给浏览器。', { exact: true }).waitFor()
  await page.locator('[data-step=key_frame]').getByText('收到了第一个关键帧。', { exact: true }).waitFor()
  await look(page, 'camera-probe-zh')
  await page.context().close()
})

test('cameras near the service are looked for', async (t) => {
  await operator.goto(`${suite.console}/add-camera`)
  await operator.getByRole('radio', { name: 'Found near here', exact: true }).check()
  const told = operator.getByRole('status').filter({ hasText: /Nothing answered|\d+ found/ })
  await told.waitFor({ timeout: 15_000 })
  t.diagnostic(await told.innerText())
})

test('a camera of ONVIF tells its streams, and the chosen one fills the form', async (t) => {
  const login = ['--user', 'eye', '--password', 'secret-1']
  const camera = await Camera.start(['--auth', 'digest', ...login])
  t.after(() => camera.end())
  const device = await OnvifDevice.start(['--auth', 'wsse', ...login, '--rtsp', camera.url, '--others', 'rtsp://10.1.2.3/sub'])
  t.after(() => device.end())
  await operator.goto(`${suite.console}/add-camera`)
  await operator.getByRole('radio', { name: 'Found near here', exact: true }).check()
  await button(operator, 'An ONVIF camera that is not listed').click()
  const panel = operator.locator('[data-test=device-streams]')
  await panel.getByLabel('Address of the ONVIF camera').fill('rtsp://camera/')
  await button(operator, 'List its streams').click()
  await panel.getByText('must begin with http://', { exact: false }).waitFor()
  await panel.getByLabel('Address of the ONVIF camera').fill(device.address)
  await panel.getByLabel('User name').fill('eye')
  await panel.getByLabel('Password').fill('secret-2')
  // Enter asks the camera, and does not send the form on.
  await operator.keyboard.press('Enter')
  await panel.locator('[data-test=device-failure][data-reason=UNAUTHORIZED]').waitFor()
  await panel.getByLabel('Password').fill('secret-1')
  await button(operator, 'List its streams').click()
  await panel.getByText('Patchbay Test Eye 3').waitFor()
  assert.equal(await panel.locator('[data-test=device-stream]').count(), 2)
  await panel.getByText('calls itself 10.1.2.3', { exact: false }).waitFor()
  await look(operator, 'camera-onvif')
  await assertAccessible(operator)
  await panel.getByRole('button', { name: /^Main · H264 · 1920 × 1080/ }).click()
  assert.equal(await operator.getByLabel('Address', { exact: true }).inputValue(), camera.url)
  assert.equal(await operator.getByLabel('User name').inputValue(), 'eye')
  await probe(operator)
  await operator.getByText('Pictures come.', { exact: false }).waitFor()
  await next(operator)
  assert.equal(await operator.getByLabel('Title').inputValue(), 'Patchbay Test Eye 3')
  await operator.getByLabel('Name', { exact: true }).fill('onvif')
  await button(operator, 'Add').click()
  await operator.waitForURL(`${suite.console}/cameras/onvif`)
  await isLive(operator)
  await remove(operator, 'onvif')
})

describe('masks and zones', () => {
  const masks = (page) => page.getByRole('region', { name: 'Picture', exact: true }).locator('[data-test=shape]')
  /** Whether every point of the picture has a colour. */
  const isDrawn = (page) =>
    page.locator('[data-test=polygon-editor] canvas').first().evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      return data.every((value, index) => index % 4 !== 3 || value === 255)
    })
  const points = (page, nth) => page.locator('[data-test=polygon]').nth(nth).getAttribute('points')

  async function drag(page, area, from, to) {
    await area.scrollIntoViewIfNeeded()
    const box = await area.boundingBox()
    const at = ([x, y]) => [box.x + box.width * x, box.y + box.height * y]
    await page.mouse.move(...at(from))
    await page.mouse.down()
    await page.mouse.move(...at(to), { steps: 8 })
    await page.mouse.up()
  }

  test('are drawn with the mouse on the picture of the probe, and kept', async () => {
    await choose(operator, suite, 'A test picture')
    await probe(operator)
    await next(operator)
    const area = operator.locator('[data-test=drawing-area]').first()
    await waitUntil('the picture is under it', 3_000, () => isDrawn(operator))
    await drag(operator, area, [0.1, 0.1], [0.4, 0.5])
    await masks(operator).waitFor()
    assert.equal(await operator.locator('[data-corner]').count(), 4)
    // A corner elsewhere, and then the whole.
    await drag(operator, area, [0.4, 0.5], [0.6, 0.5])
    await drag(operator, area, [0.15, 0.15], [0.25, 0.15])
    await operator.getByLabel('What is shown for Mask 1').selectOption('Coarse squares')
    await operator.getByLabel('Show date and time in the picture').check()
    await operator.getByLabel('Tell what moves', { exact: false }).check()
    await drag(operator, operator.locator('[data-test=drawing-area]').nth(1), [0.5, 0.2], [0.9, 0.9])
    await operator.getByLabel('Name of zone 1').fill('Door')
    await look(operator, 'camera-masks')
    await operator.getByLabel('Name', { exact: true }).fill('masked')
    await button(operator, 'Add').click()
    await operator.waitForURL(`${suite.console}/cameras/masked`)
    const { processing, motion } = await kept('masked')
    const [mask] = processing.masks
    assert.equal(mask.style, 'MASK_STYLE_PIXELATE')
    assert.equal(mask.points.length, 4)
    for (const [index, [x, y]] of [[0.2, 0.1], [0.5, 0.1], [0.7, 0.5], [0.2, 0.5]].entries()) {
      const point = mask.points[index]
      assert.ok(Math.abs(point.x - x) < 0.02 && Math.abs(point.y - y) < 0.02, `${JSON.stringify(point)} is not near ${x}, ${y}`)
    }
    assert.ok(processing.overlay)
    assert.deepEqual([motion.zones.length, motion.zones[0].name], [1, 'Door'])
    await isLive(operator)
  })

  test('are made, moved and given corners with the keyboard alone', async () => {
    await operator.goto(`${suite.console}/cameras/masked/settings`)
    await masks(operator).waitFor()
    // The camera's own picture is under it then, which is 640 × 480.
    await operator.locator('[data-test=polygon-editor] canvas[height="480"]').first().waitFor({ timeout: LIVE_MS })
    await waitUntil('it is drawn', 3_000, () => isDrawn(operator))
    const before = await points(operator, 0)
    await button(operator, 'Add a mask').focus()
    await operator.keyboard.press('Enter')
    await waitUntil('there are two', 3_000, async () => (await masks(operator).count()) === 2)
    await operator.getByRole('button', { name: /^Move Mask 2: / }).focus()
    for (const key of ['Shift+ArrowRight', 'ArrowDown']) await operator.keyboard.press(key)
    await operator.getByRole('button', { name: /^Move Mask 2: 46 % from the left, 42 % from the top/ }).waitFor()
    await operator.keyboard.press('Tab')
    assert.match(await focused(operator), /^Mask 2, corner 1 of 4: 31 % from the left, 27 % from the top/)
    await operator.keyboard.press('+')
    await waitUntil('the new corner has the focus', 3_000, async () => /^Mask 2, corner 2 of 5/.test(await focused(operator)))
    await operator.keyboard.press('ArrowUp')
    await operator.keyboard.press('Delete')
    await waitUntil('the corner before has it', 3_000, async () => /^Mask 2, corner 1 of 4/.test(await focused(operator)))
    assert.equal(await points(operator, 0), before, 'the other one stays')
    await tabTo(operator, 'Save')
    await operator.keyboard.press('Enter')
    await operator.waitForURL(`${suite.console}/cameras/masked`)
    const { processing } = await kept('masked')
    assert.equal(processing.masks.length, 2)
    await remove(operator, 'masked')
  })
})

describe('the form', () => {
  test('asks before what was entered is lost', async () => {
    const page = await windows.window()
    let asked = 0
    page.on('dialog', (dialog) => {
      asked += 1
      void dialog.dismiss()
    })
    await page.goto(`${suite.console}/#token=${token}`)
    await page.goto(`${suite.console}/cameras`)
    await page.getByRole('link', { name: 'Add a camera' }).click()
    await page.getByRole('radio', { name: 'An address', exact: true }).check()
    await next(page)
    await page.getByLabel('Address', { exact: true }).fill('rtsp://a/')
    await page.getByRole('navigation').getByRole('link', { name: 'Cameras' }).first().click()
    await waitUntil('it asks', 3_000, () => asked === 1)
    assert.equal(await page.getByLabel('Address', { exact: true }).inputValue(), 'rtsp://a/')
    await page.context().close()
  })

  for (const colorScheme of ['light', 'dark']) {
    for (const locale of ['en-GB', 'zh-CN']) {
      test(`${colorScheme}, ${locale}, 360 px: complete, legible, and no wider than the screen`, async () => {
        const page = await windows.window({ width: 360, height: 740, colorScheme, locale })
        page.on('dialog', (dialog) => dialog.accept())
        const name = (what) => `${what}-360-${colorScheme}-${locale.slice(0, 2)}`
        await page.goto(`${suite.console}/#token=${token}`)
        await page.goto(`${suite.console}/add-camera`)
        await page.locator('input[type=radio]').first().waitFor()
        await look(page, name('setup-what'))
        await next(page)
        await look(page, name('setup-where'))
        await page.locator('input[inputmode=url]').fill('rtsp://10.1.2.3/1')
        await probe(page)
        await failure(page, 'FORBIDDEN').waitFor()
        await look(page, name('setup-probe'))
        await next(page)
        for (const checkbox of [1, 2]) await page.locator('input[type=checkbox]').nth(checkbox).check()
        for (const editor of [0, 1]) {
          await page.locator('[data-test=add-shape]').nth(editor).click()
        }
        await look(page, name('setup-rest'))
        await page.context().close()
      })
    }
  }
})

test('no window has logged an error, and nothing broke the content security policy', () => {
  // Chromium logs by itself that a camera has no picture.
  const known = /status of (404|409|503)|ERR_INCOMPLETE_CHUNKED_ENCODING/
  assert.deepEqual(windows.errors.filter((error) => !known.test(error)), [])
})
