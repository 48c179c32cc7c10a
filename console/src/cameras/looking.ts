/** Does something again and again while somebody looks at the page: not in hidden tabs, and never twice at once. */

import { onScopeDispose, ref, watch, type Ref } from 'vue'

/** Whether the tab is shown. */
export function useShown(): Ref<boolean> {
  const shown = ref(document.visibilityState === 'visible')
  const changed = () => (shown.value = document.visibilityState === 'visible')
  document.addEventListener('visibilitychange', changed)
  onScopeDispose(() => document.removeEventListener('visibilitychange', changed))
  return shown
}

/** Works while `wanted`; what `work` returns is the time from the beginning of one turn to the next. */
export function useTurns(wanted: Ref<boolean>, work: (stop: AbortSignal) => Promise<number>): void {
  let current: AbortController | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  async function turn({ signal }: AbortController): Promise<void> {
    const began = performance.now()
    const everyMs = await work(signal)
    if (signal.aborted) return
    timer = setTimeout(() => current && void turn(current), Math.max(0, began + everyMs - performance.now()))
  }

  function end(): void {
    clearTimeout(timer)
    current?.abort()
    current = undefined
  }

  watch(
    wanted,
    (isWanted) => {
      end()
      if (!isWanted) return
      current = new AbortController()
      void turn(current)
    },
    { immediate: true },
  )
  onScopeDispose(end)
}
