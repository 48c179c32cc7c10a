/** Files in the chunked form, against another implementation of it: Node's own ciphers, a chunk at a time. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { troubleOf } from '../src/calls/trouble'
import {
  CHUNK_BYTES,
  HEADER_BYTES,
  messageKey,
  open,
  readHeader,
  seal,
  sealedSize,
  TAG_BYTES,
} from '../src/files/chunked'
import { MOST_COLLECTED, openSink, writesToDisk } from '../src/files/sink'
import { resultName } from '../src/files/work'

const SEALED = CHUNK_BYTES + TAG_BYTES
const header = Uint8Array.from({ length: HEADER_BYTES }, (_, index) => (index === 0 ? 3 : index))
const stop = new AbortController().signal

/** Key and base nonce; the nonce's last bytes overflow a byte soon, so that a sum instead of an exclusive-or would show. */
function secrets(bytes: 16 | 32) {
  const base = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0xff, 0xfe)
  return { raw: new Uint8Array(randomBytes(bytes)), base }
}

function nonce(base: Uint8Array, number: number): Buffer {
  const tail = Buffer.from(base).readBigUInt64BE(4) ^ BigInt(number)
  const all = Buffer.from(base)
  all.writeBigUInt64BE(tail, 4)
  return all
}

function sealedElsewhere(plain: Buffer, raw: Uint8Array, base: Uint8Array): Buffer {
  const chunks = Math.floor(plain.length / CHUNK_BYTES) + 1
  const pieces: Buffer[] = [Buffer.from(header)]
  for (let n = 0; n < chunks; n += 1) {
    const cipher = createCipheriv(raw.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', raw, nonce(base, n))
    pieces.push(
      cipher.update(plain.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES)),
      cipher.final(),
      cipher.getAuthTag(),
    )
  }
  return Buffer.concat(pieces)
}

function openedElsewhere(sealed: Buffer, raw: Uint8Array, base: Uint8Array): Buffer {
  const pieces: Buffer[] = []
  for (let n = 0, at = HEADER_BYTES; at < sealed.length; n += 1, at += SEALED) {
    const chunk = sealed.subarray(at, at + SEALED)
    const cipher = createDecipheriv(raw.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', raw, nonce(base, n))
    cipher.setAuthTag(chunk.subarray(chunk.length - TAG_BYTES))
    pieces.push(cipher.update(chunk.subarray(0, chunk.length - TAG_BYTES)), cipher.final())
  }
  return Buffer.concat(pieces)
}

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = []
  for await (const piece of pieces) collected.push(piece)
  return Buffer.concat(collected)
}

/** Copies, because a key's bytes are overwritten when they are taken over. */
function keyOf({ raw, base }: ReturnType<typeof secrets>) {
  return messageKey(new Uint8Array(raw), base)
}

const MANY = 64 * CHUNK_BYTES
const SIZES = [
  0,
  1,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  MANY - 1,
  MANY,
  MANY + 1,
  2 * MANY + 3 * CHUNK_BYTES + 5,
]

describe.each([16, 32] as const)('with a key of %i bytes', (bytes) => {
  test.each(SIZES)('%i bytes are the same as elsewhere, both ways', async (size) => {
    const secret = secrets(bytes)
    const plain = randomBytes(size)
    const sealed = Buffer.concat([
      header,
      await all(seal(new Blob([new Uint8Array(plain)]), await keyOf(secret), stop)),
    ])
    expect(sealed.length).toBe(sealedSize(size))
    expect(openedElsewhere(sealed, secret.raw, secret.base).equals(plain)).toBe(true)
    const foreign = sealedElsewhere(plain, secret.raw, secret.base)
    expect(foreign.equals(sealed)).toBe(true)
    expect((await all(open(new Blob([new Uint8Array(foreign)]), await keyOf(secret), stop))).equals(plain)).toBe(true)
  })
})

