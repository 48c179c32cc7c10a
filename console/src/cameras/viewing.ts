/** One camera being watched: the connection, the video element that shows it, and what is measured meanwhile. */

import { onScopeDispose, reactive, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { freshToken } from '../account/keeping'
import type { AttemptState } from './attempts'
import { relayAheadMs } from './clock'
import { Feed, playable } from './feed'
import { countersOf, countersOfPlayer, delaySince, figuresOf, KEPT, type Counters, type Figures } from './measure'
import { Mse, openMse } from './mse'
import { refusalOf, RELAY, tokenHeader } from './snapshot'
import { Steady } from './steady'
import { TimeCodeReader } from './timecode'
import { Ways, type WayName } from './ways'
import { Whep } from './whep'

const MEASURE_MS = 1_000

/** The page's own clock and chance. */
const AROUND = { now: () => performance.now(), random: Math.random }

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
  way: WayName
}

const NOTHING: Measured = {
  counters: undefined,
  series: [],
  delayBy: undefined,
  connectMs: undefined,
  firstPictureMs: undefined,
  viewer: undefined,
  way: 'webrtc',
}

export function useViewing(camera: Ref<string>, video: Readonly<ShallowRef<HTMLVideoElement | null>>) {
  const state = shallowRef<AttemptState>({ name: 'idle' })
  const measured = reactive<Measured>({ ...NOTHING })
  /** Whether pictures are worth showing: they are live, or as live as they get. */
  const isSteady = ref(false)
  const hasAudio = ref(false)

  let ways: Ways | undefined
  let stream = new MediaStream()
  let steady = new Steady()
  let delays: number[] = []
  let callback = 0
  let timer: ReturnType<typeof setInterval> | undefined
  const codes = new TimeCodeReader()
  let readAtMs = -Infinity

  function start(): void {
    stop()
    const codecs = playable()
    const makers = {
      webrtc: makeWhep,
      mse: codecs.length > 0 ? (told: (state: AttemptState) => void) => makeMse(told, codecs) : undefined,
    }
    ways = new Ways(makers, { state: stateChanged, way: (name) => (measured.way = name) }, AROUND)
    timer = setInterval(() => void measure(), MEASURE_MS)
    ways.start()
  }

  function makeWhep(told: (state: AttemptState) => void): Whep {
    const around = {
      ...AROUND,
      peer: () => new RTCPeerConnection({ bundlePolicy: 'max-bundle' }),
      fetch: (address: string, request: RequestInit) => fetch(address, request),
      headers: tokenHeader,
      refusalOf,
    }
    return new Whep(`${RELAY}/whep/${encodeURIComponent(camera.value)}`, { state: told, track: add }, around)
  }

  function makeMse(told: (state: AttemptState) => void, codecs: string[]): Mse {
    const address = `${RELAY}/ws/mse/${encodeURIComponent(camera.value)}`
    const around = {
      ...AROUND,
      open: (events: Parameters<typeof openMse>[2]) => openMse(address, freshToken, events),
      sink: (failed: (why: string) => void) => {
        if (!video.value) throw new TypeError('there is no player')
        return new Feed(video.value, failed)
      },
      codecs,
    }
    return new Mse({ state: told, begun: fed }, around)
  }

  const whep = () => (ways?.way instanceof Whep ? ways.way : undefined)
  const mse = () => (ways?.way instanceof Mse ? ways.way : undefined)
  const feed = () => (mse()?.sink instanceof Feed ? (mse()?.sink as Feed) : undefined)

  function stop(): void {
    clearInterval(timer)
    ways?.stop()
    ways = undefined
    detach()
  }

  function stateChanged(told: AttemptState): void {
    state.value = told
    if (told.name === 'connecting') begin()
    const way = ways?.way
    if (told.name === 'connected' && way?.connectedAtMs !== undefined && way.beganAtMs !== undefined) {
      measured.connectMs = way.connectedAtMs - way.beganAtMs
      measured.viewer = whep()?.viewer
    }
    if (told.name === 'waiting' || told.name === 'refused') detach()
  }

  function begin(): void {
    Object.assign(measured, NOTHING, { series: measured.series, way: measured.way })
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
    play(element)
  }

  /** An init segment came: the first one, or one of a source that is back. */
  function fed(): void {
    hasAudio.value = feed()?.hasAudio ?? false
    if (video.value && callback === 0) play(video.value)
  }

  function play(element: HTMLVideoElement): void {
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
    noteFirst(atMs)
    isSteady.value = true
  }

  function noteFirst(atMs: number): void {
    const beganAtMs = ways?.way?.beganAtMs
    if (measured.firstPictureMs === undefined && beganAtMs !== undefined) measured.firstPictureMs = atMs - beganAtMs
  }

  function presented(now: number, metadata: VideoFrameCallbackMetadata): void {
    const element = video.value
    if (!element || !ways?.way) return
    callback = element.requestVideoFrameCallback(presented)
    noteFirst(now)
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
    const way = ways?.way
    feed()?.keepUp()
    if (!way || state.value.name !== 'connected') return
    const counters = mse() ? await countPlayer() : await countPeer()
    if (way !== ways?.way || !counters) return
    const before = measured.counters
    measured.counters = counters
    measured.series = [...measured.series, figuresOf(counters, before, median(delays))].slice(-KEPT)
    delays = []
  }

  async function countPeer(): Promise<Counters | undefined> {
    const peer = whep()?.peer
    if (!peer) return undefined
    const report = await peer.getStats()
    if (peer !== whep()?.peer) return undefined
    const entries: Record<string, unknown>[] = []
    report.forEach((entry: Record<string, unknown>) => entries.push(entry))
    return countersOf(entries, performance.now())
  }

  /** No reports come this way, so that the relay's clock is asked for. */
  async function countPlayer(): Promise<Counters | undefined> {
    const clockAheadMs = await relayAheadMs()
    const [way, element] = [mse(), video.value]
    if (!way || !element) return undefined
    const frames = element.getVideoPlaybackQuality().totalVideoFrames
    const player = { frames, width: element.videoWidth, height: element.videoHeight }
    const came = { bytes: way.bytes, mime: feed()?.mime ?? '' }
    return {
      ...countersOfPlayer(came, player, performance.now()),
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
    }
  }

  const hurry = () => ways?.hurry(state.value)
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
