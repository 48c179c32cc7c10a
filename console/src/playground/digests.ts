/** The hash functions, by the names that documents and paths have for them. */

import { DigestAlgorithm as A } from '../gen/patchbay/crypto/v1/hash_pb'

export interface Algorithm {
  algorithm: A
  name: string
  /** As the path of the stream has it. */
  word: string
  /** Broken: good for a checksum against accidents only. */
  isUnsafe: boolean
}

function safe(algorithm: A, name: string, word: string): Algorithm {
  return { algorithm, name, word, isUnsafe: false }
}

export const ALGORITHMS: Algorithm[] = [
  safe(A.SHA2_256, 'SHA-256', 'sha2-256'),
  safe(A.SHA2_512, 'SHA-512', 'sha2-512'),
  safe(A.SHA2_384, 'SHA-384', 'sha2-384'),
  safe(A.SHA2_224, 'SHA-224', 'sha2-224'),
  safe(A.SHA3_256, 'SHA3-256', 'sha3-256'),
  safe(A.SHA3_512, 'SHA3-512', 'sha3-512'),
  safe(A.SHA3_384, 'SHA3-384', 'sha3-384'),
  safe(A.SHA3_224, 'SHA3-224', 'sha3-224'),
  safe(A.BLAKE2B_512, 'BLAKE2b-512', 'blake2b-512'),
  safe(A.BLAKE2S_256, 'BLAKE2s-256', 'blake2s-256'),
  { algorithm: A.SHA1, name: 'SHA-1', word: 'sha1', isUnsafe: true },
  { algorithm: A.MD5, name: 'MD5', word: 'md5', isUnsafe: true },
]
