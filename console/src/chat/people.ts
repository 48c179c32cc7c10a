/** People as shown: one for each user, however many windows they have open. */

import type { Member } from './protocol'
import type { Room } from './room'

export interface Person {
  user: string
  name: string
  avatar: string
  windows: number
}

export function people(members: Member[], self: string | undefined): Person[] {
  const byUser = new Map<string, Person>()
  for (const { user, name, avatar } of members) {
    const known = byUser.get(user)
    byUser.set(user, { user, name, avatar, windows: (known?.windows ?? 0) + 1 })
  }
  return [...byUser.values()].sort((a, b) => rank(a, self) - rank(b, self) || a.name.localeCompare(b.name))
}

/** Somebody's name and picture as far as the room knows them. */
export function whois(room: Room, user: string): Person | undefined {
  const member =
    room.members.find((one) => one.user === user) ?? room.messages.findLast((one) => one.from.user === user)?.from
  return member && { user, name: member.name, avatar: member.avatar, windows: 1 }
}

function rank(person: Person, self: string | undefined): number {
  return person.user === self ? 0 : 1
}
