/** What is made of a probe's answers, of certificates, and of what a sealed service says. */
import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { Code, ConnectError, type UnaryRequest, type UnaryResponse } from '@connectrpc/connect'
import { beforeEach, describe, expect, test } from 'vitest'
import { isSealed, noticeSeal } from '../src/calls/sealed'
import {
  CertificateChainSchema,
  CertificateSchema,
  FindingSchema,
  ProbeFailure,
  Severity,
  StartTls,
  TlsVersion,
} from '../src/gen/patchbay/crypto/v1/tls_pb'
import { KeyType } from '../src/gen/patchbay/crypto/v1/keys_pb'
import { locale } from '../src/i18n'
import { mayHaveCertificate } from '../src/keys/types'
import { services } from '../src/overview/figures'
import type { Snapshot } from '../src/overview/nodes'
import { endOf, links, type From } from '../src/tls/chain'
import { refusePrivateKey } from '../src/tls/secret'
import {
  daysBadge,
  daysWords,
  failureWords,
  findingDetail,
  findingName,
  gradeColours,
  inPairs,
  keyWords,
  partsOfName,
  probeQuery,
  shortName,
  startTlsNamed,
  startTlsWords,
  versionName,
} from '../src/tls/words'

const DAY = 86_400_000

beforeEach(() => {
  locale.value = 'en'
})

/** Values of an enum without the one that says nothing. */
function values(all: Record<string, string | number>): number[] {
  return Object.values(all).filter((value): value is number => typeof value === 'number' && value !== 0)
}

describe('words', () => {
  test('are there for every failure, version and beginning, and differ', () => {
    const kinds: [Record<string, string | number>, (value: number) => string][] = [
      [ProbeFailure, failureWords],
      [TlsVersion, versionName],
      [StartTls, startTlsWords],
    ]
    for (const [all, words] of kinds) {
      const told = values(all).map((value) => words(value))
      expect(told.every((text) => text.length > 0)).toBe(true)
      expect(new Set(told).size).toBe(told.length)
    }
  })

  test('of a newer service are shown as it says them', () => {
    const finding = create(FindingSchema, { code: 'NOT_KNOWN_HERE', message: 'something new', severity: Severity.NOTE })
    expect([findingName(finding), findingDetail(finding)]).toEqual(['something new', undefined])
    expect(failureWords(99 as ProbeFailure)).toBe('The server could not be probed.')
  })

  test('tell days left and over in the language that is chosen', () => {
    expect([1, 2, 0, -1].map(daysWords)).toEqual(['1 day left', '2 days left', '0 days left', 'expired 1 day ago'])
    locale.value = 'zh'
    expect([12, -3].map(daysWords)).toEqual(['剩余 12 天', '已过期 3 天'])
  })
})

test('a watched host is probed as it is watched', () => {
  expect(probeQuery('smtp://mail.example.com:25')).toEqual({ host: 'mail.example.com:25', begin: 'smtp' })
  expect(probeQuery('[::1]:8443')).toEqual({ host: '[::1]:8443' })
  expect(['ftp', 'smtp', 'imap', 'gopher', undefined].map(startTlsNamed)).toEqual([
    StartTls.FTP,
    StartTls.SMTP,
    StartTls.IMAP,
    StartTls.UNSPECIFIED,
    StartTls.UNSPECIFIED,
  ])
})

test('certificates change their colour under 30, 14 and 7 days', () => {
  const badges = [30, 29, 14, 13, 7, 6, -1].map(daysBadge)
  expect(badges[0]).toContain('success')
  expect(badges[1]).toContain('outline')
  expect(badges[2]).toBe(badges[1])
  expect(badges[3]).toBe('badge-warning')
  expect(badges[4]).toBe(badges[3])
  expect(badges[5]).toBe('badge-error')
  expect(badges[6]).toBe(badges[5])
})

test('grades have their colours, those that are not trusted the worst', () => {
  expect(gradeColours('A+')).toContain('success')
  expect(gradeColours('B')).toContain('info')
  for (const grade of ['E', 'F', 'T', 'M']) expect(gradeColours(grade), grade).toContain('error')
})

