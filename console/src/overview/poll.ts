/** Looks at the suite again and again while somebody looks at the page. */

import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { session } from '../session'
import { services } from './figures'
import { listNodes, type Snapshot, type Trouble } from './nodes'

const EVERY_MS = 3_000

/** Figures are differences over at least this long, so that they do not jump with the replicas' heartbeats. */
const RATE_OVER_MS = 9_000

export function useOverview() {
  const samples = shallowRef<Snapshot[]>([])
  const trouble = ref<Trouble>()
  const latest = computed(() => samples.value.at(-1))
  const shown = computed(() => (latest.value ? services(latest.value, samples.value[0]) : []))
  let timer: ReturnType<typeof setTimeout> | undefined
  let looking = 0

  async function look(): Promise<void> {
    clearTimeout(timer)
    const turn = ++looking
    const answer = await listNodes()
    // A newer look, or the page's end, has made this one worthless.
    if (turn !== looking) return
    if (typeof answer === 'string') trouble.value = answer
    else {
      trouble.value = undefined
      samples.value = recent([...samples.value, answer])
    }
    if (trouble.value !== 'no-token' && document.visibilityState === 'visible') timer = setTimeout(look, EVERY_MS)
  }

  function visibilityChanged(): void {
    if (document.visibilityState === 'visible') void look()
  }

  watch(
    () => session.token,
    () => {
      samples.value = []
      void look()
    },
    { immediate: true },
  )
  document.addEventListener('visibilitychange', visibilityChanged)
  onScopeDispose(() => {
    looking += 1
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', visibilityChanged)
  })

  return { latest, services: shown, trouble, look }
}

/** Keeps the samples that the rates are made of: the newest, back to the first one that is old enough. */
function recent(samples: Snapshot[]): Snapshot[] {
  const newest = samples.at(-1)?.atMs ?? 0
  const start = samples.findLastIndex(({ atMs }) => newest - atMs >= RATE_OVER_MS)
  return samples.slice(Math.max(start, 0))
}
