/** Files that are encrypted and decrypted in the browser, against the service that does the same with a stream. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { look } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { PLAIN, Windows } from './windows.mjs'

const KEY = 'files'
const SEALED_CHUNK = 16_400
const HEADER = 61

/** A large file of holes: it takes no place, and is as long to encrypt as any. */
const LARGE = 512 * 1024 ** 2
/** What the page's process may grow by meanwhile; the browser's own buffers are in it. */
const GROWTH = 192 * 1024 ** 2

/** What Chromium logs by itself of a page that is no secure context. */
const OF_INSECURE = /Cross-Origin-Opener-Policy header has been ignored/

let suite, windows, page, token, folder

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  folder = await mkdtemp(join(tmpdir(), 'patchbay-files-'))
  token = await suite.token()
  page = await windows.window()
  await page.addInitScript(pickFromOwnFolder)
  await page.goto(`${suite.console}/playground/files#token=${token}`)
})

after(async () => {
  await windows?.end()
  await suite?.end()
  await rm(folder, { recursive: true, force: true })
})

/** A browser without a screen cannot ask where to: it takes a file of the page's own folder, which is written the same way. */
function pickFromOwnFolder() {
  globalThis.showSaveFilePicker = async ({ suggestedName }) => {
    const folder = await navigator.storage.getDirectory()
    globalThis.picked = await folder.getFileHandle(suggestedName, { create: true })
    return globalThis.picked
  }
}

/** What stands in the file that was picked last. */
async function written(page) {
  const base64 = await page.evaluate(async () => {
    const file = await globalThis.picked.getFile()
    const url = await new Promise((done) => {
      const reader = new FileReader()
      reader.onload = () => done(reader.result)
      reader.readAsDataURL(file)
    })
    return url.slice(url.indexOf(',') + 1)
  })
  return Buffer.from(base64, 'base64')
}

/** Whether a file of this name is where results are written to. */
function isThere(page, name) {
  return page.evaluate(async (name) => {
    const folder = await navigator.storage.getDirectory()
    return folder.getFileHandle(name).then(() => true, () => false)
  }, name)
}

async function choose(page, name, buffer) {
  await page.locator('[data-test=file]').setInputFiles({ name, mimeType: 'application/octet-stream', buffer })
  await page.locator('[data-test=chosen]').getByText(name).waitFor()
}

async function press(page, name) {
  await page.getByRole('button', { name, exact: true }).click()
}

async function made(page, words) {
  await page.locator('[data-test=made]').getByText(words, { exact: false }).waitFor()
}

