/** How the seal is, for the banner and the page alike. It is asked for without a token, as a stranger may. */

import { createClient } from '@connectrpc/connect'
import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { isSealed } from '../calls/sealed'
import { transport } from '../calls/transport'
import { troubleOf, type Trouble } from '../calls/trouble'
import { Seal, type GetSealStatusResponse } from '../gen/patchbay/crypto/v1/seal_pb'

const EVERY_MS = 3_000

/** For what needs no token: a token that the sealed service cannot read must not be in the way. */
export const openSeal = createClient(Seal, transport())

export const status = shallowRef<GetSealStatusResponse>()
export const statusTrouble = ref<Trouble>()
let turn = 0

export async function lookAtSeal(): Promise<void> {
  const mine = ++turn
  try {
    const answer = await openSeal.getSealStatus({})
    if (mine === turn) heard(answer)
  } catch (error) {
    if (mine === turn) statusTrouble.value = troubleOf(error)
  }
}

/** Takes a status that another answer has brought. */
export function heard(answer: GetSealStatusResponse | undefined): void {
  if (!answer) return
  turn += 1
  status.value = answer
  statusTrouble.value = undefined
  isSealed.value = answer.sealed
}

/** Asks again and again while the component lives, is wanted and is seen. */
export function useSealWatch(wanted: Ref<boolean>): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false

  async function look(): Promise<void> {
    clearTimeout(timer)
    if (!wanted.value || document.visibilityState !== 'visible') return
    await lookAtSeal()
    clearTimeout(timer)
    if (!ended) timer = setTimeout(look, EVERY_MS)
  }

  const again = () => void look()
  watch(wanted, again, { immediate: true })
  document.addEventListener('visibilitychange', again)
  onScopeDispose(() => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', again)
  })
}
