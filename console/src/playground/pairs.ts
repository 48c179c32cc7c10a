/** Names and values of a query, one pair a line: `name=value`, the first `=` parting them. */

export interface Pair {
  name: string
  value: string
}

export function pairsIn(text: string): Pair[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf('=')
      return at < 0 ? { name: line, value: '' } : { name: line.slice(0, at), value: line.slice(at + 1) }
    })
}

export function linesOf(pairs: Pair[]): string {
  return pairs.map(({ name, value }) => `${name}=${value}`).join('\n')
}
