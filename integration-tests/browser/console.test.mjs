/** The console as an operator, a keyboard, a screen reader, a small screen and a Chinese reader meet it. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { assertAccessible, assertFits, focused, tabTo } from './people.mjs'
import { Suite } from './suite.mjs'
import { message, picture, say, Windows } from './windows.mjs'

let suite, windows

before(async () => {
  suite = await Suite.start()
  windows = await Windows.open()
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

describe('an operator', () => {
  test('is told how to get in', async () => {
    const page = await windows.window()
    await page.goto(suite.console)
    await page.locator('main').getByRole('link', { name: 'Sign in' }).click()
    await page.getByText('With a token').click()
    await page.getByText('patchbay token create --sub me --scope admin').waitFor()
    await page.context().close()
  })

  test('gets in with a link, whose token does not stay in the address, and sees what runs', async () => {
    const page = await windows.window()
    await page.goto(`${suite.console}/#token=${await suite.token()}`)
    for (const service of ['camera-relay', 'chat-gateway', 'console', 'crypto-service']) {
      await page.getByRole('region', { name: service }).getByText('Ready', { exact: true }).waitFor()
    }
    await page.getByText('4 of 4').waitFor()
    assert.equal(page.url(), `${suite.console}/`)
    assert.ok(!(await page.evaluate(() => JSON.stringify([localStorage, history.state]))).includes('eyJ'))
    await picture(page, 'overview')
    await page.context().close()
  })

  test('may open such a link in a tab that is here already', async () => {
    const page = await windows.window()
    await page.goto(`${suite.console}/settings`)
    await page.goto(`${suite.console}/settings#token=${await suite.token()}`)
    await page.getByText('Signed in as').waitFor()
    await page.waitForURL(`${suite.console}/settings`)
    await page.context().close()
  })

  test('gets in by pasting, is told of a token that is none or not valid, and gets out', async () => {
    const page = await windows.window()
    await page.goto(`${suite.console}/settings`)
    const submit = async (token) => {
      if (!(await page.getByRole('textbox', { name: 'Token' }).isVisible())) await page.getByText('With a token').click()
      await page.getByRole('textbox', { name: 'Token' }).fill(token)
      await page.getByRole('button', { name: 'Use the token' }).click()
    }
    await submit('nonsense')
    await page.getByText('That is not a token').waitFor()
    await submit('eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.AAAA')
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText('The token is not valid here').waitFor()
    await page.getByRole('link', { name: 'Chat' }).first().click()
    await page.getByText('does not accept your token', { exact: false }).or(page.getByText('does not let you in', { exact: false })).waitFor()
    await page.goto(`${suite.console}/settings`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await submit(await suite.token())
    await page.getByText('Signed in as').waitFor()
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText('4 of 4').waitFor()
    await page.context().close()
  })
})

test('everything in the chat can be done with the keyboard alone', async () => {
  const page = await windows.window()
  await page.goto(suite.console)
  await page.keyboard.press('Tab')
  assert.equal(await focused(page), 'Skip to content')
  const order = []
  for (let n = 0; n < 7; n += 1) {
    await page.keyboard.press('Tab')
    order.push(await focused(page))
  }
  assert.deepEqual(order.slice(0, 6), ['Patchbay', 'Overview', 'Chat', 'Cameras', 'Settings', '切换到中文'])

  await page.goto(`${suite.console}/rooms/lobby`)
  await tabTo(page, 'Your name')
  await page.keyboard.type('Kay')
  await page.keyboard.press('Enter')
  await page.locator('textarea').waitFor()
  await tabTo(page, 'Message')
  await page.keyboard.type('typed')
  await page.keyboard.press('Enter')
  await message(page, 'typed').waitFor()
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('End')
  await page.keyboard.type(' and edited')
  await page.keyboard.press('Enter')
  await message(page, 'typed and edited').getByText('(edited)').waitFor()

  await page.keyboard.press('Shift+Tab')
  for (let n = 0; n < 10 && !(await focused(page)).startsWith('Kay at'); n += 1) await page.keyboard.press('Shift+Tab')
  assert.ok((await focused(page)).startsWith('Kay at'), 'the log is reached backwards from the composer')
  await page.keyboard.press('ArrowUp')
  await tabTo(page, 'React')
  await page.keyboard.press('Enter')
  await tabTo(page, 'React with 👍')
  await page.keyboard.press('Enter')
  await message(page, 'typed and edited').getByRole('button', { name: '👍 1 from Kay' }).waitFor()
  await page.context().close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      test(`${colorScheme}, ${locale}, ${width} px: complete, legible, and no wider than the screen`, async () => {
        const language = locale.slice(0, 2)
        const page = await windows.window({ width, height, colorScheme, locale })
        const name = (what) => `${what}-${width}-${colorScheme}-${language}`
        const look = async (what) => {
          await assertFits(page)
          await assertAccessible(page)
          await picture(page, name(what))
        }
        await page.goto(`${suite.console}/#token=${await suite.token()}`)
        await page.getByRole('region', { name: 'chat-gateway' }).waitFor()
        assert.equal(await page.evaluate(() => document.documentElement.lang.slice(0, 2)), language)
        await look('overview')
        await page.goto(`${suite.console}/settings`)
        await look('settings')
        await page.goto(`${suite.console}/rooms/lobby`)
        await page.locator('textarea').waitFor()
        await say(page, `${'long'.repeat(60)} https://example.org/${'x'.repeat(200)}`)
        await say(page, '你好，世界')
        await message(page, '你好，世界').last().hover()
        await look('chat')
        await page.context().close()
      })
    }
  }
}

test('language and appearance are switched and remembered', async () => {
  const page = await windows.window()
  await page.goto(suite.console)
  await page.getByRole('button', { name: '切换到中文' }).click()
  await page.getByRole('heading', { name: '总览' }).waitFor()
  const appearance = page.getByRole('button', { name: '将外观改为' })
  await appearance.click()
  await appearance.click()
  await page.reload()
  await page.getByRole('heading', { name: '总览' }).waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')
  await page.context().close()
})

test('no window has logged an error, and nothing broke the content security policy', () => {
  // The token that is not valid was refused by the gateway as it should be.
  assert.deepEqual(windows.errors, [])
})
