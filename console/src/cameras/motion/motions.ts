/** What moved before a camera, kept in step with the service: read once for a span, and then only what is new. */

import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt'
import { ref, shallowRef, watch, type Ref } from 'vue'
import { cameras } from '../../calls/clients'
import { troubleOf, type Trouble } from '../../calls/trouble'
import type { Motion } from '../../gen/patchbay/camera/v1/cameras_pb'
import { useShown, useTurns } from '../looking'
import { merged, type Event } from './timeline'

const EVERY_MS = 3_000
const PAGE = 500

/** More marks than that are no line for a person; the service keeps a thousand of each camera unless told otherwise. */
const MOST_PAGES = 10

export interface Seen extends Event {
  zones: string[]
  score: number
  hasPicture: boolean
}

export function seenOf({ id, began, ended, zones, score, hasPicture }: Motion): Seen {
  return {
    ...{ id, zones, score, hasPicture, beganMs: began ? timestampMs(began) : 0 },
    ...(ended ? { endedMs: timestampMs(ended) } : {}),
  }
}

/** From when something that was read may have changed since: from the oldest that goes on, else from the newest. */
export function changedFrom(seen: Seen[]): number | undefined {
  const open = seen.filter(({ endedMs }) => endedMs === undefined).map(({ beganMs }) => beganMs)
  return open.length > 0 ? Math.min(...open) : seen[0]?.beganMs
}

export function useMotions(camera: Ref<string>, fromMs: Ref<number>) {
  const seen = shallowRef<Seen[]>()
  const trouble = ref<Trouble>()
  /** From when on all is known. */
  let knownFromMs = Infinity
  let turn = 0

  async function read(): Promise<void> {
    const mine = ++turn
    const name = camera.value
    const wantedMs = fromMs.value
    const isKnown = wantedMs >= knownFromMs && seen.value !== undefined
    const askedMs = isKnown ? (changedFrom(seen.value ?? []) ?? wantedMs) : wantedMs
    try {
      const told = await list(name, askedMs)
      if (mine !== turn || name !== camera.value) return
      seen.value = merged(isKnown ? (seen.value ?? []) : [], told, Math.min(knownFromMs, wantedMs))
      knownFromMs = Math.min(knownFromMs, wantedMs)
      trouble.value = undefined
    } catch (error) {
      if (mine === turn) trouble.value = troubleOf(error)
    }
  }

  useTurns(useShown(), async () => {
    await read()
    return EVERY_MS
  })
  watch(camera, () => {
    seen.value = undefined
    knownFromMs = Infinity
    void read()
  })
  watch(fromMs, (from) => {
    if (from < knownFromMs) void read()
  })

  return { seen, trouble, read }
}

async function list(name: string, fromMs: number): Promise<Seen[]> {
  const found: Seen[] = []
  let pageToken = ''
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const request = { name, from: timestampFromMs(Math.max(0, Math.floor(fromMs))), pageSize: PAGE, pageToken }
    const answer = await cameras.listMotion(request)
    found.push(...answer.motions.map(seenOf))
    pageToken = answer.nextPageToken
    if (pageToken === '') break
  }
  return found
}
