/** What a scope looks like (docs/reference/scopes.md), so that a typing error is told before it is sent. */

import { t, type Key } from '../i18n'

const LONGEST = 256
const MOST_STARS = 8

/** Scopes that people often want, with the key of the words that say what they allow. */
export const COMMON: { scope: string; words: Key }[] = [
  { scope: 'admin', words: 'scopes.admin' },
  { scope: 'chat:subscribe:room/*', words: 'scopes.chat.subscribe' },
  { scope: 'chat:publish:room/*', words: 'scopes.chat.publish' },
  { scope: 'chat:history:room/*', words: 'scopes.chat.history' },
  { scope: 'chat:presence:room/*', words: 'scopes.chat.presence' },
  { scope: 'media:view:*', words: 'scopes.media.view' },
  { scope: 'media:read:*', words: 'scopes.media.read' },
  { scope: 'media:write:*', words: 'scopes.media.write' },
  { scope: 'console:read:overview', words: 'scopes.console' },
  { scope: 'accounts:read:*', words: 'scopes.accounts.read' },
  { scope: 'accounts:write:*', words: 'scopes.accounts.write' },
  { scope: 'keys:list:*', words: 'scopes.keys.list' },
  { scope: 'keys:use:*', words: 'scopes.keys.use' },
  { scope: 'keys:manage:*', words: 'scopes.keys.manage' },
  { scope: 'tls:probe:*', words: 'scopes.tls.probe' },
  { scope: 'tls:read:certificates', words: 'scopes.tls.read' },
  { scope: 'crypto:read:audit', words: 'scopes.audit' },
  { scope: 'crypto:seal:store', words: 'scopes.seal' },
  { scope: 'crypto:rotate:root', words: 'scopes.root' },
]

/** Scopes of a text: they are separated by white space. */
export function scopesIn(text: string): string[] {
  return [...new Set(text.split(/\s+/).filter((scope) => scope !== ''))]
}

/** What is wrong with a list of scopes, in words; nothing when they may be sent. */
export function scopesProblem(scopes: string[]): string | undefined {
  for (const scope of scopes) {
    const key = scopeProblem(scope)
    if (key) return t(key, { scope })
  }
  return undefined
}

export function scopeProblem(scope: string): Key | undefined {
  if (scope === 'admin') return undefined
  if (scope.length > LONGEST || scope.split('*').length > MOST_STARS + 1) return 'scopes.problem.long'
  const [service, action, ...resource] = scope.split(':')
  if (service === undefined || action === undefined || resource.join(':') === '') return 'scopes.problem.shape'
  if (![service, action].every((word) => /^[a-z0-9_-]+$/.test(word))) return 'scopes.problem.word'
  return undefined
}
