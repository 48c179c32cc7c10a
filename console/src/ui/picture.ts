/** What stands for a person: a picture from a place that may be shown, or initials on a colour of their own. */

/** The picture's address if it is of this origin, or a `data:` or `https:` one; people write anything there. */
export function shownPicture(address: string, origin: string): string | undefined {
  if (/^data:image\//i.test(address)) return address
  // A relative path was meant for the page that its sender uses, not for this one.
  if (!/^(\/(?!\/)|https?:)/i.test(address)) return undefined
  if (!URL.canParse(address, origin)) return undefined
  const url = new URL(address, origin)
  return url.origin === origin || url.protocol === 'https:' ? url.href : undefined
}

/** One or two letters; one character for names without spaces in scripts that write so. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]]
  return letters.map((word) => [...(word ?? '?')][0]?.toUpperCase()).join('')
}

/** A hue from 0 to 359 that stays with a user. */
export function hueOf(user: string): number {
  let hash = 0
  for (const char of user) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0
  return hash % 360
}
