/**
 * Who the person is: a token for this tab only, or a guest with a name and a picture that the browser remembers.
 * The token is never shown again and never leaves sessionStorage but in calls to this origin.
 */

import { computed, reactive } from 'vue'

const TOKEN_STORED_AS = 'patchbay.token'
const GUEST_STORED_AS = 'patchbay.guest'

/** Longest guest name, in characters. */
export const LONGEST_NAME = 32

/** Pictures that come with the console. */
export const AVATARS = Array.from({ length: 8 }, (_, index) => `/avatars/${index + 1}.svg`)

export interface Guest {
  name: string
  avatar: string
}

interface Session {
  token: string | null
  guest: Guest | null
}

export const session = reactive<Session>({ token: sessionStorage.getItem(TOKEN_STORED_AS), guest: storedGuest() })

/** What the token says of its holder, for display only; the services decide for themselves. */
export const claims = computed(() => (session.token === null ? null : readClaims(session.token)))

export interface Claims {
  subject: string
  name?: string
  scopes: string[]
  expiresAtMs?: number
}

export function signIn(token: string): void {
  session.token = token
  sessionStorage.setItem(TOKEN_STORED_AS, token)
}

export function signOut(): void {
  session.token = null
  sessionStorage.removeItem(TOKEN_STORED_AS)
}

export function beGuest(guest: Guest): void {
  session.guest = guest
  localStorage.setItem(GUEST_STORED_AS, JSON.stringify(guest))
}

/** Signs in with a fragment's `#token=…`; tells whether the fragment was one, and must go from the address. */
export function takeToken(fragment: string): boolean {
  const token = new URLSearchParams(fragment.slice(1)).get('token')
  if (token !== null && looksLikeToken(token)) signIn(token)
  return token !== null
}

/** Tells whether a text has a token's three parts. */
export function looksLikeToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)
}

function readClaims(token: string): Claims | null {
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
    ...(typeof raw['exp'] === 'number' ? { expiresAtMs: raw['exp'] * 1000 } : {}),
  }
}

function storedGuest(): Guest | null {
  try {
    const raw = JSON.parse(localStorage.getItem(GUEST_STORED_AS) ?? 'null') as Partial<Guest> | null
    if (!raw || typeof raw.name !== 'string' || raw.name === '') return null
    return { name: raw.name.slice(0, LONGEST_NAME), avatar: AVATARS.find((known) => known === raw.avatar) ?? '' }
  } catch {
    return null
  }
}
