/** A session over time: tokens that end soon are renewed in turn, the chat goes on, and absences are outlived. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillSignIn, PASSWORD, setUp, signIn } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { message, PLAIN, say, Windows } from './windows.mjs'

/** Tokens live so short that every tab wants a new one every two seconds. */
const CHANGES = {
  PATCHBAY_CRYPTO_SERVICE__TOKENS__TTL: '3s',
  PATCHBAY_CRYPTO_SERVICE__ACCOUNTS__ATTEMPTS_PER_MINUTE: '5',
}

let suite, windows, first, second, origin
const calls = { refreshed: 0, refused: 0 }

before(async () => {
  suite = await Suite.start(CHANGES)
  windows = await Windows.open()
  first = await windows.window()
  origin = new URL(suite.setupLink).origin
  await setUp(first, suite, 'ada')
  second = await first.context().newPage()
  for (const tab of [first, second]) count(tab)
})

/** Counts a tab's renewals. */
function count(tab) {
  tab.on('response', (response) => {
    if (!response.url().endsWith('Tokens/Refresh')) return
    // A refusal has its status in the headers, for it has no message.
    if (response.headers()['grpc-status'] === undefined) calls.refreshed += 1
    else calls.refused += 1
  })
}

after(async () => {
  await windows?.end()
  await suite?.end()
})

test('two tabs renew one session in turn, and the chat never reconnects for it', async () => {
  let sockets = 0
  first.on('websocket', () => (sockets += 1))
  await first.goto(`${origin}/rooms/lobby`)
  await first.getByRole('textbox', { name: 'Message' }).waitFor()
  await second.goto(`${origin}/account`)
  await second.getByRole('heading', { name: 'Your account' }).waitFor()
  await say(first, 'before')
  await message(first, 'before').waitFor()
  calls.refreshed = 0
  await waitUntil('the token was renewed six times', 40_000, () => calls.refreshed >= 6)
  await say(first, 'after')
  await message(first, 'after').waitFor()
  assert.deepEqual([sockets, calls.refused], [1, 0])
  for (const tab of [first, second]) await tab.getByTitle('You are ada', { exact: false }).waitFor()
})

test('it outlives a restart of the service', async () => {
  await suite.stop()
  await suite.run()
  const before = calls.refreshed
  await waitUntil('the token was renewed again', 60_000, () => calls.refreshed > before)
  await first.goto(`${origin}/account`)
  await first.getByText('this browser', { exact: true }).waitFor()
  assert.equal(calls.refused, 0)
})

test('tabs take turns without https too, where browsers have no locks', async () => {
  const there = origin.replace('127.0.0.1', PLAIN)
  const third = await windows.window()
  await signIn(third, there, 'ada')
  const fourth = await third.context().newPage()
  for (const tab of [third, fourth]) count(tab)
  await fourth.goto(`${there}/account`)
  await fourth.getByText('this browser', { exact: true }).waitFor()
  assert.equal(await fourth.evaluate(() => isSecureContext), false)
  const before = calls.refreshed
  await waitUntil('the token was renewed there', 40_000, () => calls.refreshed >= before + 8)
  for (const tab of [third, fourth]) await tab.getByTitle('You are ada', { exact: false }).waitFor()
  assert.equal(calls.refused, 0)
  await third.context().close()
})

test('somebody who guesses is told when to try again', async () => {
  const stranger = await windows.window()
  await stranger.goto(`${origin}/sign-in`)
  await waitUntil('it is too much', 30_000, async () => {
    await fillSignIn(stranger, 'mallory', 'a wrong guess')
    await stranger.getByRole('alert').waitFor()
    return (await stranger.getByRole('alert').innerText()).includes('That was tried too often. Try again in')
  })
  await stranger.context().close()
})

test('while the service is away that is told in words', async () => {
  const stranger = await windows.window()
  await stranger.goto(`${origin}/sign-in`)
  await stranger.route('**/patchbay.crypto.v1.Tokens/SignIn', (route) => route.abort('connectionrefused'))
  await fillSignIn(stranger, 'ada', PASSWORD)
  await stranger.getByText('The service does not answer at the moment', { exact: false }).waitFor()
  await stranger.context().close()
})

test('a session that an operator ended is over in every tab, with a word of why', async () => {
  await second.goto(`${origin}/account`)
  await second.getByRole('button', { name: 'Sign out everywhere' }).first().click()
  await second.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click()
  for (const tab of [first, second]) await tab.getByRole('banner').getByRole('link', { name: 'Sign in' }).waitFor()
})
