/** Keeps private keys in the browser where certificates are asked for. */

import { TroubleError } from '../calls/trouble'

const PEM = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY/

/** DER: a certificate is a sequence that begins with a sequence; in all forms of keys a version comes first. */
const SEQUENCE = 0x30
const INTEGER = 0x02

export function refusePrivateKey(bytes: Uint8Array): void {
  if (PEM.test(new TextDecoder().decode(bytes)) || isKeyInDer(bytes)) throw new TroubleError('PRIVATE_KEY')
}

/** PKCS #1, PKCS #8, SEC 1 and PKCS #12. */
function isKeyInDer(bytes: Uint8Array): boolean {
  const [outer, length = 0] = bytes
  if (outer !== SEQUENCE) return false
  const more = length < 0x80 ? 0 : length - 0x80
  return bytes[2 + more] === INTEGER
}
