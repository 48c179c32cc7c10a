/** Whether crypto-service has said that it is sealed: all calls notice, and one banner tells. */

import { Code, ConnectError, type Interceptor } from '@connectrpc/connect'
import { ref } from 'vue'
import { troubleOf } from './trouble'

/** What was heard last: from a call that was refused for it, or from the seal's own status. */
export const isSealed = ref(false)

export const noticeSeal: Interceptor = (next) => async (request) => {
  try {
    return await next(request)
  } catch (error) {
    // Most failures have another code, and are not read twice.
    if (ConnectError.from(error).code === Code.Unavailable && troubleOf(error).reason === 'SEALED')
      isSealed.value = true
    throw error
  }
}
