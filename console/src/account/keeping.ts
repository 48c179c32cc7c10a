/** The one session of this browser: signing in, out, and the keeper with the browser's own storage, locks and channels. */

import { createClient } from '@connectrpc/connect'
import { ref } from 'vue'
import { transport } from '../calls/transport'
import { troubleOf } from '../calls/trouble'
import { Accounts } from '../gen/patchbay/crypto/v1/accounts_pb'
import { Tokens, type Session } from '../gen/patchbay/crypto/v1/tokens_pb'
import { dropToken, readClaims, session, useToken } from '../session'
import { Keeper, type Granted, type Held, type Kept } from './keeper'
import { inTurn } from './turns'

const STORED_AS = 'patchbay.session'

/** What a token is taken to be good for where it does not say. */
const UNTOLD_LIFE_MS = 60_000

/** What tabs say to each other: a token, or nothing, which asks for one. */
type Word = { token: string; ageMs: number } | null

/** Other tabs answer within this time, or not at all. */
const ASK_MS = 100

/** Tokens that a service has refused are renewed before their time this often at most. */
const REFUSED_PAUSE_MS = 30_000

const open = transport()
const tokens = createClient(Tokens, open)
const accounts = createClient(Accounts, open)
const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel(STORED_AS) : undefined
let timer: ReturnType<typeof setTimeout> | undefined
let refusedAtMs = -Infinity

/** Identity of the session that the browser keeps; null when nobody has signed in with a password. */
export const keptSession = ref(read()?.sessionId ?? null)

/** Whether the session has ended by itself, so that the page can say why the person is a stranger again. */
export const sessionEnded = ref(false)

const keeper = new Keeper({
  read,
  write,
  inTurn,
  refresh,
  // The person is gone already; where this fails, the session ends when its time is up.
  discard: (refreshToken) => void tokens.signOut({ refreshToken }).catch(() => {}),
  look,
  ask: async () => {
    if (!channel) return
    channel.postMessage(null satisfies Word)
    await new Promise((done) => setTimeout(done, ASK_MS))
  },
  tell: (token, ageMs) => channel?.postMessage({ token, ageMs } satisfies Word),
  hold: (token) => {
    if (usesGivenToken()) return
    if (token === null) dropToken()
    else useToken(token, 'kept')
  },
  wake: (afterMs, work) => {
    clearTimeout(timer)
    timer = setTimeout(work, Math.min(afterMs, 2 ** 31 - 1))
  },
  now: () => Date.now(),
  random: Math.random,
})

/** Takes up the kept session; called once, by the entry, after the address's token was taken. */
export async function keepSession(): Promise<void> {
  addEventListener('storage', (event) => {
    if (event.key !== STORED_AS && event.key !== null) return
    keptSession.value = read()?.sessionId ?? null
    void keeper.changedElsewhere()
  })
  if (channel) {
    channel.onmessage = ({ data }: MessageEvent<Word>) => (data ? keeper.heard(data.token, data.ageMs) : keeper.asked())
  }
  addEventListener('online', () => void keeper.renewIfDue())
  document.addEventListener('visibilitychange', () => void keeper.renewIfDue())
  if (!usesGivenToken()) await keeper.resume(session.token, ageMs)
}

/** The token to use now, renewed where it has ended. */
export async function freshToken(): Promise<string | null> {
  if (!usesGivenToken()) await keeper.fresh()
  return session.token
}

/** A service has refused the token; a new one may be better. */
export function tokenRefused(): void {
  if (usesGivenToken() || Date.now() - refusedAtMs < REFUSED_PAUSE_MS) return
  refusedAtMs = Date.now()
  void keeper.renew()
}

export async function isSetupNeeded(): Promise<boolean> {
  return (await accounts.getSetup({})).isNeeded
}

export async function setUp(secret: string, name: string, password: string): Promise<void> {
  begin((await accounts.setup({ secret, name, password })).session)
  session.setupSecret = null
}

export async function signIn(name: string, password: string): Promise<void> {
  begin((await tokens.signIn({ name, password, device: deviceName(navigator.userAgent) })).session)
}

/** Ends a given token's use in this tab, or the session in all tabs and at the service. */
export async function signOut(): Promise<void> {
  if (usesGivenToken()) {
    dropToken()
    await keeper.resume(null, ageMs)
    return
  }
  sessionEnded.value = false
  const kept = keeper.end()
  if (kept) await tokens.signOut({ refreshToken: kept.refreshToken })
}

/** Tells whether this tab uses a token that was given to it by hand, which goes before the session. */
export function usesGivenToken(): boolean {
  return session.token !== null && session.source === 'given'
}

function begin(begun: Session | undefined): void {
  if (!begun) throw new Error('the service began no session')
  if (usesGivenToken()) dropToken()
  sessionEnded.value = false
  keeper.begin(grantedOf(begun))
}

async function refresh(refreshToken: string): Promise<Granted | 'ended'> {
  try {
    const { session: renewed } = await tokens.refresh({ refreshToken })
    if (!renewed) throw new Error('the service renewed no session')
    return grantedOf(renewed)
  } catch (error) {
    if (troubleOf(error).reason !== 'REFRESH_TOKEN_INVALID') throw error
    sessionEnded.value = true
    return 'ended'
  }
}

function grantedOf({ token, refreshToken, sessionId }: Session): Granted {
  return { token, refreshToken, sessionId }
}

function look(token: string): Held | null {
  const claims = readClaims(token)
  if (claims?.sessionId === undefined) return null
  const { issuedAtMs, expiresAtMs, sessionId } = claims
  const livesMs = issuedAtMs !== undefined && expiresAtMs !== undefined ? expiresAtMs - issuedAtMs : UNTOLD_LIFE_MS
  return { token, sessionId, livesMs }
}

/** How old a token of before a reload is, by this machine's clock, the only one that ran meanwhile. */
function ageMs(token: string): number {
  return Math.max(0, Date.now() - (readClaims(token)?.issuedAtMs ?? 0))
}

function read(): Kept | null {
  try {
    const raw = JSON.parse(globalThis.localStorage?.getItem(STORED_AS) ?? 'null') as Partial<Kept> | null
    if (typeof raw?.sessionId !== 'string' || typeof raw.refreshToken !== 'string') return null
    return { sessionId: raw.sessionId, refreshToken: raw.refreshToken }
  } catch {
    return null
  }
}

function write(kept: Kept | null): void {
  keptSession.value = kept?.sessionId ?? null
  if (kept) localStorage.setItem(STORED_AS, JSON.stringify(kept))
  else localStorage.removeItem(STORED_AS)
}

/** A browser as people know it, such as `Firefox, Windows`. */
export function deviceName(agent: string): string {
  const browser = [/(Edg)e?\//, /(Firefox)\//, /(OPR)\//, /(Chrom)/, /(Safari)\//].find((known) => known.test(agent))
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(agent)?.[1]
  const name = browser?.exec(agent)?.[1] ?? ''
  const NAMES: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', Chrom: 'Chromium' }
  return [NAMES[name] ?? name, system?.replace('Mac OS X', 'macOS')].filter(Boolean).join(', ')
}
