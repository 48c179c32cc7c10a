/** Asks the console service which replicas run: grpc-web on the page's own origin, with the person's token. */

import { Code, ConnectError } from '@connectrpc/connect'
import { timestampMs } from '@bufbuild/protobuf/wkt'
import { overview } from '../calls/clients'
import { NodeState, type ListNodesResponse } from '../gen/patchbay/console/v1/console_pb'
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

/** The overview is asked for again and again, so that one question may be given up early. */
const TIMEOUT_MS = 5_000

const STATES: Record<NodeState, Replica['state']> = {
  [NodeState.UNSPECIFIED]: 'unknown',
  [NodeState.READY]: 'ready',
  [NodeState.DEGRADED]: 'degraded',
  [NodeState.NOT_READY]: 'not-ready',
}

export async function listNodes(): Promise<Snapshot | Trouble> {
  if (session.token === null) return 'no-token'
  try {
    return snapshot(await overview.listNodes({}, { timeoutMs: TIMEOUT_MS }))
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