describe('names of certificates', () => {
  test('are told by the common name, else by what comes first', () => {
    expect(shortName('CN=mail.example.com,O=Example')).toBe('mail.example.com')
    expect(shortName('O=Example Trust,C=DE')).toBe('Example Trust')
    expect(shortName('O=First+CN=two')).toBe('two')
    expect(shortName('')).toBe('')
  })

  test('are read with what RFC 4514 escapes', () => {
    expect(partsOfName('CN=Steve\\, Inc.\\+\\=,OU=a\\2Cb\\E5\\AF\\86, 2.5.4.5=7')).toEqual([
      ['CN', 'Steve, Inc.+='],
      ['OU', 'a,b密'],
      ['2.5.4.5', '7'],
    ])
  })

  test('and of keys with bits where the type does not say them', () => {
    const one = (keyType: string, keyBits: number) => keyWords(create(CertificateSchema, { keyType, keyBits }))
    expect([one('RSA', 2048), one('EC P-256', 256), one('Ed25519', 256)]).toEqual([
      'RSA, 2048 bits',
      'EC P-256',
      'Ed25519',
    ])
  })

  test('and fingerprints in pairs', () => {
    expect(inPairs('00ab1f')).toBe('00:AB:1F')
  })
})

describe('a chain', () => {
  const now = Date.UTC(2026, 10, 1)
  const certificate = (fields: object) =>
    create(CertificateSchema, {
      keyType: 'EC P-256',
      keyBits: 256,
      signatureAlgorithm: 'ECDSA-SHA256',
      daysLeft: 90,
      ...fields,
    })
  const leaf = certificate({ subject: 'CN=a', issuer: 'CN=I' })
  const intermediate = certificate({ subject: 'CN=I', issuer: 'CN=R', isCa: true })
  const root = certificate({ subject: 'CN=R', issuer: 'CN=R', isCa: true, isSelfSigned: true })
  const drawn = (certificates: (typeof leaf)[], isTrusted = true, from: From = 'served') => {
    const chain = create(CertificateChainSchema, { certificates, isTrusted, root: isTrusted ? 'R' : '' })
    return { links: links(chain, from, now), end: endOf(chain) }
  }

  test('is drawn from the server’s own to a root that clients know', () => {
    const { links, end } = drawn([leaf, intermediate])
    expect(links.map(({ role, next }) => [role, next])).toEqual([
      ['tls.role.own', 'signed-by'],
      ['tls.role.intermediate', 'end'],
    ])
    expect(end).toBe('root-known')
  })

  test('ends with a root that was sent along, or nowhere', () => {
    expect(drawn([leaf, intermediate, root])).toMatchObject({
      end: 'root-sent',
      links: { 2: { role: 'tls.role.root' } },
    })
    expect(drawn([leaf], false).end).toBe('nowhere')
  })

  test('is broken where the next one has another name', () => {
    expect(drawn([leaf, root, intermediate], false).links.map(({ next }) => next)).toEqual([
      'not-signed-by',
      'not-signed-by',
      'end',
    ])
  })

  test('that somebody brought may be of authorities alone', () => {
    expect(drawn([root], true, 'brought').links).toMatchObject([{ role: 'tls.role.root', problems: [] }])
    expect(drawn([intermediate, root], true, 'brought').links[0]?.role).toBe('tls.role.intermediate')
    expect(drawn([root], false).links).toMatchObject([{ role: 'tls.role.own', problems: ['tls.problem.selfSigned'] }])
  })

  test('shows at each certificate what is wrong with it', () => {
    const problems = (fields: object, index = 0) =>
      drawn(index === 0 ? [certificate(fields)] : [leaf, certificate(fields)], false).links[index]?.problems
    expect(problems({})).toEqual([])
    expect(problems({ daysLeft: -1 })).toEqual(['tls.problem.expired'])
    expect(problems({ notBefore: timestampFromMs(now + DAY) })).toEqual(['tls.problem.notYet'])
    expect(problems({ notBefore: timestampFromMs(now - DAY) })).toEqual([])
    expect(problems({ isSelfSigned: true })).toEqual(['tls.problem.selfSigned'])
    expect(problems({ keyType: 'RSA', keyBits: 1024 })).toEqual(['tls.problem.weakKey'])
    for (const signatureAlgorithm of ['SHA1-RSA', 'ECDSA-SHA1', 'MD5-RSA']) {
      expect(problems({ signatureAlgorithm }), signatureAlgorithm).toEqual(['tls.problem.weakSignature'])
      expect(problems({ signatureAlgorithm, isSelfSigned: true, isCa: true }, 1)).toEqual([])
    }
    for (const signatureAlgorithm of ['SHA256-RSA', 'ECDSA-SHA384', 'SHA512-RSA', 'Ed25519']) {
      expect(problems({ signatureAlgorithm }), signatureAlgorithm).toEqual([])
    }
  })
})

