/** A call as a page uses it: what it brought, whether it is under way, and why it failed. */

import { reactive, ref, shallowRef, type Ref } from 'vue'
import { troubleOf, type Trouble } from './trouble'

/** Something the person does; a second press while it is under way does nothing. Tells whether it was done. */
export function useAction<A extends unknown[]>(work: (...args: A) => Promise<void>) {
  const busy = ref(false)
  const trouble: Ref<Trouble | undefined> = ref()

  async function run(...args: A): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    trouble.value = undefined
    try {
      await work(...args)
      return true
    } catch (error) {
      trouble.value = troubleOf(error)
      return false
    } finally {
      busy.value = false
    }
  }

  function forget(): void {
    trouble.value = undefined
  }

  return reactive({ busy, trouble, run, forget })
}

/** Something the page shows. An answer that a later question has overtaken is dropped; what was shown stays meanwhile. */
export function useLoad<T>(load: () => Promise<T>) {
  const value = shallowRef<T>()
  const busy = ref(true)
  const trouble: Ref<Trouble | undefined> = ref()
  let turn = 0

  async function reload(): Promise<void> {
    const mine = ++turn
    busy.value = true
    try {
      const answer = await load()
      if (mine !== turn) return
      value.value = answer
      trouble.value = undefined
    } catch (error) {
      if (mine === turn) trouble.value = troubleOf(error)
    } finally {
      if (mine === turn) busy.value = false
    }
  }

  void reload()
  return reactive({ value, busy, trouble, reload })
}
