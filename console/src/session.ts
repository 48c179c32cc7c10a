/**
 * Who the person is: an account whose session the browser keeps (`account/keeping.ts`), a token for this tab only, or a
 * guest with a name and a picture that the browser remembers. A token is never shown again and never leaves
 * sessionStorage but in calls to this origin.
 */

import { computed, reactive } from 'vue'

const TOKEN_STORED_AS = { given: 'patchbay.token', kept: 'patchbay.token.kept' }
const GUEST_STORED_AS = 'patchbay.guest'

/** Longest guest name, in characters. */
export const LONGEST_NAME = 32

/** Pictures that come with the console. */
export const AVATARS = Array.from({ length: 8 }, (_, index) => `/avatars/${index + 1}.svg`)

export interface Guest {
  name: string
  avatar: string
}

/** Where a token is from: given by hand or in a link, or got by the session that the browser keeps. */
export type Source = 'given' | 'kept'

interface Session {
  token: string | null
  source: Source
  guest: Guest | null
  /** The secret of a setup link, until the first account is made or the page goes. */
  setupSecret: string | null
}

export const session = reactive<Session>({ ...storedToken(), guest: storedGuest(), setupSecret: null })

/** What the token says of its holder, for display only; the services decide for themselves. */
export const claims = computed(() => (session.token === null ? null : readClaims(session.token)))

export interface Claims {
  subject: string
  name?: string
  picture?: string
  scopes: string[]
  /** Session that the token belongs to; absent for one that was made by hand. */
  sessionId?: string
  issuedAtMs?: number
  expiresAtMs?: number
}

/** Tells whether the token allows an action on anything at all, so that its page is worth showing. */
export function may(service: string, ...actions: string[]): boolean {
  const wanted = actions.map((action) => `${service}:${action}:`)
  return (claims.value?.scopes ?? []).some(
    (scope) => scope === 'admin' || wanted.some((prefix) => scope.startsWith(prefix)),
  )
}

/** Takes a token for this tab; sessionStorage lets it survive a reload. */
export function useToken(token: string, source: Source): void {
  Object.assign(session, { token, source })
  sessionStorage.setItem(TOKEN_STORED_AS[source], token)
}

export function dropToken(): void {
  sessionStorage.removeItem(TOKEN_STORED_AS[session.source])
  session.token = null
}

export function beGuest(guest: Guest): void {
  session.guest = guest
  localStorage.setItem(GUEST_STORED_AS, JSON.stringify(guest))
}

/** What an address's fragment brought; it must go from the address. */
export type Taken = 'nothing' | 'token' | 'setup'

/** Takes a fragment's `#token=…`, for this tab, or `#setup=…`, for the page where the first account is made. */
export function takeFragment(fragment: string): Taken {
  const parameters = new URLSearchParams(fragment.slice(1))
  const token = parameters.get('token')
  if (token !== null) {
    if (looksLikeToken(token)) useToken(token, 'given')
    return 'token'
  }
  const secret = parameters.get('setup')
  if (secret === null) return 'nothing'
  session.setupSecret = secret
  return 'setup'
}

/** Tells whether a text has a token's three parts. */
export function looksLikeToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)
}

export function readClaims(token: string): Claims | null {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0))
    return claimsOf(JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)
  } catch {
    return null
  }
}

function claimsOf(raw: Record<string, unknown>): Claims {
  return {
    subject: String(raw['sub'] ?? ''),
    scopes: String(raw['scope'] ?? '')
      .split(' ')
      .filter((one) => one !== ''),
    ...(typeof raw['name'] === 'string' ? { name: raw['name'] } : {}),
    ...(typeof raw['picture'] === 'string' ? { picture: raw['picture'] } : {}),
    ...(typeof raw['sid'] === 'string' ? { sessionId: raw['sid'] } : {}),
    ...(typeof raw['iat'] === 'number' ? { issuedAtMs: raw['iat'] * 1000 } : {}),
    ...(typeof raw['exp'] === 'number' ? { expiresAtMs: raw['exp'] * 1000 } : {}),
  }
}

function storedToken(): { token: string | null; source: Source } {
  const given = globalThis.sessionStorage?.getItem(TOKEN_STORED_AS.given)
  if (given) return { token: given, source: 'given' }
  return { token: globalThis.sessionStorage?.getItem(TOKEN_STORED_AS.kept) ?? null, source: 'kept' }
}

function storedGuest(): Guest | null {
  try {
    const raw = JSON.parse(globalThis.localStorage?.getItem(GUEST_STORED_AS) ?? 'null') as Partial<Guest> | null
    if (!raw || typeof raw.name !== 'string' || raw.name === '') return null
    return { name: raw.name.slice(0, LONGEST_NAME), avatar: AVATARS.find((known) => known === raw.avatar) ?? '' }
  } catch {
    return null
  }
}
