/** Encrypts and decrypts files in the browser. The service gives the key of one message; the file stays here. */

import { streams } from '../calls/clients'
import { TroubleError } from '../calls/trouble'
import { HEADER_BYTES, messageKey, open, readHeader, seal, type Bytes } from './chunked'
import type { Sink } from './sink'

/** What an encrypted file's name ends with; the command line has the same. */
export const SUFFIX = '.pbs'

export interface Task {
  file: File
  /** Name of the key. */
  key: string
  associatedData: Bytes
  sink: Sink
  /** Told how many bytes of the file are done. */
  progress: (bytes: number) => void
  stop: AbortSignal
}

/** Gives back the version of the key that was used. */
export async function encryptFile({ file, key, associatedData, ...task }: Task): Promise<number> {
  const message = await streams.generateStreamKey({ key, associatedData })
  if (message.header.length !== HEADER_BYTES) throw new TroubleError('OTHER', 'the header has another length')
  const oneKey = await messageKey(message.messageKey, message.baseNonce)
  await task.sink.write(new Uint8Array(message.header))
  await pour(seal(file, oneKey, task.stop), file.size, task)
  return message.keyVersion
}

/** Gives back the version of the key that had encrypted the file. */
export async function decryptFile({ file, key, associatedData, ...task }: Task): Promise<number> {
  const header = await readHeader(file)
  const message = await streams.openStreamKey({ key, header, associatedData })
  const oneKey = await messageKey(message.messageKey, message.baseNonce)
  await pour(open(file, oneKey, task.stop), file.size, task)
  return message.keyVersion
}

/** Writes all pieces and closes; the file is there only when the last piece was good. */
async function pour(
  pieces: AsyncIterable<Bytes>,
  size: number,
  { sink, progress }: Pick<Task, 'sink' | 'progress'>,
): Promise<void> {
  let done = 0
  for await (const piece of pieces) {
    await sink.write(piece)
    done += piece.length
    progress(Math.min(done, size))
  }
  await sink.close()
}

/** What the made file is called. */
export function resultName(name: string, direction: 'encrypt' | 'decrypt'): string {
  if (direction === 'encrypt') return name + SUFFIX
  return name.endsWith(SUFFIX) && name.length > SUFFIX.length ? name.slice(0, -SUFFIX.length) : `${name}.decrypted`
}
