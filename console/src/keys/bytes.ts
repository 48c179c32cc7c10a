/** Bytes as people write and read them: text, hexadecimal, Base64. */

export const FORMATS = ['text', 'hex', 'base64'] as const
export type Format = (typeof FORMATS)[number]

/** Bytes of a text, or nothing where it is not in the format. White space between digits does not matter. */
export function bytesOf(text: string, format: Format): Uint8Array | undefined {
  if (format === 'text') return new TextEncoder().encode(text)
  const dense = text.replace(/\s/g, '')
  return format === 'hex' ? fromHex(dense) : fromBase64(dense)
}

/** Text of bytes, or nothing where they are no text in UTF-8. */
export function textOf(bytes: Uint8Array, format: Format): string | undefined {
  if (format === 'hex') return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  if (format === 'base64') return toBase64(bytes)
  try {
    // A byte order mark is a part of the text here, not a sign of how to read it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** Standard and URL-safe alphabets, with padding or without. */
function fromBase64(text: string): Uint8Array | undefined {
  const bare = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/={1,2}$/, '')
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return undefined
  return Uint8Array.from(atob(bare), (char) => char.charCodeAt(0))
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}
