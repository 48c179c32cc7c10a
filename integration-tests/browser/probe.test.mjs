/** The TLS page against servers of this test: what they speak, their certificates, and every way to fail in words. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { look } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

/** Probes make many connections, and have ten seconds; three times that is waited. */
const PROBE_MS = 30_000

let suite, windows, page, folder, ports, chain
const servers = []
/** Open connections: a server waits for them when it is closed. */
const sockets = new Set()

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchbay-probe-'))
  makeCertificates()
  const file = (name) => readFile(join(folder, name), 'utf8')
  chain = (await file('good.pem')) + (await file('intermediate.pem'))
  ports = {
    good: await listen(createTlsServer({ key: await file('good.key'), cert: chain, ALPNProtocols: ['h2', 'http/1.1'] })),
    old: await listen(
      createTlsServer({
        key: await file('old.key'),
        cert: await file('old.pem'),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.2',
        ciphers: 'ALL:@SECLEVEL=0',
      }),
    ),
    ssh: await listen(createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'))),
    closed: await listen(createServer()),
  }
  await close(servers.pop())
  suite = await Suite.start({
    PATCHBAY_CRYPTO_SERVICE__TLS_PROBE__EGRESS__ALLOW: '["127.0.0.0/8"]',
    PATCHBAY_CRYPTO_SERVICE__TLS_PROBE__ROOTS_FILE: join(folder, 'root.pem'),
    PATCHBAY_CRYPTO_SERVICE__CERTIFICATES__WATCH: `["localhost:${ports.good}", "127.0.0.1:${ports.closed}"]`,
  })
  windows = await Windows.open()
  page = await windows.window()
  await page.goto(`${suite.console}/#token=${await suite.token()}`)
  await page.getByRole('navigation').first().getByRole('link', { name: 'TLS' }).click()
})

after(async () => {
  await windows?.end()
  await suite?.end()
  for (const socket of sockets) socket.destroy()
  for (const server of servers) await close(server)
  await rm(folder, { recursive: true, force: true })
})

