/** Accounts, sessions, keys and the audit log, as people meet them in the console. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { assertAccessible, assertFits, fillSignIn, focused, look, panel, PASSWORD, signIn, tabTo } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { message, picture, say, Windows } from './windows.mjs'

let suite, windows, page, origin

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  page = await windows.window()
  // The printed link names this machine as people do, and what the browser keeps belongs to that name.
  origin = new URL(suite.setupLink).origin
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

describe('the first account', () => {
  test('is told of where somebody would sign in', async () => {
    for (const path of ['/sign-in', '/settings', '/setup']) {
      await page.goto(origin + path)
      await page.getByText('There is no account yet', { exact: false }).waitFor()
    }
    await page.goto(origin)
    await page.locator('main').getByRole('link', { name: 'Sign in' }).click()
    await page.waitForURL(`${origin}/sign-in`)
  })

  test('is not made with a link that was never printed', async () => {
    await page.goto(`${origin}/#setup=guessed`)
    await page.getByLabel('Name', { exact: true }).fill('eve')
    await page.getByLabel('New password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Make the account' }).click()
    await page.getByText('This link is not good any more', { exact: false }).waitFor()
  })

  test('is made with the printed link, whose secret does not stay in the address; weak passwords are told', async () => {
    await page.goto(suite.setupLink)
    await page.waitForURL(`${origin}/setup`)
    await page.getByLabel('Name', { exact: true }).fill('Ada')
    await page.getByText('Only lower-case letters', { exact: false }).waitFor()
    await page.getByLabel('Name', { exact: true }).fill('ada')
    for (const [password, told] of [['short', 'it needs at least 10 characters'], ['aaaaaaaaaaaaaaa', 'one character repeated']]) {
      await page.getByLabel('New password').fill(password)
      await page.getByRole('button', { name: 'Make the account' }).click()
      await page.getByText(told, { exact: false }).waitFor()
    }
    await page.getByLabel('New password').fill(PASSWORD)
    await picture(page, 'setup')
    await page.getByRole('button', { name: 'Make the account' }).click()
    await page.getByRole('region', { name: 'crypto-service' }).getByText('Ready', { exact: true }).waitFor()
    assert.equal(page.url(), `${origin}/`)
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, history.state]))
    assert.ok(!kept.includes('eyJ') && !kept.includes(suite.setupLink.split('=')[1]), 'no token, no secret')
  })

  test('is made once', async () => {
    const other = await windows.window()
    await other.goto(suite.setupLink)
    await other.getByText('has been made already', { exact: false }).waitFor()
    await other.context().close()
  })
})

describe('a session', () => {
  test('survives a reload, and shows what the account allows', async () => {
    await page.reload()
    await page.getByTitle('You are ada', { exact: false }).waitFor()
    for (const name of ['Keys', 'TLS', 'Accounts', 'Audit log']) {
      await page.getByRole('navigation').getByRole('link', { name }).first().waitFor()
    }
  })

  test('is not used up by reloads and new tabs: they have, or are given, the token that is good', async () => {
    const second = await page.context().newPage()
    let renewed = 0
    for (const tab of [page, second]) tab.on('request', (request) => (renewed += request.url().endsWith('Tokens/Refresh')))
    await second.goto(`${origin}/account`)
    for (let n = 0; n < 5; n += 1) await Promise.all([page.reload(), second.reload()])
    for (const tab of [page, second]) await tab.getByTitle('You are ada', { exact: false }).waitFor()
    assert.equal(renewed, 0)
    await second.close()
  })

  test('ends in all tabs at once, and begins in all at once', async () => {
    const second = await page.context().newPage()
    await second.goto(`${origin}/account`)
    await second.getByRole('heading', { name: 'Your account' }).waitFor()
    await second.locator('main').getByRole('button', { name: 'Sign out' }).first().click()
    await page.getByRole('banner').getByRole('link', { name: 'Sign in' }).waitFor()
    assert.ok(!(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).includes('pbr_'))
    await fillSignIn(second, 'ada', 'not the password')
    await second.getByText('The name or the password is wrong', { exact: false }).waitFor()
    await fillSignIn(second, 'nobody', PASSWORD)
    await second.getByText('The name or the password is wrong', { exact: false }).waitFor()
    await fillSignIn(second, 'ada', PASSWORD)
    for (const tab of [second, page]) await tab.getByTitle('You are ada', { exact: false }).waitFor()
    await second.close()
  })

  test('is listed with its browser, and can be ended from another one', async () => {
    const elsewhere = await windows.window()
    await signIn(elsewhere, origin, 'ada')
    await page.goto(`${origin}/account`)
    const sessions = panel(page, 'Signed in')
    await sessions.getByText('this browser', { exact: true }).waitFor()
    const other = sessions.getByRole('listitem').filter({ hasNotText: 'this browser' })
    await other.first().waitFor()
    assert.match(await other.first().innerText(), /Chromium, Linux/)
    while ((await other.count()) > 0) {
      const before = await other.count()
      await other.first().getByRole('button', { name: 'Sign out' }).click()
      await waitUntil('it is gone', 5_000, async () => (await other.count()) < before)
    }
    await elsewhere.goto(`${origin}/account`)
    await elsewhere.getByText(/Sign in/).first().waitFor()
    await elsewhere.getByRole('banner').getByRole('link', { name: 'Sign in' }).waitFor()
    await elsewhere.context().close()
  })

  test('is left alone by a token that one tab is given, which shows what that allows', async () => {
    const tab = await page.context().newPage()
    await tab.goto(`${origin}/playground/hash#token=${await suite.token('chat:subscribe:room/*')}`)
    await tab.getByTitle('You are me', { exact: false }).waitFor()
    const links = await tab.getByRole('navigation').first().getByRole('link').allInnerTexts()
    assert.deepEqual(links, ['Overview', 'Chat', 'Cameras', 'Tools', 'Settings'])
    await tab.getByLabel('Message', { exact: true }).fill('abc')
    await tab.getByRole('button', { name: 'Hash the message' }).click()
    await tab.locator('[data-test=result]').waitFor()
    await page.reload()
    await page.getByTitle('You are ada', { exact: false }).waitFor()
    await tab.goto(`${origin}/settings`)
    await tab.getByRole('button', { name: 'Sign out' }).click()
    await tab.getByTitle('You are ada', { exact: false }).waitFor()
    await tab.close()
  })

  test('gives the chat its name', async () => {
    await page.goto(`${origin}/rooms/lobby`)
    await page.getByRole('textbox', { name: 'Message' }).waitFor()
    await say(page, 'Hello from an account')
    assert.match(await message(page, 'Hello from an account').innerText(), /ada/)
  })

  test('changes its password when it knows the old one', async () => {
    await page.goto(`${origin}/account`)
    const change = async (current, next) => {
      await page.getByLabel('Current password').fill(current)
      await page.getByLabel('New password').fill(next)
      await page.getByRole('button', { name: 'Change the password' }).click()
    }
    await change('wrong', `${PASSWORD} 2`)
    await page.getByText('The name or the password is wrong', { exact: false }).waitFor()
    await change(PASSWORD, `${PASSWORD} 2`)
    await page.getByText('The password was changed.').waitFor()
    await change(`${PASSWORD} 2`, PASSWORD)
    await page.getByText('The password was changed.').waitFor()
  })
})

describe('keys', () => {
  const make = async (name, type) => {
    await page.goto(`${origin}/keys`)
    await page.getByRole('button', { name: 'New key' }).click()
    await page.getByLabel('Name', { exact: true }).fill(name)
    if (type) await page.getByLabel('Type', { exact: true }).selectOption(type)
    await page.getByRole('button', { name: 'Make the key' }).click()
    await page.getByRole('heading', { name, exact: true }).waitFor()
  }
  const result = () => page.locator('[data-test=result]')

  test('are made, listed and rotated', async () => {
    await make('orders')
    await page.getByRole('button', { name: 'Rotate' }).click()
    await waitUntil('there are two versions', 5_000, async () => {
      return (await page.locator('[data-test=latest-version]').innerText()) === '2'
    })
    await panel(page, 'Versions').getByText('Version 1', { exact: true }).waitFor()
    await picture(page, 'key')
    await page.getByRole('link', { name: 'Keys' }).first().click()
    await page.getByRole('link', { name: 'orders' }).getByText('xaes256-gcm').waitFor()
  })

  test('encrypt what they decrypt, bound to associated data', async () => {
    await page.goto(`${origin}/playground/encrypt?key=orders`)
    await page.getByLabel('Plaintext', { exact: true }).fill('蓝色的信 🔑')
    await page.getByLabel('Associated data', { exact: true }).fill('invoice 7')
    await page.getByRole('button', { name: 'Encrypt', exact: true }).click()
    await page.getByText('Made with version 2').waitFor()
    await picture(page, 'encrypt')
    await page.getByRole('button', { name: 'Decrypt this' }).click()
    await page.getByRole('button', { name: 'Decrypt', exact: true }).click()
    await page.getByText('Version 2 of the key had encrypted it.').waitFor()
    assert.equal(await result().innerText(), '蓝色的信 🔑')
    await page.getByLabel('Associated data', { exact: true }).fill('invoice 8')
    await page.getByRole('button', { name: 'Decrypt', exact: true }).click()
    await page.getByText('Could not decrypt', { exact: false }).waitFor()
  })

  test('sign what they verify, and nothing else', async () => {
    for (const type of ['ed25519', 'ecdsa-p256', 'rsa-2048', 'ml-dsa-65']) {
      await make(`signer-${type}`, type)
      await page.getByRole('link', { name: 'Try it' }).click()
      if (type === 'rsa-2048') await page.goto(`${origin}/playground/sign?key=signer-rsa-2048`)
      await page.getByLabel('Message', { exact: true }).fill('the minutes')
      await page.getByRole('button', { name: 'Sign', exact: true }).click()
      await page.getByRole('button', { name: 'Verify this' }).click()
      await page.getByRole('button', { name: 'Verify', exact: true }).click()
      await page.getByText('It fits: version 1').waitFor()
      await page.getByLabel('Message', { exact: true }).fill('other minutes')
      await page.getByRole('button', { name: 'Verify', exact: true }).click()
      await page.getByText('It does not fit', { exact: false }).waitFor()
    }
  })

  test('show their public halves', async () => {
    await page.goto(`${origin}/keys/signer-ed25519`)
    await page.getByRole('button', { name: 'Public key', exact: false }).first().click()
    await page.getByText('-----BEGIN PUBLIC KEY-----', { exact: false }).waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download the public key of version 1' }).click()
    assert.equal((await download).suggestedFilename(), 'signer-ed25519-v1.pub.pem')
  })

  test('of the convergent type encrypt the same to the same', async () => {
    await make('lookup', 'aes256-gcm-siv-convergent')
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByLabel('Plaintext', { exact: true }).fill('ada@example.com')
    const ciphertexts = new Set()
    for (let n = 0; n < 2; n += 1) {
      const answered = page.waitForResponse((response) => response.url().endsWith('Data/Encrypt'))
      await page.getByRole('button', { name: 'Encrypt', exact: true }).click()
      await answered
      await result().waitFor()
      ciphertexts.add(await result().innerText())
    }
    assert.equal(ciphertexts.size, 1)
  })

  test('for agreement and encapsulation are made, and show what they are for', async () => {
    for (const [type, told] of [['x25519', 'HPKE'], ['ecdh-p256', 'HPKE'], ['ml-kem-768', 'FIPS 203']]) {
      await page.goto(`${origin}/keys`)
      await page.getByRole('button', { name: 'New key' }).click()
      await page.getByLabel('Type', { exact: true }).selectOption(type)
      await page.getByText(told, { exact: false }).waitFor()
      await make(`shared-${type}`, type)
      await page.getByRole('button', { name: 'Public key', exact: false }).first().waitFor()
      assert.equal(await page.getByRole('link', { name: 'Try it' }).count(), 0)
    }
  })

  test('ask an authority for a certificate, and show what it gave', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'patchbay-csr-'))
    const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    await page.goto(`${origin}/keys/signer-ecdsa-p256`)
    await page.getByRole('button', { name: 'CSR 1', exact: true }).click()
    const dialog = page.getByRole('dialog')
    assert.ok(await dialog.getByRole('button', { name: 'Make the request' }).isDisabled())
    await dialog.getByLabel('Subject').fill('CN')
    await dialog.getByRole('button', { name: 'Make the request' }).click()
    await dialog.getByText('The service does not accept that', { exact: false }).waitFor()
    await dialog.getByLabel('Subject').fill('CN=mail.example.com,O=Example')
    await dialog.getByLabel('DNS names and addresses').fill('mail.example.com, 192.0.2.1')
    await dialog.getByRole('button', { name: 'Make the request' }).click()
    const request = dialog.locator('[data-test=csr]')
    await request.waitFor()
    await picture(page, 'key-csr')
    await writeFile(join(folder, 'key.csr'), await request.innerText())
    await dialog.getByRole('button', { name: 'Close' }).click()
    assert.match(openssl('req', '-in', 'key.csr', '-noout', '-verify', '-text'), /DNS:mail\.example\.com, IP Address:192\.0\.2\.1/)

    openssl('req', '-x509', '-newkey', 'ed25519', '-noenc', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Their Authority', '-addext', 'basicConstraints=critical,CA:TRUE')
    openssl('x509', '-req', '-in', 'key.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '80', '-copy_extensions', 'copy', '-out', 'key.pem')
    await page.getByRole('button', { name: 'Certificate 1', exact: true }).click()
    await page.getByText('This version has no certificate yet.').waitFor()
    const set = async (pem) => {
      await page.getByLabel('Set the certificate').fill(pem)
      await page.getByRole('button', { name: 'Set the certificate' }).click()
    }
    const authority = await readFile(join(folder, 'ca.pem'), 'utf8')
    await set(authority)
    await page.getByText('The first certificate is not for the public key of this version.').waitFor()
    await set((await readFile(join(folder, 'key.pem'), 'utf8')) + authority)
    const card = page.locator('[data-test=certificate]').first()
    await card.getByText('by Their Authority', { exact: false }).waitFor()
    assert.match(await card.innerText(), /mail\.example\.com[^]*(79|80) days left/)
    assert.equal(await page.locator('[data-test=certificate]').count(), 2)
    await look(page, 'key-certificate')
    await page.getByRole('button', { name: 'Take it away' }).click()
    await page.getByText('This version has no certificate yet.').waitFor()
    await rm(folder, { recursive: true, force: true })
  })

  test('authenticate messages', async () => {
    await make('webhooks', 'hmac')
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByLabel('Message', { exact: true }).fill('{"event":1}')
    await page.getByRole('button', { name: 'Compute the HMAC' }).click()
    await result().waitFor()
    await page.getByRole('button', { name: 'Compare' }).click()
    await page.getByText('It fits', { exact: false }).waitFor()
    await page.getByLabel('HMAC to compare with', { exact: true }).fill('00'.repeat(32))
    await page.getByRole('button', { name: 'Compare' }).click()
    await page.getByText('It does not fit', { exact: false }).waitFor()
  })

  test('are disabled, enabled and, once that is allowed and the name typed, deleted', async () => {
    await page.goto(`${origin}/keys/webhooks`)
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByText('This key is disabled', { exact: false }).waitFor()
    await page.getByRole('button', { name: 'Enable again' }).click()
    await page.getByText('This key is disabled', { exact: false }).waitFor({ state: 'detached' })
    assert.ok(await page.getByRole('button', { name: 'Delete for good' }).isDisabled())
    await page.getByLabel('The key may be deleted.').check()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    await page.getByRole('button', { name: 'Delete for good' }).click()
    const question = page.getByRole('dialog')
    assert.ok(await question.getByRole('button', { name: 'Delete for good' }).isDisabled())
    await question.getByLabel('Type webhooks to confirm').fill('webhooks')
    await question.getByRole('button', { name: 'Delete for good' }).click()
    await page.waitForURL(`${origin}/keys`)
    await page.getByRole('link', { name: 'orders' }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'webhooks' }).count(), 0)
  })

  test('become exportable only after a question', async () => {
    await page.goto(`${origin}/keys/orders`)
    await page.getByRole('button', { name: 'Make exportable' }).click()
    await page.getByRole('dialog').getByText('This can never be taken back', { exact: false }).waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Make exportable' }).click()
    await page.getByText('may be given out. This cannot be taken back', { exact: false }).waitFor()
  })

  test('retire old versions, which are destroyed then', async () => {
    await page.goto(`${origin}/keys/orders`)
    await page.getByLabel('Oldest version that decrypts and verifies').selectOption('2')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('out of use').waitFor()
    await page.getByRole('button', { name: 'Destroy old versions' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Destroy old versions' }).click()
    await page.getByText('Version 1', { exact: true }).waitFor({ state: 'detached' })
  })
})

describe('accounts', () => {
  test('are made with groups and scopes, whose form is checked', async () => {
    await page.goto(`${origin}/accounts`)
    await page.getByRole('button', { name: 'New group' }).click()
    await page.getByLabel('Name of the group').fill('operators')
    await page.getByLabel('Scopes', { exact: true }).fill('console:read:overview')
    await page.getByRole('button', { name: 'Save' }).click()
    await panel(page, 'Groups').getByText('operators', { exact: true }).first().waitFor()
    await page.getByRole('button', { name: 'New account' }).click()
    await page.getByLabel('Name', { exact: true }).fill('bob')
    await page.getByLabel('Name shown to others').fill('Bob the Operator')
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.getByLabel('Scopes', { exact: true }).fill('keys:list')
    await page.getByText('keys:list is neither admin nor', { exact: false }).waitFor()
    await page.getByLabel('Scopes', { exact: true }).fill('keys:list:*\nchat:subscribe:room/*\nchat:publish:room/*')
    await page.getByRole('checkbox', { name: 'operators' }).check()
    await picture(page, 'account-new')
    await page.getByRole('button', { name: 'Make the account' }).click()
    await page.waitForURL(`${origin}/accounts/bob`)
    await page.getByRole('heading', { name: 'bob' }).waitFor()
    await page.getByRole('checkbox', { name: 'operators', checked: true }).waitFor()
  })

  test('see what they may, and are out when they are disabled', async () => {
    const bob = await windows.window()
    await bob.goto(`${origin}/sign-in`)
    await fillSignIn(bob, 'bob', PASSWORD)
    await bob.getByTitle('You are Bob the Operator', { exact: false }).waitFor()
    const links = await bob.getByRole('navigation').first().getByRole('link').allInnerTexts()
    assert.deepEqual(links, ['Overview', 'Chat', 'Cameras', 'Keys', 'Settings'])
    await bob.goto(`${origin}/accounts`)
    await bob.getByText('Your account does not allow that', { exact: false }).first().waitFor()
    await bob.goto(`${origin}/rooms/lobby`)
    await bob.getByRole('textbox', { name: 'Message' }).waitFor()

    await page.goto(`${origin}/accounts/bob`)
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByText('The account is disabled.').waitFor()
    // The chat is told at once, asks for another token and gets none.
    await bob.getByRole('banner').getByRole('link', { name: 'Sign in' }).waitFor()
    await bob.goto(`${origin}/sign-in`)
    await fillSignIn(bob, 'bob', PASSWORD)
    await bob.getByText('the account is locked or disabled', { exact: false }).waitFor()
    await page.getByRole('button', { name: 'Enable' }).click()
    await page.getByText('The account is enabled.').waitFor()
    await fillSignIn(bob, 'bob', PASSWORD)
    await bob.getByTitle('You are Bob the Operator', { exact: false }).waitFor()
    await bob.context().close()
  })

  test('get a new password and other rights, and the last administrator stays one', async () => {
    await page.goto(`${origin}/accounts/bob`)
    await page.getByLabel('New password').fill('another good password')
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.getByText('The password was set.').waitFor()
    await page.getByLabel('Scopes', { exact: true }).fill('keys:list:*')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    await page.goto(`${origin}/accounts/ada`)
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByText('This is the last account that may do everything', { exact: false }).waitFor()
  })

  test('have API keys, shown once and good until they are revoked', async () => {
    await page.goto(`${origin}/account`)
    const keys = panel(page, 'API keys')
    await keys.getByRole('button', { name: 'New API key' }).click()
    await keys.getByLabel('What it is for').fill('nightly job')
    await keys.getByRole('button', { name: 'Make the API key' }).click()
    const secret = await keys.locator('[data-test=secret]').innerText()
    assert.match(secret, /^pbk_/)
    await picture(page, 'api-key')
    const random = () =>
      fetch(`${suite.console}/crypto/v1/random`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: '{"size":16}',
      })
    assert.equal((await random()).status, 200)
    await keys.getByRole('button', { name: 'I have kept it' }).click()
    await page.reload()
    await keys.getByText('nightly job').waitFor()
    assert.equal(await keys.getByText(secret).count(), 0)
    await keys.getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await keys.getByText('There are no API keys.').waitFor()
    await waitUntil('it is refused', 5_000, async () => (await random()).status === 401)
  })

  test('have names and passwords for devices', async () => {
    await page.goto(`${origin}/account`)
    const devices = panel(page, 'Names and passwords for devices')
    await devices.getByRole('button', { name: 'New credential' }).click()
    await devices.getByLabel('User name').fill('sensor-1')
    await devices.getByRole('button', { name: 'Make the credential' }).click()
    assert.ok((await devices.locator('[data-test=secret]').innerText()).length >= 20)
    await devices.getByRole('button', { name: 'I have kept it' }).click()
    await devices.getByText('sensor-1').waitFor()
    await devices.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await devices.getByText('There are none.').waitFor()
  })

  test('are deleted when their name is typed', async () => {
    await page.goto(`${origin}/accounts/bob`)
    await page.getByRole('button', { name: 'Delete', exact: true }).first().click()
    await page.getByLabel('Type bob to confirm').fill('bob')
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.waitForURL(`${origin}/accounts`)
    await page.getByRole('link', { name: 'ada' }).first().waitFor()
    assert.equal(await panel(page, 'People and programs').getByText('bob', { exact: false }).count(), 0)
  })
})

describe('the audit log', () => {
  test('tells what was done and refused, by kind and by person, and that it is whole', async () => {
    await page.goto(`${origin}/audit`)
    const records = page.locator('[data-test=record]')
    await records.first().waitFor()
    await page.getByLabel('Kind').selectOption('Keys')
    await waitUntil('only keys are left', 5_000, async () => {
      const texts = await records.allInnerTexts()
      return texts.length > 0 && texts.every((text) => text.includes('key.') && !text.includes('api_key'))
    })
    const keys = (await records.allInnerTexts()).join('\n')
    for (const operation of ['key.create', 'key.rotate', 'key.trim', 'key.delete']) assert.ok(keys.includes(operation), operation)
    await page.getByLabel('Kind').selectOption('Everything')
    await page.getByLabel('Person').fill('nobody-at-all')
    await page.getByRole('button', { name: 'Find' }).click()
    await page.getByText('There are no records.').waitFor()
    await page.getByLabel('Person').fill('ada')
    await page.getByRole('button', { name: 'Find' }).click()
    await records.first().waitFor()
    if (await page.getByRole('button', { name: 'Load more' }).isVisible()) {
      const before = await records.count()
      await page.getByRole('button', { name: 'Load more' }).click()
      await waitUntil('more came', 5_000, async () => (await records.count()) > before)
    }
    await page.getByRole('button', { name: 'Verify the chains' }).click()
    await page.getByText(/Whole: \d+ records fit together/).waitFor()
    await picture(page, 'audit')
  })
})

test('a key is made with the keyboard alone', async () => {
  await page.goto(`${origin}/keys`)
  await tabTo(page, 'New key')
  await page.keyboard.press('Enter')
  await tabTo(page, 'Name')
  await page.keyboard.type('typed')
  await tabTo(page, 'Type')
  await page.keyboard.type('ed25519')
  await tabTo(page, 'Make the key')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'typed', exact: true }).waitFor()
  await page.getByText('ed25519', { exact: true }).waitFor()
  await tabTo(page, 'Make exportable')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  assert.equal(await focused(page), 'Make exportable', 'the focus is back where the question was asked')
})

test('forms and questions are accessible, too', async () => {
  for (const [path, ...buttons] of [
    ['keys', 'New key'],
    ['keys/typed', 'Make exportable'],
    ['accounts', 'New account', 'New group'],
    ['accounts/ada', 'New API key', 'New credential', 'Sign out everywhere'],
  ]) {
    await page.goto(`${origin}/${path}`)
    await page.locator('main h1').waitFor()
    await page.waitForLoadState('networkidle')
    for (const name of buttons) await page.getByRole('button', { name, exact: true }).first().click()
    await assertAccessible(page)
  }
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      test(`${colorScheme}, ${locale}, ${width} px: complete, legible, and no wider than the screen`, async () => {
        const other = await windows.window({ width, height, colorScheme, locale })
        const name = (what) => `${what}-${width}-${colorScheme}-${locale.slice(0, 2)}`
        await other.goto(`${origin}/sign-in`)
        await other.locator('input[autocomplete=username]').waitFor()
        await look(other, name('sign-in'))
        await other.locator('input[autocomplete=username]').fill('ada')
        await other.locator('input[autocomplete=current-password]').fill(PASSWORD)
        await other.keyboard.press('Enter')
        await other.waitForURL(`${origin}/`)
        const tools = ['encrypt', 'hash', 'encode'].map((tool) => `playground/${tool}`)
        for (const path of ['account', 'accounts', 'accounts/ada', 'keys', 'keys/orders', ...tools, 'audit']) {
          await other.goto(`${origin}/${path}`)
          await other.locator('main h1').waitFor()
          await other.waitForLoadState('networkidle')
          await look(other, name(path.replace('/', '-')))
        }
        await other.context().close()
      })
    }
  }
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  assert.deepEqual(windows.errors, [])
})
