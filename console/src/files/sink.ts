/** Where a file that is made here goes: to a place on disk that the person chose, or to the browser's downloads. */

import { TroubleError } from '../calls/trouble'
import { saveAs } from '../ui/save'
import type { Bytes } from './chunked'

/** Nothing of it is seen before `close`; after `abort` there never was anything. */
export interface Sink {
  write(piece: Bytes): Promise<void>
  close(): Promise<void>
  abort(): Promise<void>
}

/** Most that is collected where the browser cannot write to a file; browsers keep blobs on disk when they can. */
export const MOST_COLLECTED = 2 * 1024 ** 3

/** Chromium's, and not in every library of types. */
type Picker = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>

function picker(): Picker | undefined {
  return (globalThis as { showSaveFilePicker?: Picker }).showSaveFilePicker?.bind(globalThis)
}

/** Whether what is made is written to its place piece by piece. */
export function writesToDisk(): boolean {
  return picker() !== undefined
}

/** Asks where to, so it must be called while the person's press still counts; nothing where the person gave up. */
export async function openSink(name: string, size: number): Promise<Sink | undefined> {
  const pick = picker()
  if (!pick) return collect(name, size)
  try {
    const handle = await pick({ suggestedName: name })
    // Writes to a copy, which takes the file's place when it is closed.
    const writable = await handle.createWritable()
    return {
      write: (piece) => writable.write(piece).catch(cannotWrite),
      close: () => writable.close().catch(cannotWrite),
      abort: async () => {
        await writable.abort()
        await removeEmpty(handle)
      },
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined
    return cannotWrite(error)
  }
}

/** Such as a disk that is full. */
function cannotWrite(error: unknown): never {
  throw new TroubleError('FILE_NOT_WRITABLE', error instanceof Error ? error.message : '')
}

/** The picker leaves a file of nothing where it was told to, which must not be taken for what was to be made. */
async function removeEmpty(handle: FileSystemFileHandle & { remove?: () => Promise<void> }): Promise<void> {
  if ((await handle.getFile()).size === 0) await handle.remove?.()
}

function collect(name: string, size: number): Sink {
  if (size > MOST_COLLECTED) throw new TroubleError('FILE_TOO_LARGE')
  let pieces: Blob[] = []
  return {
    write: async (piece) => void pieces.push(new Blob([piece])),
    close: async () => {
      saveAs(name, new Blob(pieces))
      pieces = []
    },
    abort: async () => {
      pieces = []
    },
  }
}