/** What the service makes of the same bytes. */
async function service(operation, body, associated = '') {
  const query = new URLSearchParams({ associated_data: Buffer.from(associated).toString('base64url') })
  const answer = await fetch(`${suite.console}/crypto/v1/keys/${KEY}/${operation}?${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
    body,
  })
  assert.equal(answer.status, 200, `${operation} of ${body.length} bytes`)
  return Buffer.from(await answer.arrayBuffer())
}

test('a folder, and several files at once, are refused in words', async () => {
  const drop = (make) =>
    page.locator('[data-test=file]').evaluate((input, make) => {
      const dataTransfer = new DataTransfer()
      for (const name of make) dataTransfer.items.add(new File(['x'], name))
      input.parentElement.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }))
    }, make)
  await drop(['a', 'b'])
  await page.getByRole('alert').getByText('more than one file').waitFor()
  await page.evaluate(() => (DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true })))
  await drop(['a'])
  await page.getByRole('alert').getByText('That is a folder').waitFor()
  assert.equal(await page.locator('[data-test=chosen]').count(), 0)
  await page.evaluate(() => (DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: false })))
  await drop(['a'])
  await page.locator('[data-test=chosen]').waitFor()
  assert.equal(await page.getByRole('alert').count(), 0)
})

test('where there is no key for files, a button makes one', async () => {
  await page.getByText('There is no key here that can do this.').waitFor()
  await look(page, 'files-no-key')
  await press(page, 'Make a key for files')
  await page.getByLabel('Key', { exact: true }).waitFor()
  assert.match(await page.getByLabel('Key', { exact: true }).innerText(), /^files \(aes256-gcm-chunked\)/)
})

for (const size of [0, 1, 16_383, 16_384, 16_385, 3 * 1024 ** 2 + 5]) {
  test(`${size} bytes: the service reads what the browser wrote, and the other way round`, async () => {
    const plain = randomBytes(size)
    await page.getByLabel('Associated data', { exact: true }).fill('invoice 7')
    await choose(page, `a ${size}.bin`, plain)
    await press(page, 'Encrypt')
    await made(page, `Encrypted as a ${size}.bin.pbs`)
    const sealed = await written(page)
    assert.equal(sealed[0], 3)
    assert.ok((await service('decrypt-stream', sealed, 'invoice 7')).equals(plain))

    await choose(page, `b ${size}.bin.pbs`, await service('encrypt-stream', plain, 'invoice 7'))
    await press(page, 'Decrypt')
    await made(page, `Decrypted as b ${size}.bin; it is genuine to the end.`)
    assert.ok((await written(page)).equals(plain))
  })
}

describe('a file that is not as it was encrypted', () => {
  let sealed
  before(async () => {
    sealed = await service('encrypt-stream', randomBytes(5 * 16_384 + 100), 'x')
    await page.getByLabel('Associated data', { exact: true }).fill('x')
  })
  const chunk = (n) => sealed.subarray(HEADER + n * SEALED_CHUNK, HEADER + (n + 1) * SEALED_CHUNK)
  const CASES = [
    ['cut after a chunk', () => sealed.subarray(0, HEADER + 2 * SEALED_CHUNK), 'This file was cut off'],
    ['cut in a chunk', () => sealed.subarray(0, HEADER + 2 * SEALED_CHUNK + 500), 'This file is not as it was encrypted'],
    ['with chunks exchanged', () => Buffer.concat([sealed.subarray(0, HEADER), chunk(1), chunk(0), sealed.subarray(HEADER + 2 * SEALED_CHUNK)]), 'This file is not as it was encrypted'],
    ['with something behind it', () => Buffer.concat([sealed, Buffer.from('more')]), 'This file is not as it was encrypted'],
    ['that never was encrypted', () => Buffer.from('plain text'), 'This file was not encrypted here'],
    ['with another header', () => Buffer.concat([sealed.subarray(0, 20), Buffer.from([sealed[20] ^ 1]), sealed.subarray(21)]), 'Could not decrypt'],
  ]
  for (const [what, bytes, words] of CASES) {
    test(`${what} is refused in words, and nothing of it is kept`, async () => {
      await choose(page, 'damaged.pbs', bytes())
      await press(page, 'Decrypt')
      await page.getByRole('alert').getByText(words, { exact: false }).waitFor()
      assert.equal(await isThere(page, 'damaged'), false)
      assert.equal(await page.locator('[data-test=made]').count(), 0)
    })
  }

  test('nor is one that is bound to something else', async () => {
    await page.getByLabel('Associated data', { exact: true }).fill('y')
    await choose(page, 'bound.pbs', sealed)
    await press(page, 'Decrypt')
    await page.getByRole('alert').getByText('Could not decrypt', { exact: false }).waitFor()
  })
})

describe('a large file', () => {
  let large
  before(async () => {
    large = join(folder, 'large.img')
    const file = await open(large, 'w')
    await file.truncate(LARGE)
    await file.close()
    await page.locator('[data-test=file]').setInputFiles(large)
  })

  test('can be stopped, and then there is nothing', async () => {
    await press(page, 'Encrypt')
    await page.getByRole('progressbar', { name: 'Encrypting the file' }).waitFor()
    await press(page, 'Stop')
    await page.getByRole('alert').getByText('Stopped.').waitFor()
    assert.equal(await isThere(page, 'large.img.pbs'), false)
  })

  test('is not given up by a click that leads elsewhere, nor without a word', async () => {
    await press(page, 'Encrypt')
    await page.getByRole('progressbar', { name: 'Encrypting the file' }).waitFor()
    const asked = new Promise((told) => page.once('dialog', (dialog) => dialog.dismiss().then(() => told(dialog.message()))))
    await page.getByRole('link', { name: 'Hash' }).click()
    assert.match(await asked, /A file is still being worked on/)
    page.once('dialog', (dialog) => dialog.accept())
    await page.getByRole('link', { name: 'Hash' }).click()
    await page.getByLabel('Algorithm').waitFor()
    await waitUntil('nothing is left of it', 10_000, async () => !(await isThere(page, 'large.img.pbs')))
    await page.getByRole('link', { name: 'Files' }).click()
    await page.locator('[data-test=file]').setInputFiles(large)
  })

  test('is never in memory as a whole', async () => {
    const before = await processMemory()
    let most = before
    const watching = setInterval(async () => (most = Math.max(most, await processMemory())), 100)
    await press(page, 'Encrypt')
    await page.locator('[data-test=made]').waitFor({ timeout: 120_000 })
    clearInterval(watching)
    const told = await page.locator('[data-test=made]').innerText()
    console.log(`${LARGE / 1024 ** 2} MiB: ${told.split('\n').at(-1)}; the page grew by ${((most - before) / 1024 ** 2).toFixed(0)} MiB`)
    assert.ok(most - before < GROWTH, `the page grew by ${most - before} bytes`)
    const size = await page.evaluate(async () => (await globalThis.picked.getFile()).size)
    assert.equal(size, HEADER + LARGE + (LARGE / 16_384 + 1) * 16)
  })

  /** Resident bytes of the process that has the page. */
  async function processMemory() {
    const session = await windows.browser.newBrowserCDPSession()
    const { processInfo } = await session.send('SystemInfo.getProcessInfo')
    await session.detach()
    const sizes = processInfo.filter(({ type }) => type === 'renderer').map(async ({ id }) => {
      const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
    })
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }
})

test('a browser that cannot write to files downloads the result', async () => {
  const other = await windows.window()
  await other.addInitScript(() => delete globalThis.showSaveFilePicker)
  await other.goto(`${suite.console}/playground/files#token=${token}`)
  await other.getByText('This browser cannot write to a file piece by piece', { exact: false }).waitFor()
  const plain = randomBytes(2 * 1024 ** 2 + 1)
  await choose(other, 'photo.jpg', plain)
  const download = other.waitForEvent('download')
  await press(other, 'Encrypt')
  assert.equal((await download).suggestedFilename(), 'photo.jpg.pbs')
  const path = join(folder, 'photo.jpg.pbs')
  await (await download).saveAs(path)
  const sealed = await readFile(path)
  assert.ok((await service('decrypt-stream', sealed)).equals(plain))
  // What is damaged at its very end is not offered either.
  await writeFile(path, Buffer.concat([sealed.subarray(0, -1), Buffer.from([sealed.at(-1) ^ 1])]))
  await other.locator('[data-test=file]').setInputFiles(path)
  let offered = 0
  other.on('download', () => (offered += 1))
  await press(other, 'Decrypt')
  await other.getByRole('alert').getByText('This file is not as it was encrypted', { exact: false }).waitFor()
  assert.equal(offered, 0)
  await other.context().close()
})

test('on a page that is no secure context, that and what to do is told', async () => {
  const other = await windows.window()
  await other.goto(`${suite.console.replace('127.0.0.1', PLAIN)}/playground/files#token=${token}`)
  await other.getByText('Browsers encrypt only on pages that came over https', { exact: false }).waitFor()
  assert.equal(await other.getByRole('button', { name: 'Encrypt', exact: true }).count(), 0)
  await look(other, 'files-insecure')
  await other.context().close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      test(`${colorScheme}, ${locale}, ${width} px: complete, legible, and no wider than the screen`, async () => {
        const other = await windows.window({ width, height, colorScheme, locale })
        await other.addInitScript(pickFromOwnFolder)
        await other.goto(`${suite.console}/playground/files#token=${token}`)
        await choose(other, 'a-name-that-is-rather-long-for-a-small-screen-2026-11-23.tar.gz', randomBytes(1_500_000))
        await other.locator('main .btn-primary').click()
        await other.locator('[data-test=made]').waitFor()
        await look(other, `files-${width}-${colorScheme}-${locale.slice(0, 2)}`)
        await other.context().close()
      })
    }
  }
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  assert.deepEqual(windows.errors.filter((error) => !OF_INSECURE.test(error)), [])
})
