/** What the service says of a camera, with a code under which other languages have words for it. No I/O. */

import type { CameraTrack, ProbeSourceResponse, ProbeStep, ProbeTrack } from '../gen/patchbay/camera/v1/cameras_pb'
import type { Params } from '../i18n'

export interface Said {
  /** The service's own words. */
  words: string
  code: string
  params?: Params
}

export function adviceOf({ advice, adviceCodes }: ProbeSourceResponse): Said[] {
  return advice.map((words, index) => ({ words, code: `advice.${adviceCodes[index] ?? ''}` }))
}

export function stepSaid({ name, detail }: ProbeStep): Said {
  return { words: detail, code: `step.${name}` }
}

/** How browsers get a track. */
export function deliveryOf({ track, passesThrough, delivery }: ProbeTrack): Said {
  const { codec = '', reordered = false } = track ?? {}
  if (passesThrough) return { words: delivery, code: 'delivery.asItIs' }
  if (codec === 'H265') return { words: delivery, code: 'delivery.h265' }
  return { words: delivery, code: reordered ? 'delivery.reordered' : 'delivery.codec', params: { codec } }
}

/** Why a track is made of another one, as the tracks of the camera show it. */
export function whyMade(made: CameraTrack, tracks: CameraTrack[]): Said {
  const isSound = ({ channels }: CameraTrack) => channels > 0
  const from = tracks.find((track) => !track.transcoded && isSound(track) === isSound(made))
  if (!from) return { words: made.why, code: '' }
  const params = { codec: from.codec }
  if (from.codec !== made.codec) return { words: made.why, code: 'why.codec', params }
  const isSmaller = made.height > 0 && made.height < from.height
  return { words: made.why, code: from.reordered && !isSmaller ? 'why.reordered' : 'why.smaller', params }
}
