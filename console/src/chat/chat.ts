/** The one chat of the page: the client with the person's identity and the rooms that the browser remembers. */

import { computed, watch } from 'vue'
import { tokenRefused } from '../account/keeping'
import { claims, session } from '../session'
import { ChatClient } from './client'
import { isRoomName } from './protocol'
import { openWebSocket } from './websocket'

/** Room that everybody has. */
export const LOBBY = 'lobby'

const ROOMS_STORED_AS = 'patchbay.rooms'

/** Rooms remembered at most; the gateway has its own limit. */
const MOST_ROOMS = 50

export const chat = new ChatClient(openWebSocket, greeting)

/** Tells whether enough is known of the person to connect. */
export const mayConnect = computed(() => session.token !== null || session.guest !== null)

export const totalUnread = computed(() => [...chat.state.rooms.values()].reduce((sum, room) => sum + room.unread, 0))

/** Connects on the first visit to the chat; from then on it lives as long as the page. */
export function startChat(): void {
  if (!mayConnect.value || chat.state.phase.name !== 'idle') return
  for (const name of storedRooms()) chat.join(name)
  chat.start()
}

export function addRoom(name: string): void {
  chat.join(name)
  storeRooms()
}

export function leaveRoom(name: string): void {
  chat.leave(name)
  storeRooms()
}

// Another person, or a guest with another name: everything is read anew as that person.
watch([() => claims.value?.subject, () => session.guest], () => {
  if (chat.state.phase.name === 'idle') return
  chat.reset()
  startChat()
})

// The same person with a new token: the connection lives on with it.
watch(
  () => session.token,
  (token) => {
    if (token !== null) chat.takeToken(token)
  },
)

// A token that ended while the machine slept: where a session is kept, the next one comes by itself.
watch(
  () => chat.state.phase,
  (phase) => {
    if (phase.name === 'stopped' && phase.advice === 'new-token') tokenRefused()
  },
)

addEventListener('online', () => {
  if (chat.state.phase.name === 'waiting') chat.start()
})

function greeting() {
  const program = { name: 'patchbay-console', version: __APP_VERSION__ }
  if (session.token !== null) return { token: session.token, ...program }
  const { name, avatar } = session.guest ?? { name: '', avatar: '' }
  // The same guest as before, when the connection was lost.
  const before = chat.state.me?.session
  return { ...(name && { username: name }), ...(avatar && { avatar }), ...(before && { session: before }), ...program }
}

function storedRooms(): string[] {
  const words = (localStorage.getItem(ROOMS_STORED_AS) ?? '').split('\n').filter(isRoomName)
  return [...new Set([LOBBY, ...words])].slice(0, MOST_ROOMS)
}

function storeRooms(): void {
  localStorage.setItem(ROOMS_STORED_AS, [...chat.state.rooms.keys()].join('\n'))
}
