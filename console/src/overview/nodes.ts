/** Asks the console service which replicas run: grpc-web on the page's own origin, with the person's token. */

import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
import { timestampMs } from '@bufbuild/protobuf/wkt'
import { NodeState, Overview, type ListNodesResponse } from '../gen/patchbay/console/v1/console_pb'
import { session } from '../session'

export interface Replica {
  id: string
  service: string
  version: string
  uptimeSeconds: number
  state: 'ready' | 'degraded' | 'not-ready' | 'unknown'
  detail: string
  figures: Record<string, number>
}

/** The suite at one moment. */
export interface Snapshot {
  replicas: Replica[]
  backplane: string
  backplaneUp: boolean
  atMs: number
}

/** Why there is no snapshot. */
export type Trouble = 'no-token' | 'bad-token' | 'not-allowed' | 'unreachable'

const TIMEOUT_MS = 5_000

const STATES: Record<NodeState, Replica['state']> = {
  [NodeState.UNSPECIFIED]: 'unknown',
  [NodeState.READY]: 'ready',
  [NodeState.DEGRADED]: 'degraded',
  [NodeState.NOT_READY]: 'not-ready',
}

const withToken: Interceptor = (next) => (request) => {
  if (session.token !== null) request.header.set('authorization', `Bearer ${session.token}`)
  return next(request)
}

const overview = createClient(
  Overview,
  createGrpcWebTransport({
    baseUrl: globalThis.location?.origin ?? '',
    interceptors: [withToken],
    defaultTimeoutMs: TIMEOUT_MS,
  }),
)

export async function listNodes(): Promise<Snapshot | Trouble> {
  if (session.token === null) return 'no-token'
  try {
    return snapshot(await overview.listNodes({}))
  } catch (error) {
    return trouble(ConnectError.from(error).code)
  }
}

function snapshot(response: ListNodesResponse): Snapshot {
  return {
    replicas: response.nodes.map((node) => ({
      id: node.id,
      service: node.service,
      version: node.version,
      uptimeSeconds: Number(node.uptime?.seconds ?? 0n),
      state: STATES[node.state] ?? 'unknown',
      detail: node.detail,
      figures: node.figures,
    })),
    backplane: response.backplane,
    backplaneUp: response.backplaneUp,
    atMs: response.time ? timestampMs(response.time) : Date.now(),
  }
}

function trouble(code: Code): Trouble {
  if (code === Code.Unauthenticated) return 'bad-token'
  if (code === Code.PermissionDenied) return 'not-allowed'
  return 'unreachable'
}
