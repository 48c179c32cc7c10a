/** Asks before the page is left while something on it would be lost. */

import { onScopeDispose } from 'vue'
import { onBeforeRouteLeave, onBeforeRouteUpdate } from 'vue-router'

/** `question` gives the words while there is something to lose; the browser has its own words where the tab goes. */
export function useAskBeforeLeaving(question: () => string | false): void {
  const ask = () => {
    const words = question()
    return words === false || confirm(words)
  }
  const unload = (event: BeforeUnloadEvent) => {
    if (question() !== false) event.preventDefault()
  }

  onBeforeRouteLeave(ask)
  onBeforeRouteUpdate(ask)
  addEventListener('beforeunload', unload)
  onScopeDispose(() => removeEventListener('beforeunload', unload))
}
