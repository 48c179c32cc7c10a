/** The browser's WebSocket behind the small interface that `client.ts` drives. */

import type { OpenSocket } from './client'
import { SUBPROTOCOL } from './protocol'

/** Opens the chat gateway's native door on the page's own origin. */
export const openWebSocket: OpenSocket = (events) => {
  const url = new URL('/chat/ws', window.location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const socket = new WebSocket(url, SUBPROTOCOL)
  socket.onopen = () => events.opened()
  socket.onmessage = (event: MessageEvent<unknown>) => {
    if (typeof event.data === 'string') events.text(event.data)
  }
  socket.onclose = (event) => events.closed(event.code, event.reason)
  return {
    send: (text) => {
      // One that is closing has not said so yet; its end will report what was sent on it as lost.
      if (socket.readyState === WebSocket.OPEN) socket.send(text)
    },
    close: () => {
      // From here on the machine has moved on; what this socket still says must not reach it.
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    },
  }
}
