/** Points of a small graph. No I/O. */

/** Room above the highest value and below the lowest, so that the line is not cut. */
const MARGIN = 2

/**
 * Lines through values that are known, newest at the right edge, `length` values across. The scale begins at 0: a graph that
 * makes a mountain of a thousandth misleads.
 */
export function lines(values: (number | undefined)[], length: number, width: number, height: number): string[] {
  const top = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE)
  const step = width / Math.max(length - 1, 1)
  const found: string[][] = [[]]
  values.forEach((value, index) => {
    if (value === undefined) {
      found.push([])
      return
    }
    const x = width - (values.length - 1 - index) * step
    const y = height - MARGIN - (Math.max(value, 0) / top) * (height - 2 * MARGIN)
    found.at(-1)?.push(`${x.toFixed(1)},${y.toFixed(1)}`)
  })
  return found.filter((points) => points.length > 0).map((points) => points.join(' '))
}

/** Lowest and highest of the values that are known. */
export function range(values: (number | undefined)[]): [number, number] | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length > 0 ? [Math.min(...known), Math.max(...known)] : undefined
}
