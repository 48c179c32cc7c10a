/** A look at a source that is no camera yet. */

import { create } from '@bufbuild/protobuf'
import { onScopeDispose, ref, shallowRef } from 'vue'
import { cameras } from '../../calls/clients'
import { useAction } from '../../calls/use'
import { CameraSchema, type Camera, type ProbeSourceResponse } from '../../gen/patchbay/camera/v1/cameras_pb'
import { durationOf } from './source'

/** What a probe does, in this order. */
export const PROBE_STEPS = ['resolve', 'connect', 'tls', 'open', 'tracks', 'key_frame', 'pictures'] as const

export type ProbeStepName = (typeof PROBE_STEPS)[number]

/** Long enough for a camera with a key frame each ten seconds. */
const LOOK_SECONDS = 20

/** The service answers within the time that it was given, and a little for the way. */
const TIMEOUT_MS = (LOOK_SECONDS + 15) * 1_000

export function useProbe() {
  const report = shallowRef<ProbeSourceResponse>()
  /** The source that was looked at, to notice that it is another one now. */
  const of = ref('')
  const beganAtMs = ref(0)
  let leaving = new AbortController()

  const action = useAction(async (camera: Camera) => {
    report.value = undefined
    leaving = new AbortController()
    of.value = sourceKey(camera)
    beganAtMs.value = Date.now()
    const { name, source } = camera
    const request = { camera: create(CameraSchema, { name, source }), timeout: durationOf(LOOK_SECONDS) }
    report.value = await cameras.probeSource(request, { timeoutMs: TIMEOUT_MS, signal: leaving.signal })
  })

  const stop = () => leaving.abort()
  onScopeDispose(stop)
  return { action, report, of, beganAtMs, stop }
}

/** Two cameras with the same one have the same source. */
export function sourceKey({ source }: Camera): string {
  const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
  return JSON.stringify(source, plain)
}
