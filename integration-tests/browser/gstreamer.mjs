/** A camera that speaks RTSP: GStreamer's server as a process of its own. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { waitUntil } from './suite.mjs'

const PROGRAM = join(import.meta.dirname, '../../crates/patchbay-testkit/src/rtsp/gstreamer.py')

/** Time to listen. */
const READY_MS = 20_000

export class Rtsp {
  /** `options` are those of the program, such as `['--video', 'vp8']`. */
  static async start(port, options = []) {
    const camera = new Rtsp()
    camera.url = `rtsp://127.0.0.1:${port}/live`
    // Debian's Python has the bindings; one of another origin that stands before it in the path has not.
    camera.child = spawn('/usr/bin/python3', [PROGRAM, '--port', String(port), ...options])
    camera.log = ''
    for (const stream of [camera.child.stdout, camera.child.stderr]) stream.on('data', (text) => (camera.log += text))
    await waitUntil('the camera is ready', READY_MS, () => {
      if (camera.child.exitCode !== null) throw new Error(`the camera ended:\n${camera.log}`)
      return /READY/.test(camera.log)
    })
    return camera
  }

  /** Pulls its plug. */
  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}
