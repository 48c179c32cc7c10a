/** Hashes and encodings in the console, for everybody with a token. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

let suite, windows, page

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  page = await windows.window()
  await page.goto(`${suite.console}/#token=${await suite.token('chat:subscribe:room/*')}`)
  await page.getByRole('link', { name: 'Tools' }).first().click()
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

test('messages and files are hashed', async () => {
  const result = page.locator('[data-test=result]')
  await page.goto(`${suite.console}/playground/hash`)
  await page.getByLabel('Message', { exact: true }).fill('abc')
  await page.getByRole('button', { name: 'Hash the message' }).click()
  await result.waitFor()
  assert.equal(await result.innerText(), createHash('sha256').update('abc').digest('hex'))
  await page.getByLabel('Algorithm').selectOption('MD5 (broken)')
  await page.getByText('MD5 is broken', { exact: false }).waitFor()
  // More than a request may have elsewhere.
  const buffer = Buffer.alloc(3 * 1024 * 1024, 'patchbay')
  await page.locator('[data-test=file]').setInputFiles({ name: 'a file.bin', mimeType: 'application/octet-stream', buffer })
  await page.getByText('Digest: a file.bin', { exact: false }).waitFor()
  assert.equal(await result.innerText(), createHash('md5').update(buffer).digest('hex'))
})

test('text is encoded and decoded, whole queries too', async () => {
  await page.goto(`${suite.console}/playground/encode`)
  const encode = async (encoding, label, plain) => {
    await page.getByLabel('Encoding').selectOption(encoding)
    await page.getByLabel(label, { exact: true }).fill(plain)
    const before = await page.getByLabel('Encoded', { exact: true }).inputValue()
    await page.getByRole('button', { name: 'Encode', exact: true }).click()
    await waitUntil('it is encoded', 5_000, async () => (await page.getByLabel('Encoded', { exact: true }).inputValue()) !== before)
    return page.getByLabel('Encoded', { exact: true }).inputValue()
  }
  assert.equal(await encode('Base64', 'Plain', 'a b&c=密'), Buffer.from('a b&c=密').toString('base64'))
  assert.equal(await encode('Percent-encoding for paths', 'Plain', 'a b&c=密'), 'a%20b%26c%3D%E5%AF%86')
  assert.equal(await encode('Whole query string', 'Names and values', 'q=a b\nempty='), 'q=a+b&empty=')
  await page.getByLabel('Encoding').selectOption('Base64')
  await page.getByLabel('Encoded', { exact: true }).fill('not base64!')
  await page.getByRole('button', { name: 'Decode', exact: true }).click()
  await page.getByText('The service does not accept that', { exact: false }).waitFor()
  await page.getByLabel('Encoded', { exact: true }).fill('5a+G')
  await page.getByRole('button', { name: 'Decode', exact: true }).click()
  await waitUntil('it is decoded', 5_000, async () => (await page.locator('[data-test=result]').innerText()) === '密')
})

test('bytes that are none are told before anything is sent', async () => {
  await page.goto(`${suite.console}/playground/hash`)
  await page.getByLabel('Form of Message').selectOption('Hex')
  await page.getByLabel('Message', { exact: true }).fill('0g')
  await page.getByText('Hexadecimal is pairs', { exact: false }).waitFor()
  await page.getByRole('button', { name: 'Hash the message' }).click()
  await page.getByText('An input is not in its form', { exact: false }).waitFor()
  await page.getByLabel('Message', { exact: true }).fill('61 62 63')
  await page.getByRole('button', { name: 'Hash the message' }).click()
  const result = page.locator('[data-test=result]')
  await waitUntil('it is hashed', 5_000, async () => {
    return (await result.count()) > 0 && (await result.innerText()) === createHash('sha256').update('abc').digest('hex')
  })
})

test('no window has logged an error', () => {
  assert.deepEqual(windows.errors, [])
})
