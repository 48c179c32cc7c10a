/** The small parts of accounts, keys and the playground. */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { Code, ConnectError } from '@connectrpc/connect'
import { beforeEach, describe, expect, test } from 'vitest'
import { deviceName } from '../src/account/keeping'
import { isAccountName, isUsername } from '../src/account/names'
import { COMMON, scopeProblem, scopesIn } from '../src/account/scopes'
import { troubleOf, troubleWords } from '../src/calls/trouble'
import { KeyType } from '../src/gen/patchbay/crypto/v1/keys_pb'
import { locale } from '../src/i18n'
import { bytesOf, FORMATS, textOf } from '../src/keys/bytes'
import { isKeyName, TYPES } from '../src/keys/types'
import { canEncrypt, trimFloor } from '../src/keys/versions'
import { linesOf, pairsIn } from '../src/playground/pairs'
import { may, readClaims, session } from '../src/session'

beforeEach(() => {
  locale.value = 'en'
})

describe('bytes', () => {
  const all = Uint8Array.from({ length: 256 }, (_, index) => index)

  test('come back from every form that can show them', () => {
    for (const format of FORMATS) {
      const text = textOf(all, format)
      expect(text === undefined ? format : [...(bytesOf(text, format) ?? [])]).toEqual(
        format === 'text' ? 'text' : [...all],
      )
    }
    expect(bytesOf(textOf(new TextEncoder().encode('\uFEFF密钥 🔑'), 'text') ?? '', 'text')).toEqual(
      new TextEncoder().encode('\uFEFF密钥 🔑'),
    )
  })

  test('are read with white space, in both alphabets and without padding', () => {
    expect(bytesOf('00 fF\n10', 'hex')).toEqual(Uint8Array.of(0, 255, 16))
    for (const text of ['+/8=', '-_8', ' +/8\n']) expect(bytesOf(text, 'base64')).toEqual(Uint8Array.of(251, 255))
  })

  test('are refused where they are none', () => {
    for (const text of ['0', 'xy', '0x00']) expect(bytesOf(text, 'hex')).toBeUndefined()
    for (const text of ['A', '!!!!', 'AA=A']) expect(bytesOf(text, 'base64')).toBeUndefined()
  })
})

describe('scopes', () => {
  test('are parted by white space, once each', () => {
    expect(scopesIn(' admin\n\tchat:publish:room/*  admin ')).toEqual(['admin', 'chat:publish:room/*'])
  })

  test('that are common are good ones', () => {
    for (const { scope } of COMMON) expect(scopeProblem(scope), scope).toBeUndefined()
  })

  test.each([
    ['admins', 'scopes.problem.shape'],
    ['chat:publish', 'scopes.problem.shape'],
    ['chat:publish:', 'scopes.problem.shape'],
    ['Chat:publish:x', 'scopes.problem.word'],
    ['chat:*:x', 'scopes.problem.word'],
    ['chat:publish:*********', 'scopes.problem.long'],
    [`chat:publish:${'x'.repeat(256)}`, 'scopes.problem.long'],
  ])('%s is told', (scope, problem) => {
    expect(scopeProblem(scope)).toBe(problem)
  })

  test('decide which pages are shown', () => {
    const payload = btoa(JSON.stringify({ sub: 'ada', scope: 'keys:list:app-* crypto:read:audit', sid: 's' }))
    session.token = `h.${payload}.s`
    expect([may('keys', 'list'), may('keys', 'create', 'manage'), may('crypto', 'read')]).toEqual([true, false, true])
    expect(may('key', 'list')).toBe(false)
    session.token = `h.${btoa(JSON.stringify({ sub: 'ada', scope: 'admin' }))}.s`
    expect(may('accounts', 'write')).toBe(true)
    session.token = null
    expect(may('accounts', 'write')).toBe(false)
  })
})

test('names are known before they are sent', () => {
  expect(['ada', 'a.b-c_1', 'x'.repeat(64)].every(isAccountName)).toBe(true)
  expect(['', 'Ada', 'a b', 'x'.repeat(65), '李'].some(isAccountName)).toBe(false)
  expect(['A.b-c_1', 'x'.repeat(128)].every(isKeyName)).toBe(true)
  expect(['', 'a/b', 'x'.repeat(129)].some(isKeyName)).toBe(false)
  expect(['sensor 1', '', 'a\u0007'].some(isUsername)).toBe(false)
  expect(isUsername('厨房/温度')).toBe(true)
})

test('every type of key is offered once, and can do something', () => {
  const offered = TYPES.map(({ type }) => type).sort((a, b) => a - b)
  const all = Object.values(KeyType).filter((type) => typeof type === 'number' && type !== KeyType.UNSPECIFIED)
  expect(offered).toEqual(all)
  expect(TYPES.every(({ purposes }) => purposes.length > 0)).toBe(true)
})

