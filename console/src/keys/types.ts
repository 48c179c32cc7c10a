/** What keys of each type are called, and what they can do. */

import { KeyType } from '../gen/patchbay/crypto/v1/keys_pb'
import type { Key as Words } from '../i18n'

/** What a key is used for. */
export type Purpose = 'encrypt' | 'stream' | 'sign' | 'hmac' | 'agree' | 'encapsulate'

/** How a key signs, which decides what there is to choose. */
export type Family = 'symmetric' | 'stream' | 'hmac' | 'ed25519' | 'ecdsa' | 'rsa' | 'ml-dsa' | 'agreement' | 'ml-kem'

export interface TypeFacts {
  type: KeyType
  /** As documents and configuration have it. */
  name: string
  words: Words
  family: Family
  purposes: Purpose[]
  /** Whether associated data can be bound to a ciphertext. */
  bindsData: boolean
}

function facts(type: KeyType, name: string, words: Words, family: Family, purposes: Purpose[]): TypeFacts {
  const bindsData = family === 'symmetric' && type !== KeyType.AES256_CBC_LEGACY
  return { type, name, words, family, purposes, bindsData }
}

/** In the order in which they are offered: the best first. */
export const TYPES: TypeFacts[] = [
  facts(KeyType.XAES256_GCM, 'xaes256-gcm', 'keyType.best', 'symmetric', ['encrypt']),
  facts(KeyType.AES256_GCM96, 'aes256-gcm96', 'keyType.gcm', 'symmetric', ['encrypt']),
  facts(KeyType.AES192_GCM96, 'aes192-gcm96', 'keyType.gcm', 'symmetric', ['encrypt']),
  facts(KeyType.AES128_GCM96, 'aes128-gcm96', 'keyType.gcm', 'symmetric', ['encrypt']),
  facts(KeyType.CHACHA20_POLY1305, 'chacha20-poly1305', 'keyType.gcm', 'symmetric', ['encrypt']),
  facts(KeyType.AES256_GCM_CHUNKED, 'aes256-gcm-chunked', 'keyType.chunked', 'stream', ['stream']),
  facts(KeyType.AES128_GCM_CHUNKED, 'aes128-gcm-chunked', 'keyType.chunked', 'stream', ['stream']),
  facts(KeyType.AES256_GCM_SIV_CONVERGENT, 'aes256-gcm-siv-convergent', 'keyType.convergent', 'symmetric', ['encrypt']),
  facts(KeyType.AES256_CBC_HMAC_SHA512, 'aes256-cbc-hmac-sha512', 'keyType.cbcHmac', 'symmetric', ['encrypt']),
  facts(KeyType.AES256_CBC_LEGACY, 'aes256-cbc-legacy', 'keyType.legacy', 'symmetric', ['encrypt']),
  facts(KeyType.ED25519, 'ed25519', 'keyType.sign', 'ed25519', ['sign']),
  facts(KeyType.ECDSA_P256, 'ecdsa-p256', 'keyType.sign', 'ecdsa', ['sign']),
  facts(KeyType.ECDSA_P384, 'ecdsa-p384', 'keyType.sign', 'ecdsa', ['sign']),
  facts(KeyType.ECDSA_P521, 'ecdsa-p521', 'keyType.sign', 'ecdsa', ['sign']),
  facts(KeyType.ML_DSA_65, 'ml-dsa-65', 'keyType.mlDsa', 'ml-dsa', ['sign']),
  facts(KeyType.RSA_3072, 'rsa-3072', 'keyType.rsa', 'rsa', ['encrypt', 'sign']),
  facts(KeyType.RSA_4096, 'rsa-4096', 'keyType.rsa', 'rsa', ['encrypt', 'sign']),
  facts(KeyType.RSA_2048, 'rsa-2048', 'keyType.rsa', 'rsa', ['encrypt', 'sign']),
  facts(KeyType.X25519, 'x25519', 'keyType.agreement', 'agreement', ['agree']),
  facts(KeyType.ECDH_P256, 'ecdh-p256', 'keyType.agreement', 'agreement', ['agree']),
  facts(KeyType.ML_KEM_768, 'ml-kem-768', 'keyType.mlKem', 'ml-kem', ['encapsulate']),
  facts(KeyType.HMAC, 'hmac', 'keyType.hmac', 'hmac', ['hmac']),
]

/** Whether a key may have a certificate: keys that sign, in ways that certificates are made for. */
export function mayHaveCertificate(type: KeyType): boolean {
  return ['ed25519', 'ecdsa', 'rsa'].includes(typeFacts(type)?.family ?? '')
}

export function typeFacts(type: KeyType | undefined): TypeFacts | undefined {
  return TYPES.find((one) => one.type === type)
}

/** Tells whether a name may be a key's. */
export function isKeyName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,128}$/.test(name)
}
