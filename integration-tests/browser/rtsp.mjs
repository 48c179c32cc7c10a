/** Cameras that speak RTSP: GStreamer's server, and one that answers every question with the same refusal. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { freePorts } from './relay.mjs'
import { waitUntil } from './suite.mjs'

const GSTREAMER = join(import.meta.dirname, '../../crates/patchbay-testkit/src/rtsp/gstreamer.py')

/** Time to become ready. */
const READY_MS = 15_000

/** A camera of GStreamer's; `options` are those of the script. */
export class Camera {
  static async start(options = [], port = undefined) {
    const camera = new Camera()
    camera.port = port ?? (await freePorts(['camera'])).camera
    camera.options = options
    await camera.run()
    return camera
  }

  get url() {
    return `rtsp://127.0.0.1:${this.port}/live`
  }

  async run() {
    // Debian's Python has the bindings; one of another origin that stands before it in the path has not.
    this.child = spawn('/usr/bin/python3', [GSTREAMER, '--port', String(this.port), ...this.options])
    this.log = ''
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => (this.log += text))
    await waitUntil('the camera is ready', READY_MS, () => {
      if (this.child.exitCode !== null) throw new Error(`the camera ended:\n${this.log}`)
      return /READY/.test(this.log)
    })
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

/** Answers every request with this status, such as `404 Not Found`. */
export class Refusing {
  static async start(status, headers = []) {
    const camera = new Refusing()
    camera.server = createServer((socket) => {
      let text = ''
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        text += bytes
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const number = /CSeq: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? '0'
          text = text.slice(end + 4)
          socket.write([`RTSP/1.0 ${status}`, `CSeq: ${number}`, ...headers, '', ''].join('\r\n'))
        }
      })
    }).listen(0, '127.0.0.1')
    await once(camera.server, 'listening')
    return camera
  }

  get url() {
    return `rtsp://127.0.0.1:${this.server.address().port}/live`
  }

  async end() {
    this.server.close()
  }
}
