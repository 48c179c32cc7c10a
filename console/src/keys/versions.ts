/** What versions of a key may still do. */

import type { Key } from '../gen/patchbay/crypto/v1/keys_pb'

type Minima = Pick<Key, 'latestVersion' | 'minDecryptionVersion' | 'minEncryptionVersion'>

/** Whether a version may encrypt or sign when a call names it. */
export function canEncrypt({ latestVersion, minEncryptionVersion }: Minima, version: number): boolean {
  return version === latestVersion || version >= minEncryptionVersion
}

/** The lowest version that must stay: all below do nothing any more, and may be destroyed. */
export function trimFloor({ minDecryptionVersion, minEncryptionVersion }: Minima): number {
  return minEncryptionVersion === 0 ? minDecryptionVersion : Math.min(minDecryptionVersion, minEncryptionVersion)
}
