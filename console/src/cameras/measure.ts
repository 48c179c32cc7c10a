/** What a viewer measures: two looks at the browser's counters become figures. No I/O. */

/** A look at the counters of a connection. */
export interface Counters {
  atMs: number
  bytes: number
  packets: number
  lost: number
  frames: number
  /** Absent where the way does not tell. */
  freezes?: number
  resent?: number
  jitterMs?: number
  roundTripMs?: number
  transport?: string
  width?: number
  height?: number
  codec?: string
  /** How far the relay's clock is ahead of ours, from its last report. */
  clockAheadMs?: number
}

export interface Figures {
  atMs: number
  /** From the picture being taken to being presented; absent until it is known. */
  delayMs?: number | undefined
  fps?: number | undefined
  bitsPerSecond?: number | undefined
  roundTripMs?: number | undefined
  /** Part of the packets that were lost since the look before, 0 to 1. */
  loss?: number | undefined
  jitterMs?: number | undefined
}

/** Names of the figures that are drawn, in their order. */
export const DRAWN = ['delayMs', 'fps', 'bitsPerSecond', 'roundTripMs', 'loss', 'jitterMs'] as const

export type Drawn = (typeof DRAWN)[number]

/** Figures of one minute are kept. */
export const KEPT = 60

type Entry = Record<string, unknown>

/** Reads a report of `RTCPeerConnection.getStats`. */
export function countersOf(report: Iterable<Entry>, atMs: number): Counters {
  const entries = [...report]
  const counters: Counters = { atMs, bytes: 0, packets: 0, lost: 0, frames: 0, freezes: 0, resent: 0 }
  for (const entry of entries) {
    if (entry['type'] === 'inbound-rtp') addInbound(counters, entry, entries)
  }
  addPath(counters, entries)
  addClock(counters, entries)
  return counters
}

/** Counters of a way that has no reports: what came by a WebSocket, and what the player made of it. */
export function countersOfPlayer(
  came: { bytes: number; mime: string },
  player: { frames: number; width: number; height: number },
  atMs: number,
): Counters {
  const { bytes, mime } = came
  const { frames, width, height } = player
  const codec = CODEC_NAMES.find(([pattern]) => pattern.test(mime))?.[1]
  return {
    ...{ atMs, bytes, packets: 0, lost: 0, frames, transport: 'WebSocket' },
    ...(width > 0 ? { width, height } : {}),
    ...(codec === undefined ? {} : { codec }),
  }
}

/** What RTP calls the codecs of RFC 6381. */
const CODEC_NAMES: [RegExp, string][] = [
  [/\bavc[13]/i, 'H264'],
  [/\bh(vc|ev)1/i, 'H265'],
  [/\bav01/i, 'AV1'],
  [/\bvp09/i, 'VP9'],
]

export function figuresOf(now: Counters, before: Counters | undefined, delayMs: number | undefined): Figures {
  const { atMs, roundTripMs, jitterMs } = now
  const figures: Figures = { atMs, delayMs, roundTripMs, jitterMs }
  const seconds = before ? (atMs - before.atMs) / 1000 : 0
  // Counters that went back belong to a new connection.
  if (!before || seconds <= 0 || now.bytes < before.bytes) return figures
  const lost = Math.max(0, now.lost - before.lost)
  const sent = now.packets - before.packets + lost
  return {
    ...figures,
    fps: (now.frames - before.frames) / seconds,
    bitsPerSecond: ((now.bytes - before.bytes) * 8) / seconds,
    loss: sent > 0 ? lost / sent : undefined,
  }
}

/** Clocks that differ by less are taken to be one: reports tell no better. */
const SAME_CLOCK_MS = 25

/** A clock that is further away is none of ours to compare with. */
const ABSURD_MS = 3_600_000

/** The time between what the relay wrote into a picture and its presentation; undefined where clocks cannot be compared. */
export function delaySince(drawnAtMs: number, presentedAtMs: number, clockAheadMs = 0): number | undefined {
  const isOther = Math.abs(clockAheadMs) > SAME_CLOCK_MS && Math.abs(clockAheadMs) < ABSURD_MS
  const delay = presentedAtMs + (isOther ? clockAheadMs : 0) - drawnAtMs
  return delay > -SAME_CLOCK_MS && delay < ABSURD_MS ? Math.max(0, delay) : undefined
}

function addInbound(counters: Counters, entry: Entry, entries: Entry[]): void {
  counters.bytes += count(entry, 'bytesReceived') ?? 0
  if (entry['kind'] !== 'video') return
  counters.packets += count(entry, 'packetsReceived') ?? 0
  counters.lost += count(entry, 'packetsLost') ?? 0
  counters.frames += count(entry, 'framesDecoded') ?? 0
  counters.freezes = (counters.freezes ?? 0) + (count(entry, 'freezeCount') ?? 0)
  counters.resent = (counters.resent ?? 0) + (count(entry, 'retransmittedPacketsReceived') ?? 0)
  const jitter = count(entry, 'jitter')
  if (jitter !== undefined) counters.jitterMs = jitter * 1000
  const [width, height] = [count(entry, 'frameWidth'), count(entry, 'frameHeight')]
  if (width && height) Object.assign(counters, { width, height })
  const codec = entries.find(({ type, id }) => type === 'codec' && id === entry['codecId'])
  if (typeof codec?.['mimeType'] === 'string') counters.codec = codec['mimeType'].replace(/^.*\//, '')
}

/** The pair of addresses that the packets take. */
function addPath(counters: Counters, entries: Entry[]): void {
  const transport = entries.find(({ type }) => type === 'transport')
  const pairs = entries.filter(({ type }) => type === 'candidate-pair')
  const pair =
    pairs.find(({ id }) => id === transport?.['selectedCandidatePairId']) ??
    pairs.find(({ nominated, state }) => nominated === true && state === 'succeeded')
  if (!pair) return
  const roundTrip = count(pair, 'currentRoundTripTime')
  if (roundTrip !== undefined) counters.roundTripMs = roundTrip * 1000
  const remote = entries.find(({ id }) => id === pair['remoteCandidateId'])
  if (typeof remote?.['protocol'] === 'string') counters.transport = remote['protocol'].toUpperCase()
}

/** A sender report tells the relay's time; it was under way for half a round trip. */
function addClock(counters: Counters, entries: Entry[]): void {
  const report = entries.find(({ type, kind }) => type === 'remote-outbound-rtp' && kind === 'video')
  if (!report) return
  const [remote, local] = [count(report, 'remoteTimestamp'), count(report, 'timestamp')]
  if (!remote || !local) return
  counters.clockAheadMs = remote + (counters.roundTripMs ?? 0) / 2 - local
}

function count(entry: Entry, name: string): number | undefined {
  const value = entry[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
