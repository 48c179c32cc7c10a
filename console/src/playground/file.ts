/** Hashes a file at the service as a stream: the page never holds more of it than the browser sends at a time. */

import { ConnectError, Code } from '@connectrpc/connect'
import { freshToken } from '../account/keeping'
import type { Trouble } from '../calls/trouble'

export interface FileDigest {
  hex: string
  isUnsafe: boolean
}

/** Why a file was not hashed, in the service's own words. */
export class Refused extends ConnectError {
  constructor(readonly trouble: Trouble) {
    super(trouble.message, Code.Unknown)
  }
}

/** `algorithm` as the path has it, such as `sha2-256`; `progress` is told parts of one. */
export async function hashFile(
  file: File,
  algorithm: string,
  progress: (done: number) => void,
  stop: AbortSignal,
): Promise<FileDigest> {
  const token = await freshToken()
  const query = new URLSearchParams({ algorithm, allow_unsafe: 'true' })
  const answer = await upload(`/crypto/v1/digest/stream?${query}`, file, token, progress, stop)
  const digest = answer.digests?.[0]
  if (!digest) throw new Refused(troubleIn(answer))
  return { hex: digest.hex, isUnsafe: digest.is_unsafe }
}

interface Answer {
  digests?: { hex: string; is_unsafe: boolean }[]
  error?: { reason?: string; message?: string }
}

/** `fetch` cannot tell how far an upload is. */
function upload(
  path: string,
  file: File,
  token: string | null,
  progress: (done: number) => void,
  stop: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', path)
    request.setRequestHeader('content-type', 'application/octet-stream')
    if (token !== null) request.setRequestHeader('authorization', `Bearer ${token}`)
    request.upload.onprogress = (event) => progress(event.total > 0 ? event.loaded / event.total : 1)
    request.onload = () => resolve(answerIn(request.responseText))
    request.onerror = () => reject(new ConnectError('unreachable', Code.Unavailable))
    request.onabort = () => reject(new ConnectError('stopped', Code.Canceled))
    stop.addEventListener('abort', () => request.abort())
    request.send(file)
  })
}

function answerIn(text: string): Answer {
  try {
    return JSON.parse(text) as Answer
  } catch {
    return {}
  }
}

function troubleIn({ error }: Answer): Trouble {
  return { reason: error?.reason ?? 'UNREACHABLE', message: error?.message ?? '' }
}
