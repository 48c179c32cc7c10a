/** One tab at a time: Web Locks where the browser has them, which is on https and localhost, and a lease otherwise. */

const LEASE_STORED_AS = 'patchbay.turn'

/** A tab that was closed in its turn does not hold up the others for longer. */
const LEASE_MS = 20_000

/** Storage of one tab reaches the others within this time. */
const SETTLE_MS = 60

export async function inTurn(work: () => Promise<void>): Promise<void> {
  if (navigator.locks) await navigator.locks.request('patchbay.session', work)
  else await leased(work)
}

async function leased(work: () => Promise<void>): Promise<void> {
  const mine = `${Date.now()} ${Math.random()}`
  for (;;) {
    if (!held()) {
      localStorage.setItem(LEASE_STORED_AS, mine)
      await pause(SETTLE_MS)
      if (localStorage.getItem(LEASE_STORED_AS) === mine) break
    }
    await pause(SETTLE_MS * (1 + Math.random()))
  }
  try {
    await work()
  } finally {
    if (localStorage.getItem(LEASE_STORED_AS) === mine) localStorage.removeItem(LEASE_STORED_AS)
  }
}

function held(): boolean {
  const since = Number(localStorage.getItem(LEASE_STORED_AS)?.split(' ')[0])
  return Math.abs(Date.now() - since) < LEASE_MS
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