describe('a file that is not as it was encrypted', () => {
  const secret = secrets(32)
  const sealed = sealedElsewhere(randomBytes(70 * CHUNK_BYTES + 9), secret.raw, secret.base)
  const chunk = (n: number) => sealed.subarray(HEADER_BYTES + n * SEALED, HEADER_BYTES + (n + 1) * SEALED)
  const rest = (n: number) => sealed.subarray(HEADER_BYTES + n * SEALED)

  async function failure(file: Buffer): Promise<string> {
    try {
      const blob = new Blob([new Uint8Array(file)])
      await readHeader(blob)
      await all(open(blob, await keyOf(secret), stop))
      return 'none'
    } catch (error) {
      return troubleOf(error).reason
    }
  }

  test.each([
    ['whole', sealed, 'none'],
    ['of nothing', Buffer.alloc(0), 'FILE_NOT_ENCRYPTED'],
    ['of another kind', Buffer.from('PK\u0003\u0004 something else'), 'FILE_NOT_ENCRYPTED'],
    ['its header alone', sealed.subarray(0, HEADER_BYTES), 'FILE_CUT_OFF'],
    ['cut in its header', sealed.subarray(0, 40), 'FILE_CUT_OFF'],
    ['cut after a whole chunk', sealed.subarray(0, HEADER_BYTES + 3 * SEALED), 'FILE_CUT_OFF'],
    ['cut after the last whole chunk', sealed.subarray(0, HEADER_BYTES + 70 * SEALED), 'FILE_CUT_OFF'],
    ['cut in a tag', sealed.subarray(0, HEADER_BYTES + 3 * SEALED + 15), 'FILE_CUT_OFF'],
    ['cut in a chunk', sealed.subarray(0, HEADER_BYTES + 3 * SEALED + 900), 'FILE_NOT_GENUINE'],
    ['cut by a byte', sealed.subarray(0, -1), 'FILE_NOT_GENUINE'],
    ['longer by a byte', Buffer.concat([sealed, Buffer.of(0)]), 'FILE_NOT_GENUINE'],
    ['with a chunk twice', Buffer.concat([header, chunk(0), chunk(0), rest(1)]), 'FILE_NOT_GENUINE'],
    ['with a chunk left out', Buffer.concat([header, chunk(0), rest(2)]), 'FILE_NOT_GENUINE'],
    ['with two chunks exchanged', Buffer.concat([header, chunk(1), chunk(0), rest(2)]), 'FILE_NOT_GENUINE'],
    [
      'with chunks of the next part exchanged',
      Buffer.concat([
        header,
        sealed.subarray(HEADER_BYTES, HEADER_BYTES + 65 * SEALED),
        chunk(66),
        chunk(65),
        rest(67),
      ]),
      'FILE_NOT_GENUINE',
    ],
    ['followed by another message', Buffer.concat([sealed, sealed]), 'FILE_NOT_GENUINE'],
    ['with its last chunk alone', Buffer.concat([header, rest(70)]), 'FILE_NOT_GENUINE'],
  ])('%s', async (_, file, reason) => {
    expect(await failure(file)).toBe(reason)
  })

  test('and one with a bit that is another', async () => {
    for (const at of [HEADER_BYTES, HEADER_BYTES + SEALED - 1, sealed.length - 1]) {
      const other = Buffer.from(sealed)
      other.writeUInt8(other.readUInt8(at) ^ 1, at)
      expect(await failure(other), `at ${at}`).toBe('FILE_NOT_GENUINE')
    }
  })
})

test('a header is read as it is', async () => {
  expect([...(await readHeader(new Blob([header, new Uint8Array(TAG_BYTES)])))]).toEqual([...header])
})

test('the bytes of a key are overwritten once it is taken over', async () => {
  const bytes = new Uint8Array(randomBytes(32))
  await messageKey(bytes, new Uint8Array(12))
  expect(bytes.every((byte) => byte === 0)).toBe(true)
})

test('at most two parts of a file are in memory, and none is read after it was stopped', async () => {
  const file = new Blob([new Uint8Array(10 * MANY)])
  const read = vi.spyOn(file, 'slice')
  const stopping = new AbortController()
  const pieces = seal(file, await keyOf(secrets(32)), stopping.signal)
  await pieces.next()
  expect(read).toHaveBeenCalledTimes(2)
  await pieces.next()
  expect(read).toHaveBeenCalledTimes(3)
  stopping.abort(new Error('enough'))
  await expect(pieces.next()).rejects.toThrow('enough')
  expect(read).toHaveBeenCalledTimes(3)
})

test('a file that cannot be read any more is told', async () => {
  const file = new Blob([new Uint8Array(100)])
  vi.spyOn(file, 'slice').mockReturnValue(new Blob([new Uint8Array(99)]))
  const pieces = seal(file, await keyOf(secrets(32)), stop)
  await expect(pieces.next()).rejects.toMatchObject({ trouble: { reason: 'FILE_UNREADABLE' } })
})

test('names of results', () => {
  expect(resultName('a.tar', 'encrypt')).toBe('a.tar.pbs')
  expect(resultName('a.tar.pbs', 'decrypt')).toBe('a.tar')
  expect(resultName('a.bin', 'decrypt')).toBe('a.bin.decrypted')
  expect(resultName('.pbs', 'decrypt')).toBe('.pbs.decrypted')
})

describe('where results go', () => {
  /** A handle as the browser gives it, that remembers what was done with it. */
  function handle() {
    const done: string[] = []
    const writable = {
      write: async (piece: Uint8Array) => void done.push(`write ${piece.length}`),
      close: async () => void done.push('close'),
      abort: async () => void done.push('abort'),
    }
    const gone = {
      getFile: async () => ({ size: 0 }),
      remove: async () => void done.push('remove'),
    }
    return { done, handle: { createWritable: async () => writable, ...gone } }
  }

  test('to the place that the person chose', async () => {
    const { done, handle: chosen } = handle()
    vi.stubGlobal('showSaveFilePicker', async (options: unknown) => {
      done.push(JSON.stringify(options))
      return chosen
    })
    expect(writesToDisk()).toBe(true)
    const sink = await openSink('a.pbs', Number.MAX_SAFE_INTEGER)
    await sink?.write(new Uint8Array(5))
    await sink?.abort()
    expect(done).toEqual(['{"suggestedName":"a.pbs"}', 'write 5', 'abort', 'remove'])
    vi.unstubAllGlobals()
  })

  test('nowhere when the person gives up, and told when the place cannot be written', async () => {
    const fails = (name: string) =>
      vi.stubGlobal('showSaveFilePicker', () => Promise.reject(new DOMException('no', name)))
    fails('AbortError')
    expect(await openSink('a', 1)).toBeUndefined()
    fails('SecurityError')
    await expect(openSink('a', 1)).rejects.toMatchObject({ trouble: { reason: 'FILE_NOT_WRITABLE' } })
    vi.unstubAllGlobals()
  })

  test('to the downloads elsewhere, up to a size', async () => {
    expect(writesToDisk()).toBe(false)
    await expect(openSink('a', MOST_COLLECTED + 1)).rejects.toMatchObject({ trouble: { reason: 'FILE_TOO_LARGE' } })
    expect(await openSink('a', MOST_COLLECTED)).toBeDefined()
  })
})
