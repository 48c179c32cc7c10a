/** The way to the services: grpc-web on the page's own origin. */

import type { Interceptor, Transport } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
import { noticeSeal } from './sealed'

/** Password hashes and RSA keys may queue behind others; the page should still tell in time that nobody answers. */
const TIMEOUT_MS = 15_000

export function transport(...interceptors: Interceptor[]): Transport {
  return createGrpcWebTransport({
    baseUrl: globalThis.location?.origin ?? '',
    interceptors: [...interceptors, noticeSeal],
    defaultTimeoutMs: TIMEOUT_MS,
  })
}
