/** A store whose key is kept in shares: made, opened by strangers, rotated, shared anew and closed, all in the console. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillSignIn, look, panel, PASSWORD, setUp } from './people.mjs'
import { Suite, waitUntil } from './suite.mjs'
import { Windows } from './windows.mjs'

let suite, windows, keeper, stranger
/** Shares that were given out, the ones in effect last. */
const given = []

before(async () => {
  suite = await Suite.start({ PATCHBAY_CRYPTO_SERVICE__ROOT_KEY__SHARES: 'true' })
  windows = await Windows.open()
  keeper = await windows.window()
  stranger = await windows.window()
})

after(async () => {
  await windows?.end()
  await suite?.end()
})

const state = (page) => page.locator('[data-test=seal-state]')
const fact = (page, name) => page.locator('dl div', { hasText: name }).locator('dd')
const banner = (page) => page.locator('[data-test=sealed]')

async function bring(page, share, button = 'Bring the share') {
  const field = page.getByLabel('Share', { exact: true })
  assert.equal(await field.getAttribute('type'), 'password')
  await field.fill(share)
  await page.getByRole('button', { name: button }).click()
  // In one look: the last share takes the field away.
  await waitUntil('the field is empty', 15_000, () => field.evaluateAll((fields) => fields.every(({ value }) => value === '')))
}

async function sharesShown(page) {
  const shares = page.locator('[data-test=share]')
  await shares.first().waitFor()
  return shares.allInnerTexts()
}

test('a stranger is told on every page, and led to the seal', async () => {
  for (const path of ['/', '/rooms/lobby', '/sign-in']) {
    await stranger.goto(suite.console + path)
    await banner(stranger).waitFor()
  }
  await look(stranger, 'sealed-banner')
  await banner(stranger).getByRole('link').click()
  await stranger.waitForURL(`${suite.console}/seal`)
  await state(stranger).getByText('Not made yet', { exact: false }).waitFor()
  await stranger.getByText('patchbay seal init').waitFor()
  assert.equal(await stranger.getByRole('button', { name: 'Make the shares' }).count(), 0)
})

test('an operator makes the shares, which are shown once and printed one a sheet', async () => {
  await keeper.goto(`${suite.console}/seal#token=${await suite.token()}`)
  await keeper.getByLabel('Shares to make').fill('3')
  await keeper.getByLabel('Shares needed to open').fill('4')
  await keeper.getByText('More are needed than there are.').waitFor()
  await keeper.getByLabel('Shares needed to open').fill('2')
  await keeper.getByRole('button', { name: 'Make the shares' }).click()
  given.push(await sharesShown(keeper))
  assert.equal(new Set(given[0]).size, 3)
  for (const share of given[0]) assert.match(share, /^pbs1-/)
  await look(keeper, 'seal-shares')

  // What would be on paper is read while the dialog is open.
  await keeper.evaluate(() => {
    globalThis.print = () => (globalThis.sheets = [...document.querySelectorAll('.sheets section')].map((one) => one.textContent))
  })
  await keeper.getByRole('button', { name: 'Print share 2' }).click()
  const [sheet, ...others] = await keeper.evaluate(() => globalThis.sheets)
  assert.ok(sheet.includes(given[0][1]) && !sheet.includes(given[0][0]) && others.length === 0)
  await keeper.getByRole('button', { name: 'Print all' }).click()
  assert.equal((await keeper.evaluate(() => globalThis.sheets)).length, 3)

})

test('the shares stay on the page when it should be left without a word', async () => {
  const asked = new Promise((told) => keeper.once('dialog', (dialog) => dialog.dismiss().then(() => told(dialog.message()))))
  await keeper.getByRole('navigation').first().getByRole('link', { name: 'Chat' }).click()
  assert.match(await asked, /The new shares are shown only here/)
  assert.deepEqual(await sharesShown(keeper), given[0])
})

test('strangers bring enough of them, each from a browser of its own, and the service works', async () => {
  await bring(stranger, 'pbs1-nothing')
  await stranger.getByText('That is no share of this seal', { exact: false }).waitFor()
  await bring(stranger, given[0][2])
  await stranger.getByText('1 of 2 shares brought').waitFor()
  await look(stranger, 'seal-progress')
  const other = await windows.window({ locale: 'zh-CN' })
  await other.goto(`${suite.console}/seal`)
  await other.getByText('已提交 1 片，共需 2 片').waitFor()
  await other.getByLabel('分片', { exact: true }).fill(given[0][0])
  await other.getByRole('button', { name: '提交分片' }).click()
  await other.getByText('已解封：服务正常工作。').waitFor()
  await other.context().close()
  await state(stranger).getByText('Open: the service works.').waitFor()
  await state(keeper).getByText('Open: the service works.').waitFor()
})