test('keys that sign in ways of certificates may have one', () => {
  expect([KeyType.ED25519, KeyType.ECDSA_P521, KeyType.RSA_2048].every(mayHaveCertificate)).toBe(true)
  expect([KeyType.ML_DSA_65, KeyType.X25519, KeyType.HMAC, KeyType.XAES256_GCM].some(mayHaveCertificate)).toBe(false)
})

test('the overview tells days of certificates, and of several replicas the one that ends first', () => {
  const atMs = Date.UTC(2026, 10, 1)
  const replica = (id: string, days: number) => ({
    id,
    service: 'console',
    version: '1',
    uptimeSeconds: 1,
    state: 'ready' as const,
    detail: '',
    figures: { certificate_expires_http: atMs / 1000 + days * 86_400 + 100, root_generation: 7, tunnels: 1 },
  })
  const now: Snapshot = { replicas: [replica('a', 80), replica('b', -2)], backplane: 'memory', backplaneUp: true, atMs }
  expect(services(now, undefined)[0]?.figures).toEqual([
    { name: 'http', kind: 'certificate', value: -2 },
    { name: 'tunnels', kind: 'gauge', value: 2 },
  ])
})

describe('a sealed service', () => {
  const request = {} as UnaryRequest
  const failing = (code: Code, reason: string) => () => {
    const error = new ConnectError('no', code)
    const value = new BinaryWriter().tag(1, 2).string(reason).finish()
    error.details.push({ type: 'google.rpc.ErrorInfo', value })
    return Promise.reject(error)
  }

  beforeEach(() => {
    isSealed.value = false
  })

  test('is noticed by any call, which fails as it would', async () => {
    await expect(noticeSeal(failing(Code.Unavailable, 'SEALED'))(request)).rejects.toThrow('no')
    expect(isSealed.value).toBe(true)
  })

  test('is told apart from one that is away, or refuses', async () => {
    await expect(noticeSeal(failing(Code.Unavailable, 'UNAVAILABLE'))(request)).rejects.toThrow()
    await expect(noticeSeal(failing(Code.PermissionDenied, 'PERMISSION_DENIED'))(request)).rejects.toThrow()
    await expect(noticeSeal(() => Promise.reject(new TypeError('failed to fetch')))(request)).rejects.toThrow()
    await noticeSeal(() => Promise.resolve({} as UnaryResponse))(request)
    expect(isSealed.value).toBe(false)
  })
})

describe('private keys stay in the browser', () => {
  const text = (label: string) => new TextEncoder().encode(`x\n-----BEGIN ${label}-----\nAAAA`)

  test.each(['PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'EC PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'PGP PRIVATE KEY BLOCK'])(
    'as PEM: %s',
    (label) => expect(() => refusePrivateKey(text(label))).toThrow('PRIVATE_KEY'),
  )

  test.each([
    ['PKCS #8', [0x30, 0x2e, 2, 1, 0]],
    ['PKCS #1', [0x30, 0x82, 4, 0xa3, 2, 1, 0]],
    ['PKCS #12', [0x30, 0x80, 2, 1, 3]],
  ])('as DER: %s', (_, bytes) => expect(() => refusePrivateKey(Uint8Array.from(bytes))).toThrow('PRIVATE_KEY'))

  test('but certificates, and what is nothing, go on', () => {
    for (const bytes of [
      text('CERTIFICATE'),
      Uint8Array.of(),
      Uint8Array.of(0x30),
      Uint8Array.of(0x30, 0x82, 1, 0, 0x30),
    ])
      expect(() => refusePrivateKey(bytes)).not.toThrow()
  })
})
