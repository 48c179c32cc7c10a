import { beforeEach, describe, expect, test } from 'vitest'
import { Keeper, RETRY, type Granted, type Held, type Kept, type Surroundings } from '../src/account/keeper'

const LIFE_MS = 900_000

/** Several tabs of one browser over one service. */
class Browser {
  stored: Kept | null = null
  now = 1_000_000
  /** Refresh tokens that were used, in order. */
  used: string[] = []
  /** Sessions that nobody kept. */
  discarded: string[] = []
  service: 'up' | 'away' | 'ended' = 'up'
  tabs: Tab[] = []
  private turn: Promise<void> = Promise.resolve()
  private made = 0

  grant(): Granted {
    this.made += 1
    return { token: `s1 t${this.made}`, refreshToken: `r${this.made}`, sessionId: 's1' }
  }

  open(): Tab {
    const tab = new Tab(this)
    this.tabs.push(tab)
    return tab
  }

  async refresh(refreshToken: string): Promise<Granted | 'ended'> {
    await Promise.resolve()
    if (this.service === 'away') throw new Error('away')
    if (this.service === 'ended' || this.used.includes(refreshToken)) return 'ended'
    this.used.push(refreshToken)
    return this.grant()
  }

  inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.turn.then(work)
    this.turn = mine.catch(() => {})
    return mine
  }
}

class Tab {
  token: string | null = null
  wakes: { afterMs: number; work: () => void }[] = []
  keeper: Keeper

  constructor(browser: Browser) {
    const around: Surroundings = {
      read: () => browser.stored,
      write: (kept) => (browser.stored = kept),
      inTurn: (work) => browser.inTurn(work),
      refresh: (refreshToken) => browser.refresh(refreshToken),
      discard: (refreshToken) => browser.discarded.push(refreshToken),
      look,
      ask: async () => {
        await Promise.resolve()
        browser.tabs.filter((tab) => tab !== this).forEach((tab) => tab.keeper.asked())
      },
      tell: (token, ageMs) =>
        browser.tabs.filter((tab) => tab !== this).forEach((tab) => tab.keeper.heard(token, ageMs)),
      hold: (token) => (this.token = token),
      wake: (afterMs, work) => this.wakes.push({ afterMs, work }),
      now: () => browser.now,
      random: () => 0,
    }
    this.keeper = new Keeper(around)
  }
}

function look(token: string): Held | null {
  const [sessionId] = token.split(' ')
  return sessionId ? { token, sessionId, livesMs: LIFE_MS } : null
}

let browser: Browser

beforeEach(() => {
  browser = new Browser()
})

describe('a session', () => {
  test('is renewed two minutes before its token ends', async () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    expect(tab.wakes.at(-1)?.afterMs).toBe(LIFE_MS - 120_000)
    await tab.keeper.renew()
    expect([tab.token, browser.stored?.refreshToken, browser.used]).toEqual(['s1 t2', 'r2', ['r1']])
  })

  test('survives a reload without a call while its token is good, and with one otherwise', async () => {
    browser.stored = browser.grant()
    const reloaded = browser.open()
    await reloaded.keeper.resume('s1 t1', () => 60_000)
    expect([reloaded.token, browser.used]).toEqual(['s1 t1', []])
    const slept = browser.open()
    await slept.keeper.resume('s1 t1', () => LIFE_MS + 1)
    expect([slept.token, browser.used]).toEqual(['s1 t1', []])
    browser.now += LIFE_MS
    const later = browser.open()
    await later.keeper.resume('s1 t1', () => LIFE_MS + 1)
    expect([later.token, browser.used]).toEqual(['s1 t2', ['r1']])
  })

  test('is shared with a new tab, whose token is as old as the one it got', async () => {
    const first = browser.open()
    first.keeper.begin(browser.grant())
    browser.now += 600_000
    const second = browser.open()
    await second.keeper.resume(null, () => 0)
    expect([second.token, browser.used]).toEqual(['s1 t1', []])
    expect(second.wakes.at(-1)?.afterMs).toBe(LIFE_MS - 120_000 - 600_000)
  })

  test('goes on with the newest token that any tab has', async () => {
    const [first, second] = [browser.open(), browser.open()]
    first.keeper.begin(browser.grant())
    await first.keeper.renew()
    second.keeper.heard('s1 t1', 60_000)
    expect([first.token, second.token]).toEqual(['s1 t2', 's1 t2'])
  })

  test('never uses a refresh token twice, however many tabs want a new one at once', async () => {
    const tabs = [browser.open(), browser.open(), browser.open()]
    tabs[0]?.keeper.begin(browser.grant())
    await Promise.all(tabs.map((tab) => tab.keeper.renew()))
    expect(browser.used).toEqual(['r1'])
    expect(tabs.map((tab) => tab.token)).toEqual(['s1 t2', 's1 t2', 's1 t2'])
  })

  test('begins in the other tabs too, and ends there', async () => {
    const [first, second] = [browser.open(), browser.open()]
    first.keeper.begin(browser.grant())
    await second.keeper.changedElsewhere()
    expect(second.token).toBe('s1 t1')
    expect(first.keeper.end()?.refreshToken).toBe('r1')
    await second.keeper.changedElsewhere()
    expect([first.token, second.token, browser.stored]).toEqual([null, null, null])
  })

  test('outlives an absence of the service, which is asked again less and less often', async () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    browser.service = 'away'
    for (const pause of [1, 2, 4]) {
      await tab.keeper.renew()
      expect(tab.wakes.at(-1)?.afterMs).toBe((RETRY.firstMs * pause) / 2)
    }
    expect([tab.token, browser.stored?.refreshToken]).toEqual(['s1 t1', 'r1'])
    browser.service = 'up'
    await tab.keeper.renew()
    expect(tab.token).toBe('s1 t2')
  })

  test('is forgotten when the service has ended it', async () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    browser.service = 'ended'
    await tab.keeper.renew()
    expect([tab.token, browser.stored]).toEqual([null, null])
  })

  test('that was signed out meanwhile does not come back with a late answer', async () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    const renewing = tab.keeper.renew()
    await Promise.resolve()
    tab.keeper.end()
    await renewing
    expect([tab.token, browser.stored, browser.discarded]).toEqual([null, null, ['r2']])
  })

  test('that ended while a tab was closed does not live on in its token', async () => {
    const tab = browser.open()
    tab.token = 's1 t1'
    await tab.keeper.resume(tab.token, () => 0)
    expect(tab.token).toBeNull()
  })

  test('gives a call a token that is still good, and renews one that has ended', async () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    await tab.keeper.fresh()
    expect(browser.used).toEqual([])
    browser.now += LIFE_MS
    await tab.keeper.fresh()
    expect([tab.token, browser.used]).toEqual(['s1 t2', ['r1']])
  })

  test('takes no token of another session', () => {
    const tab = browser.open()
    tab.keeper.begin(browser.grant())
    tab.keeper.heard('s2 t9', 0)
    tab.keeper.heard('', 0)
    expect(tab.token).toBe('s1 t1')
  })
})