/** A root, an authority below it, a server's certificate for localhost, and one that signed itself for another name. */
function makeCertificates() {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']
  openssl('req', '-x509', ...P256, '-keyout', 'root.key', '-out', 'root.pem', '-days', '3000', '-subj', '/O=Test/CN=Test Root', ...ca)
  const signed = (name, subject, issuer, days, ...extensions) => {
    const below = issuer === 'root' ? 'root' : 'intermediate'
    const by = ['-CA', `${below}.pem`, '-CAkey', `${below}.key`]
    const wanted = extensions.flatMap((extension) => ['-addext', extension])
    openssl('req', '-x509', ...P256, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', String(days), '-subj', subject, ...by, ...wanted)
  }
  signed('intermediate', '/O=Test/CN=Test Intermediate', 'root', 1000, 'basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign')
  signed('good', '/CN=localhost', 'intermediate', 25, 'basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost,DNS:www.localhost', 'extendedKeyUsage=serverAuth')
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-keyout', 'old.key', '-out', 'old.pem', '-days', '90', '-subj', '/CN=old.example', '-addext', 'subjectAltName=DNS:old.example')
}

async function listen(server) {
  server.on('tlsClientError', () => {})
  server.on('connection', (socket) => sockets.add(socket.on('close', () => sockets.delete(socket))))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return server.address().port
}

function close(server) {
  return new Promise((closed) => {
    server.close(closed)
  })
}

async function probe(host) {
  await page.goto(`${suite.console}/tls/probe`)
  await page.getByLabel('Server', { exact: true }).fill(host)
  await page.getByRole('button', { name: 'Probe', exact: true }).click()
}

const report = () => page.locator('[data-test=report]')
const certificates = () => page.locator('[data-test=certificate]')

describe('a probe', () => {
  test('shows the grade, the versions and suites, and the chain down to its root', async () => {
    await probe(`localhost:${ports.good}`)
    await report().waitFor({ timeout: PROBE_MS })
    assert.match(await report().locator('[data-test=grade]').innerText(), /A/)
    const told = await report().innerText()
    for (const part of [`localhost:${ports.good}`, 'TLS 1.3', 'h2, http/1.1', '127.0.0.1', 'X25519']) {
      assert.ok(told.toLowerCase().includes(part.toLowerCase()), part)
    }
    const protocols = await page.locator('[data-test=protocol]').allInnerTexts()
    assert.deepEqual(protocols.map((text) => /not spoken/.test(text)), [false, false, true, true, true])
    assert.ok(protocols[0].includes('TLS_AES_256_GCM_SHA384') && protocols[1].includes('TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'))

    const cards = await certificates().allInnerTexts()
    assert.equal(cards.length, 2)
    assert.ok(cards[0].includes('localhost') && /24 days left/.test(cards[0]) && cards[0].includes('by Test Intermediate'))
    assert.ok(cards[1].includes('Test Intermediate') && cards[1].includes('by Test Root'))
    await page.getByText('Trusted: the chain leads to', { exact: false }).waitFor()
    assert.match(await page.locator('[data-test=root]').innerText(), /Test Root/)
    await page.locator('[data-test=finding]').getByText('The certificate ends soon').first().waitFor()
    const download = page.waitForEvent('download')
    await certificates().first().getByText('Details').click()
    await certificates().first().getByRole('button', { name: 'Download PEM' }).click()
    assert.equal((await download).suggestedFilename(), 'localhost.pem')
    assert.equal(await readFile(await (await download).path(), 'utf8'), await readFile(join(folder, 'good.pem'), 'utf8'))
    await look(page, 'tls-good')
  })

  test('can be shown to somebody by its address, which connects to nothing by itself', async () => {
    const address = page.url()
    assert.ok(address.endsWith(`/tls/probe?host=localhost:${ports.good}`), address)
    await page.reload()
    await report().waitFor({ timeout: PROBE_MS })
    const other = await windows.window()
    await other.goto(`${suite.console}/#token=${await suite.token()}`)
    let asked = 0
    other.on('request', (request) => (asked += request.url().endsWith('Tls/Probe')))
    await other.goto(address)
    assert.equal(await other.getByLabel('Server', { exact: true }).inputValue(), `localhost:${ports.good}`)
    await other.waitForLoadState('networkidle')
    assert.equal(asked, 0)
    await other.getByRole('button', { name: 'Probe', exact: true }).click()
    await other.locator('[data-test=report]').waitFor({ timeout: PROBE_MS })
    await other.context().close()
  })

  test('says what is wrong with an old server, worst first', async () => {
    await probe(`127.0.0.1:${ports.old}`)
    await report().waitFor({ timeout: PROBE_MS })
    assert.match(await report().locator('[data-test=grade]').innerText(), /[TMF]$/)
    const findings = (await page.locator('[data-test=finding]').allInnerTexts()).join('\n')
    for (const name of ['The certificate signed itself', 'The certificate is for another name', 'TLS 1.0 is spoken', 'TLS 1.1 is spoken']) {
      assert.ok(findings.includes(name), `${name} in ${findings}`)
    }
    assert.match(await certificates().first().innerText(), /It signed itself\./)
    await page.getByText('leads to no root that is trusted').waitFor()
    const protocols = await page.locator('[data-test=protocol]').allInnerTexts()
    assert.deepEqual(protocols.map((text) => /not spoken/.test(text)), [true, false, false, false, true])
    await look(page, 'tls-old')
  })

  for (const [what, host, words] of [
    ['a port where nobody listens', () => `127.0.0.1:${ports.closed}`, 'Nobody listens there'],
    ['a server of something else', () => `127.0.0.1:${ports.ssh}`, 'What answers there does not speak TLS'],
  ]) {
    test(`tells ${what} in words`, async () => {
      await probe(host())
      await report().getByRole('alert').getByText(words, { exact: false }).first().waitFor({ timeout: PROBE_MS })
      assert.equal(await report().locator('[data-test=grade]').count(), 0)
    })
  }

  test('does not reach where it may not, nor what is no host', async () => {
    await probe('169.254.169.254')
    await page.getByText('That address may not be reached from here', { exact: false }).waitFor({ timeout: PROBE_MS })
    await probe('not a host')
    await page.getByText('The service does not accept that', { exact: false }).waitFor({ timeout: PROBE_MS })
  })
})

describe('certificates that are brought', () => {
  const open = () => page.goto(`${suite.console}/tls/inspect`)
  const read = () => page.getByRole('button', { name: 'Read', exact: true }).click()

  test('are read when they are pasted, and held against a name', async () => {
    await open()
    await page.getByLabel('Certificates as PEM').fill(chain)
    await page.getByLabel('Name to check against').fill('elsewhere.example')
    await read()
    await page.locator('[data-test=finding]').getByText('The certificate is for another name').waitFor()
    await page.getByLabel('Name to check against').fill('localhost')
    await read()
    await page.getByText('Trusted: the chain leads to', { exact: false }).waitFor()
    assert.equal(await certificates().count(), 2)
    await look(page, 'tls-inspect')
  })

  test('and when they are dropped as a file, PEM or DER', async () => {
    await open()
    await page.locator('[data-test=file]').setInputFiles(join(folder, 'old.pem'))
    await certificates().getByText('old.example').first().waitFor()
    assert.match(await page.getByLabel('Certificates as PEM').inputValue(), /BEGIN CERTIFICATE/)
    execFileSync('openssl', ['x509', '-in', 'root.pem', '-outform', 'DER', '-out', 'root.der'], { cwd: folder })
    await page.locator('[data-test=file]').setInputFiles(join(folder, 'root.der'))
    await certificates().getByText('Test Root').first().waitFor()
  })

  test('are refused in words where they are none; a private key does not leave the browser', async () => {
    await open()
    await page.getByLabel('Certificates as PEM').fill('-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----')
    await read()
    await page.getByText('The service does not accept that', { exact: false }).waitFor()
    let sent = 0
    page.on('request', (request) => (sent += request.url().endsWith('Tls/InspectCertificates')))
    await page.getByLabel('Certificates as PEM').fill(await readFile(join(folder, 'good.key'), 'utf8'))
    await read()
    await page.getByText('There is a private key in this', { exact: false }).waitFor()
    assert.equal(await page.getByLabel('Certificates as PEM').inputValue(), '')
    execFileSync('openssl', ['pkcs8', '-topk8', '-nocrypt', '-in', 'good.key', '-outform', 'DER', '-out', 'key.der'], { cwd: folder })
    await page.getByLabel('Certificates as PEM').fill('x')
    await page.locator('[data-test=file]').setInputFiles(join(folder, 'key.der'))
    await page.getByText('There is a private key in this', { exact: false }).waitFor()
    await writeFile(join(folder, 'large.pem'), Buffer.alloc(70_000, 'a'))
    await page.locator('[data-test=file]').setInputFiles(join(folder, 'large.pem'))
    await page.getByText('That is more than 64 KiB', { exact: false }).waitFor()
    assert.equal(sent, 0)
  })
})

test('watched hosts are listed with their days left, those that cannot be asked at the end', async () => {
  const watched = page.locator('[data-test=watched]')
  await waitUntil('both were looked at', 60_000, async () => {
    await page.goto(`${suite.console}/tls/certificates`)
    await page.waitForLoadState('networkidle')
    const texts = await watched.allInnerTexts()
    return texts.length >= 2 && texts.every((text) => text.includes('looked at'))
  })
  const texts = await watched.allInnerTexts()
  assert.ok(texts[0].includes(`localhost:${ports.good}`) && texts[0].includes('24 days left'), texts[0])
  assert.ok(texts.at(-1).includes(`127.0.0.1:${ports.closed}`) && texts.at(-1).includes('not reached'), texts.at(-1))
  await look(page, 'tls-watched')
  await watched.first().getByRole('link').click()
  await report().waitFor({ timeout: PROBE_MS })
})

test('a token without the scopes sees no probe, and may read certificates', async () => {
  const other = await windows.window()
  await other.goto(`${suite.console}/tls#token=${await suite.token('chat:subscribe:room/*')}`)
  await other.getByLabel('Certificates as PEM').waitFor()
  assert.deepEqual(await other.getByRole('navigation', { name: 'TLS and certificates' }).getByRole('link').allInnerTexts(), ['Read a certificate'])
  await other.context().close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      test(`${colorScheme}, ${locale}, ${width} px: complete, legible, and no wider than the screen`, async () => {
        const other = await windows.window({ width, height, colorScheme, locale })
        const name = (what) => `${what}-${width}-${colorScheme}-${locale.slice(0, 2)}`
        await other.goto(`${suite.console}/#token=${await suite.token()}`)
        await other.goto(`${suite.console}/tls/probe?host=127.0.0.1:${ports.old}`)
        await other.locator('main .btn-primary').click()
        await other.locator('[data-test=report]').waitFor({ timeout: PROBE_MS })
        await look(other, name('tls-probe'))
        await other.goto(`${suite.console}/tls/certificates`)
        await other.locator('[data-test=watched]').first().waitFor()
        await look(other, name('tls-certificates'))
        await other.context().close()
      })
    }
  }
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  assert.deepEqual(windows.errors, [])
})
