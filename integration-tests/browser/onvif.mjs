/** A camera that speaks ONVIF: the device of the test kit, which checks logins and tells the addresses of streams. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { waitUntil } from './suite.mjs'

const DEVICE = join(import.meta.dirname, '../../crates/patchbay-testkit/src/onvif/device.py')

/** Time to become ready. */
const READY_MS = 15_000

export class OnvifDevice {
  /** `options` are those of the script. */
  static async start(options) {
    const device = new OnvifDevice()
    device.child = spawn('python3', [DEVICE, ...options])
    let log = ''
    for (const stream of [device.child.stdout, device.child.stderr]) stream.on('data', (text) => (log += text))
    await waitUntil('the ONVIF device is ready', READY_MS, () => {
      if (device.child.exitCode !== null) throw new Error(`the ONVIF device ended:\n${log}`)
      device.port = /READY (\d+)/.exec(log)?.[1]
      return device.port !== undefined
    })
    return device
  }

  get address() {
    return `127.0.0.1:${this.port}`
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}
