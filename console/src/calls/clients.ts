/** Clients of the services that need a token, which is renewed first where it is about to end. */

import { createClient, type Interceptor } from '@connectrpc/connect'
import { freshToken, tokenRefused } from '../account/keeping'
import { Cameras } from '../gen/patchbay/camera/v1/cameras_pb'
import { Accounts } from '../gen/patchbay/crypto/v1/accounts_pb'
import { Admin } from '../gen/patchbay/crypto/v1/admin_pb'
import { Data } from '../gen/patchbay/crypto/v1/data_pb'
import { Encoding } from '../gen/patchbay/crypto/v1/encoding_pb'
import { Hash } from '../gen/patchbay/crypto/v1/hash_pb'
import { Keys } from '../gen/patchbay/crypto/v1/keys_pb'
import { Seal } from '../gen/patchbay/crypto/v1/seal_pb'
import { Streams } from '../gen/patchbay/crypto/v1/streams_pb'
import { Tls } from '../gen/patchbay/crypto/v1/tls_pb'
import { Tokens } from '../gen/patchbay/crypto/v1/tokens_pb'
import { Overview } from '../gen/patchbay/console/v1/console_pb'
import { transport } from './transport'
import { isAboutToken, troubleOf } from './trouble'

const withToken: Interceptor = (next) => async (request) => {
  const token = await freshToken()
  if (token !== null) request.header.set('authorization', `Bearer ${token}`)
  try {
    return await next(request)
  } catch (error) {
    if (isAboutToken(troubleOf(error))) tokenRefused()
    throw error
  }
}

const way = transport(withToken)

export const accounts = createClient(Accounts, way)
export const admin = createClient(Admin, way)
export const cameras = createClient(Cameras, way)
export const data = createClient(Data, way)
export const encoding = createClient(Encoding, way)
export const hash = createClient(Hash, way)
export const keys = createClient(Keys, way)
export const overview = createClient(Overview, way)
export const seal = createClient(Seal, way)
export const streams = createClient(Streams, way)
export const tls = createClient(Tls, way)
export const tokens = createClient(Tokens, way)