test('versions that may be destroyed are below all that are in use', () => {
  const minima = { latestVersion: 5, minDecryptionVersion: 3, minEncryptionVersion: 0 }
  expect(trimFloor(minima)).toBe(3)
  expect(trimFloor({ ...minima, minEncryptionVersion: 2 })).toBe(2)
  expect([5, 4].map((version) => canEncrypt({ ...minima, minEncryptionVersion: 5 }, version))).toEqual([true, false])
})

test('names and values of a query are one a line', () => {
  const pairs = [
    { name: 'a', value: '1=2' },
    { name: 'b', value: '' },
  ]
  expect(pairsIn('a=1=2\n\nb')).toEqual(pairs)
  expect(pairsIn(linesOf(pairs))).toEqual(pairs)
})

test('claims are read for display, and nonsense is no claim', () => {
  const payload = btoa(JSON.stringify({ sub: 'ada', scope: 'a b', sid: 's1', iat: 1, exp: 901 }))
  const times = { issuedAtMs: 1_000, expiresAtMs: 901_000 }
  expect(readClaims(`h.${payload}.s`)).toEqual({ subject: 'ada', scopes: ['a', 'b'], sessionId: 's1', ...times })
  expect(readClaims('h.e30.s')).toEqual({ subject: '', scopes: [] })
  expect(readClaims('h.!.s')).toBeNull()
})

test('a browser is called as people know it', () => {
  const chromium =
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  expect(deviceName(chromium)).toBe('Chromium, Linux')
  expect(deviceName(`${chromium} Edg/140.0`)).toBe('Edge, Linux')
  expect(deviceName('Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5; rv:128.0) Gecko/20100101 Firefox/128.0')).toBe(
    'Firefox, macOS',
  )
  expect(deviceName('something else')).toBe('')
})

describe('what went wrong', () => {
  /** An error as it comes from the wire, with the details of `google.rpc`. */
  function failure(code: Code, message: string, reason?: string, retry?: { seconds: number; nanos: number }) {
    const error = new ConnectError(message, code)
    if (reason !== undefined) {
      const value = new BinaryWriter().tag(2, 2).string('domain').tag(1, 2).string(reason).finish()
      error.details.push({ type: 'google.rpc.ErrorInfo', value })
    }
    if (retry) {
      const delay = new BinaryWriter().tag(1, 0).int64(retry.seconds).tag(2, 0).int32(retry.nanos).finish()
      error.details.push({ type: 'google.rpc.RetryInfo', value: new BinaryWriter().tag(1, 2).bytes(delay).finish() })
    }
    return error
  }

  test('is the service’s reason, with the time to wait', () => {
    const error = failure(Code.ResourceExhausted, 'too many', 'TOO_MANY_ATTEMPTS', { seconds: 61, nanos: 5e8 })
    expect(troubleOf(error)).toEqual({ reason: 'TOO_MANY_ATTEMPTS', message: 'too many', retrySeconds: 61.5 })
    expect(troubleWords(troubleOf(error))).toBe('That was tried too often. Try again in 1 min 2 s.')
  })

  test('names the fields that are wrong', () => {
    const error = failure(Code.InvalidArgument, 'two fields are wrong', 'BAD_REQUEST')
    const violation = (field: string, words: string) =>
      new BinaryWriter().tag(3, 2).string('newer').tag(2, 2).string(words).tag(1, 2).string(field).finish()
    const value = new BinaryWriter()
      .tag(1, 2)
      .bytes(violation('camera.test.width', 'must be even'))
      .tag(1, 2)
      .bytes(violation('camera.title', 'is too long'))
      .finish()
    error.details.push({ type: 'google.rpc.BadRequest', value })
    expect(troubleOf(error).violations).toEqual([
      { field: 'camera.test.width', message: 'must be even' },
      { field: 'camera.title', message: 'is too long' },
    ])
  })

  test('is told without a reason, and for reasons that this page does not know', () => {
    expect(troubleOf(failure(Code.Unavailable, 'x')).reason).toBe('UNREACHABLE')
    expect(troubleWords(troubleOf(failure(Code.Internal, 'internal error', 'NEW_REASON')))).toBe(
      'The service refused that: internal error',
    )
    expect(troubleOf(new TypeError('failed to fetch')).reason).toBe('UNREACHABLE')
    expect(troubleOf(new Error('x')).reason).toBe('OTHER')
  })

  test('with a password is told in the language that is chosen, with the service’s number', () => {
    const error = failure(Code.InvalidArgument, 'the password must have 12 characters at least', 'WEAK_PASSWORD')
    expect(troubleWords(troubleOf(error))).toContain('at least 12 characters')
    locale.value = 'zh'
    expect(troubleWords(troubleOf(error))).toBe('密码太短：至少需要 12 个字符。')
  })
})
