/** People chat through the console, with each other and with a page that speaks the classic protocol. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Suite, waitUntil } from './suite.mjs'
import { act, message, picture, say, Windows } from './windows.mjs'

let suite, windows, ada, bob

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
  ada = await windows.guest(suite.console, 'Ada')
  bob = await windows.guest(suite.console, 'Bob', { colorScheme: 'dark' })
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

test('two windows see each other come and talk', async () => {
  for (const [page, other] of [[ada, 'Bob'], [bob, 'Ada']]) {
    await page.getByRole('complementary', { name: 'People here' }).getByText(other, { exact: true }).waitFor()
  }
  await say(ada, 'Hello from Ada')
  await message(bob, 'Hello from Ada').waitFor()
  await say(bob, 'Hello from Bob')
  await message(ada, 'Hello from Bob').waitFor()
  assert.equal(await ada.locator('[data-test=draft]').count(), 0, 'nothing waits to be sent')
})

test('typing is shown while it lasts', async () => {
  await bob.locator('textarea').pressSequentially('so')
  await ada.locator('[data-test=typing]', { hasText: 'Bob is typing' }).waitFor()
  await bob.locator('textarea').fill('')
  await waitUntil('nobody is typing', 10_000, async () => (await ada.locator('[data-test=typing]').textContent()).trim() === '')
})

test('a message is read, and its sender sees by whom', async () => {
  await say(ada, 'Has anybody read this?')
  await message(ada, 'Has anybody read this?').locator('[data-test=mark]', { hasText: 'Read' }).waitFor()
  await message(ada, 'Has anybody read this?').locator('[data-test=readers]', { hasText: 'Bob' }).waitFor()
})

test('an edit, a reaction and a reply arrive', async () => {
  await act(ada, 'Hello from Ada', 'Edit')
  await say(ada, 'Good morning from Ada')
  await message(bob, 'Good morning from Ada').getByText('(edited)').waitFor()

  await act(bob, 'Good morning from Ada', 'React', 'React with 🎉')
  const reaction = message(ada, 'Good morning from Ada').getByRole('button', { name: '🎉 1 from Bob' })
  await reaction.click()
  await message(bob, 'Good morning from Ada').getByRole('button', { name: '🎉 2 from Bob, Ada' }).click()
  await message(ada, 'Good morning from Ada').getByRole('button', { name: '🎉 1 from Ada', exact: true }).waitFor()

  await act(bob, 'Good morning from Ada', 'Answer')
  await say(bob, 'Good morning to you')
  await message(ada, 'Good morning to you').getByRole('button', { name: 'Ada Good morning from Ada' }).waitFor()
})

test('a deletion takes the words away everywhere, and only from one’s own messages', async () => {
  await say(bob, 'This was a mistake')
  await message(ada, 'This was a mistake').hover()
  assert.equal(await message(ada, 'This was a mistake').getByRole('button', { name: 'Delete' }).count(), 0)
  await act(bob, 'This was a mistake', 'Delete', 'Delete')
  await ada.getByText('This message was deleted.').waitFor()
  assert.equal(await ada.getByText('This was a mistake').count(), 0)
})

test('what people write stays text', async () => {
  const nasty = '<img src=x onerror="document.title=1"> <b>bold</b> &amp; {{ 1 + 1 }}'
  await say(bob, nasty)
  const text = message(ada, 'onerror').locator('[data-test=text]')
  assert.ok((await text.textContent()).startsWith(nasty))
  assert.equal(await text.locator('img, b').count(), 0)
})

test('a room that guests may not enter says so in words, and rooms are remembered', async () => {
  await ada.getByRole('complementary', { name: 'Rooms' }).getByLabel('Add a room').fill('board')
  await ada.keyboard.press('Enter')
  await ada.getByText('You are not in board').waitFor()
  await ada.getByText('A token with more rights may be.').waitFor()
  await ada.goto(`${suite.console}/rooms/lobby`)
  await ada.getByRole('complementary', { name: 'Rooms' }).getByRole('link', { name: 'board' }).click()
  await ada.getByText('You are not in board').waitFor()
  await ada.getByRole('button', { name: 'Leave board' }).click()
  await message(ada, 'Good morning from Ada').waitFor()
})

test('history scrolls back by pages and keeps its place', async () => {
  // The gateway allows only so many messages at once, so they are sent as they are acknowledged.
  for (let n = 1; n <= 70; n += 1) {
    await say(ada, `line ${n}.`)
    await message(ada, `line ${n}.`).waitFor()
  }
  const carol = await windows.guest(suite.console, 'Carol')
  await message(carol, 'line 70.').waitFor()
  assert.equal(await message(carol, 'Good morning from Ada').count(), 0, 'the first page is not everything')
  const [id, place] = await carol.locator('[data-test=log]').evaluate((log) => {
    log.scrollTop = 200
    // The first line's own height changes when its sender turns out to have spoken before.
    const line = log.querySelectorAll('[data-test=message]')[1]
    return [line.id, line.getBoundingClientRect().top]
  })
  await message(carol, 'Good morning from Ada').waitFor({ state: 'attached' })
  const moved = (await carol.locator(`#${id}`).evaluate((line) => line.getBoundingClientRect().top)) - place
  assert.ok(Math.abs(moved) < 5, `the line that was read moved by ${moved} px`)
  await carol.context().close()
})

test('a page that speaks the classic protocol chats with them', async () => {
  const classic = await windows.window({ locale: 'zh-CN' })
  await classic.goto(`${pathToFileURL(join(import.meta.dirname, 'classic.html'))}#${suite.classic}`)
  await classic.getByText('已连接到WebSocket服务器').waitFor()
  await ada.getByRole('complementary', { name: 'People here' }).getByText('老同学').waitFor()
  await classic.getByLabel('消息').fill('大家好，我是老客户端')
  await classic.keyboard.press('Enter')
  await message(ada, '大家好，我是老客户端').waitFor()
  await say(ada, 'Welcome, old friend')
  await classic.getByText('Ada: Welcome, old friend').waitFor()
  await picture(classic, 'classic')
  await classic.context().close()
})

test('a restart of the gateway is told, survived, and loses nothing', async () => {
  await suite.stop()
  for (const page of [ada, bob]) await page.getByText('Reconnecting', { exact: false }).first().waitFor()
  await say(bob, 'Written while the gateway was away')
  await bob.getByText('Will be sent once the connection is back').waitFor()
  await picture(bob, 'reconnecting')
  await suite.run()
  for (const page of [ada, bob]) {
    await page.getByText('The connection is back.', { exact: false }).waitFor({ timeout: 60_000 })
    await message(page, 'Written while the gateway was away').waitFor()
    assert.equal(await message(page, 'Written while the gateway was away').count(), 1)
  }
  await message(ada, 'Good morning to you').waitFor({ state: 'attached' })
})

test('messages that were missed are recovered and counted', async () => {
  const dave = await windows.window()
  const door = await controlledDoor(dave)
  await dave.goto(`${suite.console}/rooms/lobby`)
  await dave.locator('input[autocomplete=nickname]').fill('Dave')
  await dave.keyboard.press('Enter')
  await message(dave, 'Written while the gateway was away').waitFor()
  door.close()
  await dave.getByText('Reconnecting', { exact: false }).first().waitFor()
  for (const text of ['missed one', 'missed two', 'missed three']) {
    await say(ada, text)
    await message(ada, text).waitFor()
  }
  door.open()
  await dave.getByText('3 missed messages were recovered').waitFor({ timeout: 30_000 })
  for (const text of ['missed one', 'missed two', 'missed three']) {
    assert.equal(await message(dave, text).count(), 1, text)
  }
  await dave.context().close()
})

test('a history that began anew is told', async () => {
  await suite.stop()
  await suite.forget()
  await suite.run()
  await ada.getByText('The history was loaded anew', { exact: false }).waitFor({ timeout: 60_000 })
  assert.equal(await message(ada, 'Good morning to you').count(), 0)
  await say(ada, 'A new beginning')
  await message(bob, 'A new beginning').waitFor()
})

test('no window has logged an error', () => assert.deepEqual(windows.errors, []))

/** Lets a test cut a window's WebSocket and keep it from coming back. */
async function controlledDoor(page) {
  let isOpen = true
  const passing = new Set()
  await page.routeWebSocket(/\/chat\/ws$/, (socket) => {
    if (!isOpen) return socket.close({ code: 3000, reason: 'the test keeps the door shut' })
    socket.connectToServer()
    passing.add(socket)
  })
  return {
    close() {
      isOpen = false
      for (const socket of passing) socket.close({ code: 3000, reason: 'the test shuts the door' })
    },
    open: () => (isOpen = true),
  }
}
