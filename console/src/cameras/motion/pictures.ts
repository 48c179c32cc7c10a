/** Pictures of motions, which never change: the last ones that were shown are kept. */

import { cameras } from '../../calls/clients'
import { jpegOf } from '../picture'

const MOST_KEPT = 60

/** Oldest first. */
const kept = new Map<string, Promise<Blob>>()

export function motionPicture(camera: string, id: string): Promise<Blob> {
  const key = `${camera}/${id}`
  const known = kept.get(key)
  if (known) return known
  const picture = read(camera, id)
  kept.set(key, picture)
  picture.catch(() => kept.delete(key))
  const [oldest] = kept.keys()
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  return picture
}

async function read(name: string, id: string): Promise<Blob> {
  const { jpeg } = await cameras.getMotionPicture({ name, id })
  return jpegOf(jpeg)
}
