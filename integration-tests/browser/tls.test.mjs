/** The console in a browser that comes by HTTPS, with all gateways behind it on TLS too. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:https'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Suite, waitUntil } from './suite.mjs'
import { message, picture, say, Windows } from './windows.mjs'

const BINARY = process.env.PATCHBAY_BINARY ?? join(import.meta.dirname, '../../target/debug/patchbay')

/** The browser knows the authority of no test; that the certificate is right is seen with the authority below. */
const TRUSTING = { ignoreHTTPSErrors: true }

/** Three times what a debug build needs to capture, encode, connect and show. */
const LIVE_MS = 15_000

let suite, windows, origin

before(async () => {
  suite = await Suite.start(everywhere)
  origin = suite.console.replace('http:', 'https:')
  windows = await Windows.open()
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

/** All four on TLS, and the console told so. */
function everywhere(ports) {
  const changes = { PATCHBAY_CONSOLE__HTTP__TLS__DEVELOPMENT: 'true' }
  for (const [service, upstream] of Object.entries({ CHAT_GATEWAY: 'chat', CAMERA_RELAY: 'camera', CRYPTO_SERVICE: 'crypto' })) {
    changes[`PATCHBAY_${service}__LISTEN__TLS__DEVELOPMENT`] = 'true'
    changes[`PATCHBAY_CONSOLE__UPSTREAMS__${upstream.toUpperCase()}`] = `https://127.0.0.1:${ports[upstream]}`
  }
  return changes
}

test('clients that trust the authority trust the console', async () => {
  const ca = await readFile(join(suite.data, 'tls/ca.pem'))
  const [answer] = await once(request(origin, { ca }).end(), 'response')
  answer.resume()
  assert.equal(answer.statusCode, 200)
})

test('an operator sees what runs, in a secure context', async () => {
  const page = await windows.window(TRUSTING)
  await page.goto(`${origin}/#token=${await suite.token()}`)
  for (const service of ['camera-relay', 'chat-gateway', 'console', 'crypto-service']) {
    await page.getByRole('region', { name: service }).getByText('Ready', { exact: true }).waitFor()
  }
  assert.ok(await page.evaluate(() => isSecureContext))
  await picture(page, 'tls-overview')
  await page.context().close()
})

test('people chat through it', async () => {
  const ada = await windows.guest(origin, 'Ada', TRUSTING)
  const bob = await windows.guest(origin, 'Bob', TRUSTING)
  await say(ada, 'Hello by TLS')
  await message(bob, 'Hello by TLS').waitFor()
  for (const page of [ada, bob]) await page.context().close()
})

test('people look at a camera through it', async () => {
  const page = await windows.window(TRUSTING)
  await page.goto(`${origin}/#token=${await suite.token()}`)
  await page.goto(`${origin}/cameras/test`)
  await page.locator('video[data-live]').waitFor({ timeout: LIVE_MS })
  await page.context().close()
})

test('a page speaks to the gateway itself', async () => {
  // The console's own pages would not be let.
  const page = await windows.window({ ...TRUSTING, bypassCSP: true })
  await page.goto(origin)
  const welcome = await page.evaluate(
    (url) =>
      new Promise((heard, failed) => {
        const socket = new WebSocket(url)
        socket.onmessage = (event) => heard(JSON.parse(event.data).type)
        socket.onerror = () => failed(new Error('no connection'))
      }),
    `wss://127.0.0.1:${suite.ports.chat}/`,
  )
  assert.equal(welcome, 'welcome')
  await page.context().close()
})

test('the echo page says in words what the browser speaks', async () => {
  const echo = spawn(BINARY, ['net', 'echo', 'tls', '--listen', '127.0.0.1:0', '--data', suite.data])
  let log = ''
  echo.stdout.on('data', (text) => (log += text))
  try {
    await waitUntil('the echo page is there', 10_000, async () => /https:\S+/.test(log))
    const page = await windows.window({ ...TRUSTING, locale: 'zh-CN' })
    await page.goto(/https:\S+/.exec(log)[0])
    assert.equal(await page.title(), '您的 TLS 连接')
    await page.getByText('TLS 1.3', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'English' }).click()
    await page.getByRole('heading', { name: 'Your TLS connection' }).waitFor()
    await picture(page, 'tls-echo')
    await page.context().close()
  } finally {
    echo.kill('SIGTERM')
  }
})

test('nothing went wrong in any window', () => assert.deepEqual(windows.errors, []))
