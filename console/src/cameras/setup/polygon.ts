/** Polygons over a picture: places are parts of its width and height, 0 to 1. No I/O. */

export interface Point {
  x: number
  y: number
}

export const FEWEST_CORNERS = 3
export const MOST_CORNERS = 32

/** Smaller ones were drawn by accident. */
const SMALLEST = 0.02

/** Thousandths are finer than any picture needs. */
function rounded(value: number): number {
  return Math.round(Math.min(Math.max(value, 0), 1) * 1_000) / 1_000
}

export function inside({ x, y }: Point): Point {
  return { x: rounded(x), y: rounded(y) }
}

export function withCornerAt(points: Point[], index: number, place: Point): Point[] {
  return points.map((point, at) => (at === index ? inside(place) : point))
}

/** The whole polygon elsewhere; it keeps its form at the edge. */
export function moved(points: Point[], by: Point): Point[] {
  const clamp = (wish: number, values: number[]) =>
    Math.min(Math.max(wish, -Math.min(...values)), 1 - Math.max(...values))
  const dx = clamp(
    by.x,
    points.map(({ x }) => x),
  )
  const dy = clamp(
    by.y,
    points.map(({ y }) => y),
  )
  return points.map(({ x, y }) => inside({ x: x + dx, y: y + dy }))
}

/** With a corner in the middle of the edge that follows this one. */
export function withCornerAfter(points: Point[], index: number): Point[] {
  const [from, to] = [points[index], points[(index + 1) % points.length]]
  if (!from || !to || points.length >= MOST_CORNERS) return points
  return points.toSpliced(index + 1, 0, inside({ x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 }))
}

export function withoutCorner(points: Point[], index: number): Point[] {
  return points.length > FEWEST_CORNERS ? points.toSpliced(index, 1) : points
}

/** The rectangle between two corners; nothing where it is too small to be meant. */
export function rectangle(a: Point, b: Point): Point[] | undefined {
  const [from, to] = [
    inside({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y) }),
    inside({ x: Math.max(a.x, b.x), y: Math.max(a.y, b.y) }),
  ]
  if (to.x - from.x < SMALLEST || to.y - from.y < SMALLEST) return undefined
  return [from, { x: to.x, y: from.y }, to, { x: from.x, y: to.y }]
}

/** Where one is put that nobody has drawn; each a little further, so that none hides another. */
export function placed(count: number): Point[] {
  const shift = (count % 5) * 0.06
  return rectangle({ x: 0.2 + shift, y: 0.2 + shift }, { x: 0.5 + shift, y: 0.5 + shift }) ?? []
}

export function middle(points: Point[]): Point {
  const sum = points.reduce(({ x, y }, point) => ({ x: x + point.x, y: y + point.y }), { x: 0, y: 0 })
  return { x: sum.x / points.length, y: sum.y / points.length }
}

/** For the `points` of an SVG polygon in a picture of that size. */
export function svgPoints(points: Point[], width: number, height: number): string {
  return points.map(({ x, y }) => `${(x * width).toFixed(1)},${(y * height).toFixed(1)}`).join(' ')
}