test('shares that others made good meanwhile are shown until everybody has theirs, and then nowhere', async () => {
  assert.deepEqual(await sharesShown(keeper), given[0])
  await keeper.getByRole('button', { name: 'Everybody has theirs' }).click()
  const kept = await keeper.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.body.innerHTML]))
  assert.ok(!kept.includes('pbs1-a') && given[0].every((share) => !kept.includes(share)), 'no share is kept')
})

test('people sign in, and the root key is rotated after a question', async () => {
  await waitUntil('the link for the first account is printed', 5_000, () => suite.setupLink !== undefined)
  const page = await windows.window()
  await setUp(page, suite, 'ada')
  const origin = new URL(page.url()).origin
  await page.goto(`${origin}/seal`)
  const before = await fact(page, 'Generation of the root key').innerText()
  await page.getByRole('button', { name: 'Rotate the root key' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Rotate the root key' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate the root key' }).click()
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await waitUntil('there is a next generation', 10_000, async () => (await fact(page, 'Generation of the root key').innerText()) !== before)
  const left = fact(page, 'Rows under an older root key')
  await waitUntil('everything is wrapped anew', 60_000, async () => (await left.innerText()) === '0')
  await look(page, 'seal-open')
  await page.context().close()
})

test('the key is shared anew, and the old shares are worth nothing then', async () => {
  const rekey = panel(keeper, 'New shares')
  await rekey.getByRole('button', { name: 'Begin', exact: true }).click()
  await rekey.getByLabel('Shares to make').fill('2')
  await rekey.getByLabel('Shares needed to open').fill('2')
  await rekey.getByRole('button', { name: 'Make the shares' }).click()
  given.push(await sharesShown(keeper))
  await bring(keeper, given[0][0], 'Confirm the share')
  await keeper.getByText('That is no share of this seal', { exact: false }).waitFor()
  await bring(keeper, given[1][0], 'Confirm the share')
  await rekey.getByText('1 of 2 shares brought').waitFor()
  await bring(keeper, given[1][1], 'Confirm the share')
  await keeper.getByText('The new shares are in effect', { exact: false }).waitFor()
  assert.deepEqual(await sharesShown(keeper), given[1])
  await keeper.getByRole('button', { name: 'Everybody has theirs' }).click()
  assert.equal(await keeper.locator('[data-test=share]').count(), 0)
})

test('the seal is closed after a question, which every window notices, and opened with the new shares alone', async () => {
  await stranger.goto(`${suite.console}/rooms/lobby`)
  await keeper.getByRole('button', { name: 'Close the seal' }).click()
  await keeper.getByRole('dialog').getByRole('button', { name: 'Close the seal' }).click()
  await state(keeper).getByText('Sealed:', { exact: false }).waitFor()
  await fillSignInThere(stranger)
  await banner(stranger).waitFor()
  await stranger.goto(`${suite.console}/seal`)
  await bring(stranger, given[0][0])
  await stranger.getByText('That is no share of this seal', { exact: false }).waitFor()
  await bring(stranger, given[1][0])
  await stranger.getByText('1 of 2 shares brought').waitFor()
  await stranger.getByRole('button', { name: 'Forget what was brought' }).click()
  await stranger.getByText('0 of 2 shares brought').waitFor()
  for (const share of given[1]) await bring(stranger, share)
  await state(stranger).getByText('Open: the service works.').waitFor()
})

/** The sealed service is noticed by the first call that it refuses. */
async function fillSignInThere(page) {
  await page.goto(`${suite.console}/sign-in`)
  await fillSignIn(page, 'ada', PASSWORD)
  await page.getByText('The key service is sealed', { exact: false }).first().waitFor()
}

test('the audit log tells of all of it, and of no share', async () => {
  await keeper.goto(`${suite.console}/audit`)
  await keeper.getByLabel('Kind').selectOption('Seal')
  const records = keeper.locator('[data-test=record]')
  await waitUntil('only the seal is left', 5_000, async () => {
    const texts = await records.allInnerTexts()
    return texts.length > 0 && texts.every((text) => text.includes('seal.'))
  })
  const told = (await records.allInnerTexts()).join('\n')
  for (const operation of ['seal.initialize', 'seal.unseal', 'seal.rekey', 'seal.close']) assert.ok(told.includes(operation), operation)
  assert.ok(!told.includes('pbs1-'))
})

for (const colorScheme of ['light', 'dark']) {
  for (const locale of ['en-GB', 'zh-CN']) {
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      test(`${colorScheme}, ${locale}, ${width} px: complete, legible, and no wider than the screen`, async () => {
        const page = await windows.window({ width, height, colorScheme, locale })
        await page.goto(`${suite.console}/seal#token=${await suite.token()}`)
        await state(page).waitFor()
        await look(page, `seal-${width}-${colorScheme}-${locale.slice(0, 2)}`)
        await page.context().close()
      })
    }
  }
}

test('no window has logged an error, and nothing broke the content security policy', () => {
  assert.deepEqual(windows.errors, [])
})
