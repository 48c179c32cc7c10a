/** Pictures of a camera over HTTP, and what camera-relay says where there is none. */

import { Code, ConnectError } from '@connectrpc/connect'
import { freshToken, tokenRefused } from '../account/keeping'
import { isAboutToken, type Trouble } from '../calls/trouble'

/** Where camera-relay is on this origin. */
export const RELAY = '/camera'

/** The first picture of a camera that sleeps takes its start. */
const TIMEOUT_MS = 15_000

/** Why there is no picture, in the service's own words. */
export class Refused extends ConnectError {
  constructor(
    readonly trouble: Trouble,
    readonly status: number,
  ) {
    super(trouble.message, Code.Unknown)
  }
}

/** A JPEG of the newest picture, at most `width` pixels wide; as wide as the camera's where that is left out. */
export async function snapshot(camera: string, width?: number, stop?: AbortSignal): Promise<Blob> {
  const query = width === undefined ? '' : `?width=${width}`
  const answer = await fetch(`${RELAY}/snapshot/${encodeURIComponent(camera)}.jpg${query}`, {
    headers: await tokenHeader(),
    cache: 'no-store',
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(stop ? [stop] : [])]),
  })
  if (!answer.ok) throw await refusalOf(answer)
  return answer.blob()
}

export async function tokenHeader(): Promise<Record<string, string>> {
  const token = await freshToken()
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** What a service says in an answer that is no success. */
export async function refusalOf(answer: Response): Promise<Refused> {
  const trouble = troubleIn(await answer.text().catch(() => ''), answer.status)
  const seconds = Number(answer.headers.get('retry-after'))
  if (seconds > 0) trouble.retrySeconds = seconds
  if (isAboutToken(trouble)) tokenRefused()
  return new Refused(trouble, answer.status)
}

/** Reasons of the page for answers that tell none. */
const REASONS: Record<number, string> = { 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND' }

export function troubleIn(text: string, status: number): Trouble {
  const fallback = REASONS[status] ?? (status >= 500 ? 'UNREACHABLE' : 'OTHER')
  try {
    const { error } = JSON.parse(text) as { error?: { reason?: string; message?: string } }
    return { reason: error?.reason ?? fallback, message: error?.message ?? `HTTP ${status}` }
  } catch {
    return { reason: fallback, message: `HTTP ${status}` }
  }
}
