/** What there is to choose when a key signs. */

import { SignatureScheme } from '../gen/patchbay/crypto/v1/data_pb'
import { DigestAlgorithm } from '../gen/patchbay/crypto/v1/hash_pb'
import type { Key as Words } from '../i18n'
import type { Family } from '../keys/types'

export const DIGESTS: { digest: DigestAlgorithm; name: string }[] = [
  { digest: DigestAlgorithm.SHA2_256, name: 'SHA-256' },
  { digest: DigestAlgorithm.SHA2_384, name: 'SHA-384' },
  { digest: DigestAlgorithm.SHA2_512, name: 'SHA-512' },
]

/** Ways to sign, the usual one first. */
export const SCHEMES: Partial<Record<Family, { scheme: SignatureScheme; words: Words }[]>> = {
  rsa: [
    { scheme: SignatureScheme.PSS, words: 'play.pss' },
    { scheme: SignatureScheme.PKCS1V15, words: 'play.pkcs1' },
  ],
  ecdsa: [
    { scheme: SignatureScheme.ECDSA_ASN1, words: 'play.asn1' },
    { scheme: SignatureScheme.ECDSA_P1363, words: 'play.p1363' },
  ],
}
