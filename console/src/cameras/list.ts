/** The list of cameras, kept as it is at the service: read whole now and then, and changed by what the service tells. */

import { onScopeDispose, ref, shallowRef, watch } from 'vue'
import { cameras } from '../calls/clients'
import { troubleOf, type Trouble } from '../calls/trouble'
import type { Camera, WatchCamerasResponse } from '../gen/patchbay/camera/v1/cameras_pb'
import { claims } from '../session'
import { useShown, useTurns } from './looking'

const PAGE = 500

/** More cameras than that are no list for a person. */
const MOST_PAGES = 10

/** Figures of cameras change all the time, which is not told one by one. */
const READ_EVERY_MS = 10_000
const WITHOUT_WATCH_MS = 3_000

export function useCameras() {
  const list = shallowRef<Camera[]>()
  const trouble = ref<Trouble>()
  const shown = useShown()
  let isWatching = false
  let watching = new AbortController()

  async function reload(): Promise<void> {
    try {
      list.value = await all()
      trouble.value = undefined
    } catch (error) {
      trouble.value = troubleOf(error)
    }
  }

  /** Where this fails, or the service ends it, the list is read more often until the next try. */
  async function follow({ signal }: AbortController): Promise<void> {
    isWatching = true
    try {
      for await (const change of cameras.watchCameras({}, { signal, timeoutMs: 0 })) {
        if (list.value) list.value = changed(list.value, change)
      }
    } catch {
      // The next turn tries again, and tells what is wrong if it is wrong there too.
    } finally {
      if (!signal.aborted) isWatching = false
    }
  }

  function unfollow(): void {
    watching.abort()
    watching = new AbortController()
    isWatching = false
  }

  useTurns(shown, async (stop) => {
    // First, so that what changes while the list is read is told.
    if (!isWatching) void follow(watching)
    stop.addEventListener('abort', unfollow, { once: true })
    await reload()
    return isWatching && !trouble.value ? READ_EVERY_MS : WITHOUT_WATCH_MS
  })
  watch(
    () => claims.value?.subject,
    () => {
      unfollow()
      list.value = undefined
      void follow(watching)
      void reload()
    },
  )
  onScopeDispose(unfollow)

  return { list, trouble, reload }
}

/** A list in which one camera has changed; it stays in the order of names. */
export function changed(list: Camera[], { camera, removed }: WatchCamerasResponse): Camera[] {
  if (!camera) return list
  const others = list.filter(({ name }) => name !== camera.name)
  if (removed) return others
  const after = others.findIndex(({ name }) => name > camera.name)
  return others.toSpliced(after < 0 ? others.length : after, 0, camera)
}

async function all(): Promise<Camera[]> {
  const found: Camera[] = []
  let pageToken = ''
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await cameras.listCameras({ pageSize: PAGE, pageToken })
    found.push(...answer.cameras)
    pageToken = answer.nextPageToken
    if (pageToken === '') break
  }
  return found
}
