/** What the playground's tools share while the page lives: the key that is tried, and inputs that one tool gives another. */

import { reactive, shallowRef } from 'vue'
import { keys } from '../calls/clients'
import type { Trouble } from '../calls/trouble'
import type { Key } from '../gen/patchbay/crypto/v1/keys_pb'
import { bytesOf, textOf, type Format } from '../keys/bytes'
import { typeFacts, type Purpose } from '../keys/types'

export interface Input {
  text: string
  format: Format
}

export const TOOLS = ['encrypt', 'decrypt', 'files', 'sign', 'verify', 'hmac', 'hash', 'encode'] as const
export type Tool = (typeof TOOLS)[number]

/** Keys in a list to choose from; a name may also be typed. */
const MOST_KEYS = 1000

export const inputs = reactive({
  key: '',
  plaintext: input('text'),
  ciphertext: input('base64'),
  associated: input('text'),
  message: input('text'),
  signature: input('base64'),
  tag: input('hex'),
})

/** The keys that the person may list; nothing where that is not allowed. */
export const known = shallowRef<Key[]>()

export async function loadKeys(): Promise<void> {
  known.value = (await keys.listKeys({ pageSize: MOST_KEYS })).keys.filter((key) => !key.disabled)
}

export function keysFor(...purposes: Purpose[]): Key[] {
  const suits = (key: Key) => typeFacts(key.type)?.purposes.some((purpose) => purposes.includes(purpose))
  return known.value?.filter(suits) ?? []
}

export function keyNamed(name: string): Key | undefined {
  return known.value?.find((key) => key.name === name)
}

/** An input that is not in its form; nothing is sent then. */
class NotBytes extends Error {
  readonly trouble: Trouble = { reason: 'NOT_BYTES', message: '' }
}

export function bytesIn({ text, format }: Input): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(text, format)
  if (!bytes) throw new NotBytes()
  return new Uint8Array(bytes)
}

/** Puts bytes into an input, in its format. */
export function fill(input: Input, bytes: Uint8Array): void {
  input.text = textOf(bytes, input.format) ?? ''
}

function input(format: Format): Input {
  return { text: '', format }
}
