/** Chromium windows, each a person of its own, that remember every error they logged. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const ROOT = join(import.meta.dirname, '../..')

/** Where screenshots go. */
export const PICTURES = join(ROOT, 'target/browser')

/** Longest wait for anything on a page, three times what is expected at most. */
const WAIT_MS = 10_000

/** A name of this machine that is no secure context, as the address of a machine in the next room is none. */
export const PLAIN = 'plain.test'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  `--host-resolver-rules=MAP ${PLAIN} 127.0.0.1`,
]

/** What Chromium logs by itself while a server is away; pages cannot prevent it. */
const WHILE_AWAY = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection to .* failed|status of 50[24]/

export class Windows {
  static async open(executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium') {
    const windows = new Windows()
    await mkdir(PICTURES, { recursive: true })
    windows.browser = await chromium.launch({ executablePath, args: FLAGS })
    windows.errors = []
    return windows
  }

  async window({ width = 1280, height = 800, ...options } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height }, locale: 'en-GB', ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(WAIT_MS)
    page.on('pageerror', (error) => this.errors.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' && !WHILE_AWAY.test(message.text())) this.errors.push(message.text())
    })
    return page
  }

  /** A window of a guest in the chat. */
  async guest(origin, name, options) {
    const page = await this.window(options)
    await page.goto(`${origin}/rooms/lobby`)
    await page.locator('input[autocomplete=nickname]').fill(name)
    await page.keyboard.press('Enter')
    await page.locator('textarea').waitFor()
    return page
  }

  async end() {
    await this.browser.close()
  }
}

export function picture(page, name) {
  return page.screenshot({ path: join(PICTURES, `${name}.png`) })
}

/** The message with this text, as a window shows it. */
export function message(page, text) {
  return page.locator('[data-test=message]', { has: page.locator('[data-test=text]', { hasText: text }) })
}

export async function say(page, text) {
  await page.locator('textarea').fill(text)
  await page.keyboard.press('Enter')
}

/** Presses one of a message's buttons as a person with a mouse does. */
export async function act(page, text, ...buttons) {
  await message(page, text).hover()
  for (const name of buttons) await message(page, text).getByRole('toolbar').getByRole('button', { name }).click()
}
