/** Figures of replicas over time: what is counted becomes a rate, what is measured stays as it is. No I/O. */

import type { Replica, Snapshot } from './nodes'

export interface Figure {
  /** Name as the service's metrics have it, without `_total` for a rate. */
  name: string
  kind: 'rate' | 'gauge' | 'certificate'
  /** Per second for a rate, days for a certificate; absent until there are two samples of what is counted. */
  value?: number
}

/** Services with their replicas, ordered by name. */
export interface Service {
  name: string
  replicas: Replica[]
  figures: Figure[]
}

const COUNTED = '_total'

/** What follows is a listener, and the value when its certificate ends, in seconds since 1970. */
const CERTIFICATE = 'certificate_expires_'
const DAY_SECONDS = 86_400

/** Of the root key, which all replicas have in common: the page of the seal tells them. */
const ELSEWHERE = new Set(['root_generation', 'rows_to_rewrap'])

export function services(now: Snapshot, before: Snapshot | undefined): Service[] {
  const names = [...new Set(now.replicas.map(({ service }) => service))].sort()
  return names.map((name) => {
    const replicas = now.replicas.filter(({ service }) => service === name)
    return { name, replicas, figures: sum(replicas.map((replica) => figures(replica, now, before))) }
  })
}

/** A replica's figures; a counter that went back belongs to a new process and has no rate yet. */
export function figures(replica: Replica, now: Snapshot, before: Snapshot | undefined): Figure[] {
  const earlier = before?.replicas.find(({ id, service }) => id === replica.id && service === replica.service)
  const seconds = before ? (now.atMs - before.atMs) / 1000 : 0
  return Object.entries(replica.figures)
    .filter(([name]) => !ELSEWHERE.has(name))
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => {
      if (name.startsWith(CERTIFICATE)) {
        const days = Math.floor((value - now.atMs / 1000) / DAY_SECONDS)
        return { name: name.slice(CERTIFICATE.length), kind: 'certificate', value: days }
      }
      if (!name.endsWith(COUNTED)) return { name, kind: 'gauge', value }
      const last = earlier?.figures[name]
      const figure: Figure = { name: name.slice(0, -COUNTED.length), kind: 'rate' }
      return last === undefined || value < last || seconds <= 0
        ? figure
        : { ...figure, value: (value - last) / seconds }
    })
}

function sum(replicas: Figure[][]): Figure[] {
  const sums = new Map<string, Figure>()
  for (const figure of replicas.flat()) {
    const key = `${figure.kind} ${figure.name}`
    const known = sums.get(key)
    if (!known || known.value === undefined) sums.set(key, { ...figure })
    // Of several certificates the one that ends first counts.
    else if (figure.kind === 'certificate') known.value = Math.min(known.value, figure.value ?? known.value)
    else known.value += figure.value ?? 0
  }
  return [...sums.values()]
}
