/** Message text as pieces that are rendered as text or as links; nothing is ever interpreted as markup. */

export interface Piece {
  text: string
  href?: string
}

const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}，。；：！？）】》]/gi

export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let end = 0
  for (const match of text.matchAll(LINK)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index) })
    found.push(URL.canParse(match[0]) ? { text: match[0], href: match[0] } : { text: match[0] })
    end = match.index + match[0].length
  }
  if (end < text.length) found.push({ text: text.slice(end) })
  return found
}

/** Size of a text as JSON in UTF-8, which is what the gateway's payload limit counts. */
export function payloadBytes(text: string): number {
  return new TextEncoder().encode(JSON.stringify(text)).length
}
