/**
 * The chunked form of encrypted files (`streams.proto`): a header, then chunks of AES-GCM whose nonces count up from a
 * base nonce. The last chunk is shorter than the others, and may be empty: a file that ends with a whole chunk was cut
 * off. WebCrypto does the work; here is no other I/O than reading slices of the file.
 */

import { TroubleError } from '../calls/trouble'

export const HEADER_BYTES = 61
export const CHUNK_BYTES = 16_384
export const TAG_BYTES = 16
const SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
const NONCE_BYTES = 12

/** First byte of every header. */
const FORM = 3

/** Chunks that are worked on at once. Two such parts, of a MiB each, are the most that is in memory. */
const PART_CHUNKS = 64

/** What one message is encrypted with. */
export interface MessageKey {
  key: CryptoKey
  baseNonce: Uint8Array<ArrayBuffer>
}

export type Bytes = Uint8Array<ArrayBuffer>

/** Takes over the key's bytes, which are overwritten. */
export async function messageKey(bytes: Uint8Array, baseNonce: Uint8Array): Promise<MessageKey> {
  if (baseNonce.length !== NONCE_BYTES) throw new TroubleError('OTHER', 'the base nonce has not 12 bytes')
  const raw = new Uint8Array(bytes)
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt'])
  raw.fill(0)
  bytes.fill(0)
  return { key, baseNonce: new Uint8Array(baseNonce) }
}

/** Length of the whole message for a plaintext of this length. */
export function sealedSize(size: number): number {
  return HEADER_BYTES + size + (Math.floor(size / CHUNK_BYTES) + 1) * TAG_BYTES
}

/** The header of an encrypted file; a file that cannot be one is told at once. */
export async function readHeader(file: Blob): Promise<Bytes> {
  const header = await read(file, 0, Math.min(HEADER_BYTES, file.size))
  if (header[0] !== FORM) throw new TroubleError('FILE_NOT_ENCRYPTED')
  checkEnd(file.size)
  return header
}

/** The chunks of a plaintext, encrypted, some at a time; the header is not among them. */
export function seal(plaintext: Blob, key: MessageKey, stop: AbortSignal): AsyncGenerator<Bytes> {
  const chunks = Math.floor(plaintext.size / CHUNK_BYTES) + 1
  const bounds = (chunk: number) => Math.min(chunk * CHUNK_BYTES, plaintext.size)
  return parts(
    plaintext,
    { chunks, bounds, size: CHUNK_BYTES },
    stop,
    (nonce, chunk) => crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, key.key, chunk),
    key.baseNonce,
  )
}

/** The plaintext of an encrypted file, some chunks at a time, each genuine. Only the end of all tells that it is whole. */
export function open(file: Blob, key: MessageKey, stop: AbortSignal): AsyncGenerator<Bytes> {
  checkEnd(file.size)
  const chunks = Math.floor((file.size - HEADER_BYTES) / SEALED_BYTES) + 1
  const bounds = (chunk: number) => Math.min(HEADER_BYTES + chunk * SEALED_BYTES, file.size)
  const decrypt = async (nonce: Bytes, chunk: Bytes) => {
    try {
      return await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, key.key, chunk)
    } catch {
      throw new TroubleError('FILE_NOT_GENUINE')
    }
  }
  return parts(file, { chunks, bounds, size: SEALED_BYTES }, stop, decrypt, key.baseNonce)
}

/** The last chunk has a tag, and is shorter than the others. */
function checkEnd(size: number): void {
  if (size < HEADER_BYTES + TAG_BYTES || (size - HEADER_BYTES) % SEALED_BYTES < TAG_BYTES) {
    throw new TroubleError('FILE_CUT_OFF')
  }
}

/** Where the chunks of a file are. */
interface Layout {
  chunks: number
  /** First byte of a chunk; of the one after the last, the end. */
  bounds: (chunk: number) => number
  size: number
}

/** Reads and works on the next part while the last one is being written. */
async function* parts(
  file: Blob,
  layout: Layout,
  stop: AbortSignal,
  work: (nonce: Bytes, chunk: Bytes) => Promise<ArrayBuffer>,
  baseNonce: Bytes,
): AsyncGenerator<Bytes> {
  const part = async (first: number): Promise<Bytes> => {
    const end = Math.min(first + PART_CHUNKS, layout.chunks)
    const bytes = await read(file, layout.bounds(first), layout.bounds(end))
    const chunks = Array.from({ length: end - first }, (_, n) => bytes.subarray(n * layout.size, (n + 1) * layout.size))
    return joined(await Promise.all(chunks.map((chunk, n) => work(nonceOf(baseNonce, first + n), chunk))))
  }
  let next = part(0)
  for (let first = 0; first < layout.chunks; first += PART_CHUNKS) {
    const done = await next
    stop.throwIfAborted()
    if (first + PART_CHUNKS < layout.chunks) {
      next = part(first + PART_CHUNKS)
      // Where nobody comes back for it, nobody misses it.
      next.catch(() => {})
    }
    yield done
  }
}

/** The base nonce, exclusive-or the chunk's number as a big-endian integer. */
function nonceOf(baseNonce: Bytes, chunk: number): Bytes {
  const nonce = new Uint8Array(baseNonce)
  const view = new DataView(nonce.buffer)
  view.setUint32(4, view.getUint32(4) ^ Math.floor(chunk / 2 ** 32))
  view.setUint32(8, view.getUint32(8) ^ (chunk % 2 ** 32))
  return nonce
}

function joined(pieces: ArrayBuffer[]): Bytes {
  const all = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(new Uint8Array(piece), at)
    at += piece.byteLength
  }
  return all
}

async function read(file: Blob, start: number, end: number): Promise<Bytes> {
  const bytes = new Uint8Array(
    await file
      .slice(start, end)
      .arrayBuffer()
      .catch(() => {
        throw new TroubleError('FILE_UNREADABLE')
      }),
  )
  if (bytes.length !== end - start) throw new TroubleError('FILE_UNREADABLE')
  return bytes
}
