/** An ONVIF camera that is asked for its streams. */

import { onScopeDispose, shallowRef } from 'vue'
import { cameras } from '../../calls/clients'
import { useAction } from '../../calls/use'
import type { DescribeDeviceResponse, DeviceStream } from '../../gen/patchbay/camera/v1/cameras_pb'
import { formatNumber, t } from '../../i18n'
import type { Said } from '../said'
import { bitrateWords } from '../words'
import { durationOf } from './source'

export interface DeviceLogin {
  username: string
  password: string
}

const NO_LOGIN: DeviceLogin = { username: '', password: '' }

export interface Question extends DeviceLogin {
  address: string
  fingerprint: string
}

/** Cameras are slow to answer, and are asked once for each stream. */
const ASK_SECONDS = 15
const TIMEOUT_MS = 30_000

export function useDevice() {
  const told = shallowRef<DescribeDeviceResponse>()
  /** With which login that was told; what stands in the fields may be another by now. */
  const login = shallowRef(NO_LOGIN)
  const leaving = new AbortController()
  onScopeDispose(() => leaving.abort())

  const action = useAction(async ({ address, username, password, fingerprint }: Question) => {
    told.value = undefined
    login.value = { username, password }
    const given = username === '' && password === '' ? {} : { login: login.value }
    const request = { address, ...given, certificateFingerprint: fingerprint, timeout: durationOf(ASK_SECONDS) }
    told.value = await cameras.describeDevice(request, { timeoutMs: TIMEOUT_MS, signal: leaving.signal })
  })

  return { action, told, login }
}

/** The login for a stream: that of the camera, unless the stream is elsewhere. A camera may name any host, and the person meant none but the camera. */
export function loginFor({ noteCode }: DeviceStream, login: DeviceLogin): DeviceLogin {
  return noteCode === 'OTHER_HOST' ? NO_LOGIN : login
}

/** What the camera calls itself. */
export function deviceWords({ maker, model }: DescribeDeviceResponse): string {
  return model.startsWith(maker) ? model : `${maker} ${model}`.trim()
}

/** A stream by what the camera tells of it, which may be its name alone. */
export function streamWords({ name, token, codec, width, height, fps, bitrate }: DeviceStream): string {
  const parts = [name || token]
  if (codec !== '') parts.push(codec)
  if (width > 0) parts.push(t('cameras.size', { width, height }))
  if (fps > 0) parts.push(t('cameras.fps', { n: formatNumber(fps, 'tenths') }))
  if (bitrate > 0n) parts.push(bitrateWords(Number(bitrate)))
  return parts.join(' · ')
}

export function noteOf({ note, noteCode }: DeviceStream): Said {
  return { words: note, code: `onvif.${noteCode}` }
}
