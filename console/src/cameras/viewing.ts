/** One camera being watched: the connection, the video element that shows it, and what is measured meanwhile. */

import { onScopeDispose, reactive, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { countersOf, delaySince, figuresOf, KEPT, type Counters, type Figures } from './measure'
import { refusalOf, RELAY, tokenHeader } from './snapshot'
import { Steady } from './steady'
import { TimeCodeReader } from './timecode'
import { Whep, type WhepState } from './whep'

const MEASURE_MS = 1_000

/** Reading pixels costs more than showing them. */
const READ_CODE_MS = 100

/** How the delay is known: read from the picture, told by the relay's reports, or added up from the way. */
export type DelayBy = 'picture' | 'reports' | 'way'

export interface Measured {
  counters: Counters | undefined
  series: Figures[]
  delayBy: DelayBy | undefined
  /** From the request to the connection, and to the first picture. */
  connectMs: number | undefined
  firstPictureMs: number | undefined
  viewer: string | undefined
}

const NOTHING: Measured = {
  counters: undefined,
  series: [],
  delayBy: undefined,
  connectMs: undefined,
  firstPictureMs: undefined,
  viewer: undefined,
}

export function useViewing(camera: Ref<string>, video: Readonly<ShallowRef<HTMLVideoElement | null>>) {
  const state = shallowRef<WhepState>({ name: 'idle' })
  const measured = reactive<Measured>({ ...NOTHING })
  /** Whether pictures are worth showing: they are live, or as live as they get. */
  const isSteady = ref(false)
  const hasAudio = ref(false)

  let whep: Whep | undefined
  let stream = new MediaStream()
  let steady = new Steady()
  let delays: number[] = []
  let callback = 0
  let timer: ReturnType<typeof setInterval> | undefined
  const codes = new TimeCodeReader()
  let readAtMs = -Infinity

  function start(): void {
    stop()
    const address = `${RELAY}/whep/${encodeURIComponent(camera.value)}`
    const around = {
      peer: () => new RTCPeerConnection({ bundlePolicy: 'max-bundle' }),
      fetch: (address: string, request: RequestInit) => fetch(address, request),
      headers: tokenHeader,
      refusalOf,
      now: () => performance.now(),
      random: Math.random,
    }
    whep = new Whep(address, { state: stateChanged, track: add }, around)
    timer = setInterval(() => void measure(), MEASURE_MS)
    whep.start()
  }

  function stop(): void {
    clearInterval(timer)
    whep?.stop()
    whep = undefined
    detach()
  }

  function stateChanged(told: WhepState): void {
    state.value = told
    if (told.name === 'connecting') begin()
    if (told.name === 'connected' && whep?.connectedAtMs !== undefined && whep.beganAtMs !== undefined) {
      measured.connectMs = whep.connectedAtMs - whep.beganAtMs
      measured.viewer = whep.viewer
    }
    if (told.name === 'waiting' || told.name === 'refused') detach()
  }

  function begin(): void {
    Object.assign(measured, NOTHING, { series: measured.series })
    detach()
    steady = new Steady()
    isSteady.value = false
    hasAudio.value = false
  }

  function add(track: MediaStreamTrack): void {
    stream.addTrack(track)
    hasAudio.value ||= track.kind === 'audio'
    const element = video.value
    if (!element || track.kind !== 'video') return
    element.srcObject = stream
    // Refused where the browser wants to be asked first; the person presses its play button then.
    element.play().catch(() => {})
    if ('requestVideoFrameCallback' in element) callback = element.requestVideoFrameCallback(presented)
    else (element as HTMLVideoElement).addEventListener('playing', () => reveal(performance.now()), { once: true })
  }

  function detach(): void {
    stream = new MediaStream()
    const element = video.value
    if (!element) return
    if (callback !== 0) element.cancelVideoFrameCallback(callback)
    callback = 0
    element.srcObject = null
  }

  function reveal(atMs: number): void {
    if (measured.firstPictureMs === undefined && whep?.beganAtMs !== undefined) {
      measured.firstPictureMs = atMs - whep.beganAtMs
    }
    isSteady.value = true
  }

  function presented(now: number, metadata: VideoFrameCallbackMetadata): void {
    const element = video.value
    if (!element || !whep) return
    callback = element.requestVideoFrameCallback(presented)
    if (measured.firstPictureMs === undefined && whep.beganAtMs !== undefined) {
      measured.firstPictureMs = now - whep.beganAtMs
    }
    const lagMs = delayOf(element, now, metadata)
    if (lagMs !== undefined) delays.push(lagMs)
    isSteady.value = steady.saw({ atMs: now, rtpTimestamp: metadata.rtpTimestamp, lagMs })
  }

  /** From being taken to being presented, by the best that is known of this picture. */
  function delayOf(element: HTMLVideoElement, now: number, metadata: VideoFrameCallbackMetadata): number | undefined {
    const isDue = !isSteady.value || now - readAtMs >= READ_CODE_MS
    const readAtUnixMs = Date.now()
    const drawnAtMs = isDue ? codes.read(element) : undefined
    if (isDue) readAtMs = now
    if (drawnAtMs !== undefined) {
      measured.delayBy = 'picture'
      // What was read is what is shown now; the metadata may be of the picture before.
      return delaySince(drawnAtMs, readAtUnixMs, measured.counters?.clockAheadMs)
    }
    if (measured.delayBy === 'picture') return undefined
    if (metadata.captureTime !== undefined) {
      measured.delayBy = 'reports'
      return Math.max(0, metadata.presentationTime - metadata.captureTime)
    }
    const roundTripMs = measured.counters?.roundTripMs
    if (metadata.receiveTime === undefined || roundTripMs === undefined) return undefined
    measured.delayBy = 'way'
    return Math.max(0, metadata.presentationTime - metadata.receiveTime) + roundTripMs / 2
  }

  async function measure(): Promise<void> {
    const peer = whep?.peer
    if (!peer || state.value.name !== 'connected') return
    const report = await peer.getStats()
    if (peer !== whep?.peer) return
    const before = measured.counters
    const entries: Record<string, unknown>[] = []
    report.forEach((entry: Record<string, unknown>) => entries.push(entry))
    const counters = countersOf(entries, performance.now())
    measured.counters = counters
    measured.series = [...measured.series, figuresOf(counters, before, median(delays))].slice(-KEPT)
    delays = []
  }

  const hurry = () => whep?.hurry(state.value)
  // A page that the browser keeps for the way back is not left looking.
  addEventListener('pagehide', stop)
  addEventListener('online', hurry)
  watch(camera, () => {
    measured.series = []
    if (state.value.name !== 'idle') start()
  })
  onScopeDispose(() => {
    removeEventListener('pagehide', stop)
    removeEventListener('online', hurry)
    stop()
  })

  return { state, measured, isSteady, hasAudio, start, stop }
}

function median(values: number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}
