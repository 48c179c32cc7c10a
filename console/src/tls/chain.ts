/** A chain as it is drawn: each certificate with what can be seen wrong with it alone, and whether the next one signed it. */

import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Certificate, CertificateChain } from '../gen/patchbay/crypto/v1/tls_pb'
import type { Key } from '../i18n'

export interface Link {
  certificate: Certificate
  role: Key
  /** What is wrong with this one. */
  problems: Key[]
  /** What is between it and what comes next. */
  next: 'signed-by' | 'not-signed-by' | 'end'
}

/** RSA keys below are weak. */
const RSA_BITS = 2048

/** How a chain ends below its last certificate. */
export type End = 'root-sent' | 'root-known' | 'nowhere'

/** Whether a server showed the chain, whose first is its own then whatever it is, or somebody brought it. */
export type From = 'served' | 'brought'

export function links({ certificates }: CertificateChain, from: From, nowMs: number): Link[] {
  return certificates.map((certificate, index) => {
    const following = certificates[index + 1]
    const isOwn = index === 0 && (from === 'served' || !certificate.isCa)
    return {
      certificate,
      role: isOwn ? 'tls.role.own' : roleOf(certificate),
      problems: problemsOf(certificate, isOwn ? 'own' : 'other', nowMs),
      next: !following ? 'end' : following.subject === certificate.issuer ? 'signed-by' : 'not-signed-by',
    }
  })
}

export function endOf({ certificates, isTrusted }: CertificateChain): End {
  if (!isTrusted) return 'nowhere'
  return certificates.at(-1)?.isSelfSigned ? 'root-sent' : 'root-known'
}

function roleOf({ isCa, isSelfSigned }: Certificate): Key {
  return isSelfSigned ? 'tls.role.root' : isCa ? 'tls.role.intermediate' : 'tls.role.other'
}

function problemsOf(certificate: Certificate, place: 'own' | 'other', nowMs: number): Key[] {
  const { daysLeft, notBefore, isSelfSigned, keyType, keyBits, signatureAlgorithm } = certificate
  const checks: [boolean, Key][] = [
    [daysLeft < 0, 'tls.problem.expired'],
    [notBefore !== undefined && timestampMs(notBefore) > nowMs, 'tls.problem.notYet'],
    [place === 'own' && isSelfSigned, 'tls.problem.selfSigned'],
    [keyType.startsWith('RSA') && keyBits < RSA_BITS, 'tls.problem.weakKey'],
    // A root is trusted for itself, whatever its signature.
    [!isSelfSigned && /(MD5|SHA-?1)(?!\d)/i.test(signatureAlgorithm), 'tls.problem.weakSignature'],
  ]
  return checks.filter(([applies]) => applies).map(([, words]) => words)
}
