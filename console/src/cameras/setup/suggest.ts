/** What a form can propose by itself: names, paths by maker, and the certificate that was met. No I/O. */

import { isCameraName, type Settings } from '../settings'
import { kindOf, splitLogin, withScheme } from './source'

/** Where cameras of well-known makers have their main stream, as their manuals say. */
export const MAKERS: { maker: string; path: string }[] = [
  { maker: 'Hikvision', path: '/Streaming/Channels/101' },
  { maker: 'Dahua, Amcrest', path: '/cam/realmonitor?channel=1&subtype=0' },
  { maker: 'Axis', path: '/axis-media/media.amp' },
  { maker: 'Reolink', path: '/h264Preview_01_main' },
  { maker: 'TP-Link Tapo', path: '/stream1' },
  { maker: 'Uniview, Sony', path: '/media/video1' },
  { maker: 'Hanwha', path: '/profile2/media.smp' },
  { maker: 'Foscam', path: '/videoMain' },
  { maker: 'D-Link', path: '/live1.sdp' },
  { maker: 'Vivotek', path: '/live.sdp' },
  { maker: 'Bosch', path: '/rtsp_tunnel' },
]

/** The same host with another path. */
export function withPath(address: string, path: string): string {
  const [place] = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(withScheme(splitLogin(address).address)) ?? []
  return place === undefined ? address : place + path
}

/** SHA-256 of a certificate, as a sentence of the service has it. */
export function fingerprintIn(text: string): string | undefined {
  return /\b(?:[\da-f]{2}:){31}[\da-f]{2}\b|\b[\da-f]{64}\b/i.exec(text)?.[0]
}

/** Scopes that allow one camera alone give its name. */
function allowedNames(scopes: string[]): string[] {
  const names = scopes.map((scope) => /^media:write:([^*]+)$/.exec(scope)?.[1]).filter((name) => name !== undefined)
  return scopes.some((scope) => scope === 'admin' || scope === 'media:write:*') ? [] : names
}

/** A name that is free, and that says something of where the camera is. */
export function suggestName(settings: Settings, taken: string[], scopes: string[]): string {
  const allowed = allowedNames(scopes).find((name) => isCameraName(name) && !taken.includes(name))
  if (allowed !== undefined) return allowed
  const stem = stemOf(settings)
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? stem : `${stem.slice(0, 60)}-${n}`
    if (!taken.includes(name)) return name
  }
}

function stemOf(settings: Settings): string {
  const kind = kindOf(settings)
  const base = (path: string) => path.split(/[\\/]/).at(-1) ?? ''
  const words = {
    ...{ rtsp: hostOf, url: hostOf, mjpeg: hostOf, test: () => 'test-picture' },
    file: () => base(settings.path).replace(/\.\w+$/, ''),
    device: () => base(settings.device.path),
    opencv: () => base(settings.input),
  }[kind](settings)
  const name = words.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '')
  if (name === '') return 'camera'
  return (/^\d/.test(name) ? `camera-${name}` : name).slice(0, 64)
}

function hostOf({ address }: Settings): string {
  return /^[a-z][a-z\d+.-]*:\/\/(\[[^\]]*\]|[^/?#:]*)/i.exec(withScheme(splitLogin(address).address))?.[1] ?? ''
}
