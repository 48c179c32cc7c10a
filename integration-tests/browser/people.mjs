/** Signing in and looking at pages, as the tests of identity and keys do it. */

import axe from 'axe-core'
import assert from 'node:assert/strict'
import { picture } from './windows.mjs'

/** Good enough for the service. */
export const PASSWORD = 'correct horse battery'

/** Makes the first account with the link that the suite printed; the page is signed in then. */
export async function setUp(page, suite, name) {
  await page.goto(suite.setupLink)
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('New password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Make the account' }).click()
  await page.getByRole('link', { name: 'Accounts' }).first().waitFor()
}

export async function signIn(page, origin, name, password = PASSWORD) {
  await page.goto(`${origin}/sign-in`)
  await fillSignIn(page, name, password)
  await page.getByTitle(`You are ${name}`, { exact: false }).waitFor()
}

export async function fillSignIn(page, name, password) {
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.locator('main').getByRole('button', { name: 'Sign in' }).click()
}

/** The card with this title. */
export function panel(page, name) {
  return page.getByRole('region', { name, exact: true })
}

/** A picture of the whole page, and what a machine can tell of it. */
export async function look(page, name) {
  await assertFits(page)
  await assertAccessible(page)
  const height = await page.evaluate(() => {
    const main = document.querySelector('main')
    return window.innerHeight + main.scrollHeight - main.clientHeight
  })
  const { width, height: before } = page.viewportSize()
  await page.setViewportSize({ width, height })
  await picture(page, name)
  await page.setViewportSize({ width, height: before })
}

export async function assertFits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  assert.ok(over <= 0, `the page is ${over} px wider than the screen`)
  const wide = await page.evaluate(() => {
    const main = document.querySelector('main')
    return main.scrollWidth - main.clientWidth
  })
  assert.ok(wide <= 0, `the content is ${wide} px wider than its place`)
}

export async function assertAccessible(page) {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }),
  )
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('\n')}`)
  assert.deepEqual(told, [])
}

/** Name of what has the focus, as assistive technology has it. */
export function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement
    const label = element.labels?.[0]?.textContent
    return (element.getAttribute('aria-label') ?? label ?? element.textContent ?? '').trim()
  })
}

export async function tabTo(page, name) {
  for (let n = 0; n < 40; n += 1) {
    if ((await focused(page)) === name) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`Tab does not reach ${name}`)
}
