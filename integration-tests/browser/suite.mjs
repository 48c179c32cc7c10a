/**
 * The all-in-one as a child process on free ports, with a data folder of its own. Started, stopped and started again
 * on the same ports, so that pages notice nothing but the gap.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const BINARY = process.env.PATCHBAY_BINARY ?? join(import.meta.dirname, '../../target/debug/patchbay')

/** Time to become ready, and to stop. */
const READY_MS = 30_000
const STOP_MS = 20_000

const PORTS = ['console', 'consoleGrpc', 'chat', 'chatGrpc', 'camera', 'cameraGrpc', 'media', 'crypto', 'cryptoGrpc', 'ops']

export class Suite {
  /** `changes` are settings of this suite alone, as environment variables, or a function that makes them of its ports. */
  static async start(changes = {}) {
    const suite = new Suite()
    suite.data = await mkdtemp(join(tmpdir(), 'patchbay-browser-'))
    suite.ports = await freePorts()
    suite.changes = typeof changes === 'function' ? changes(suite.ports) : changes
    await suite.run()
    return suite
  }

  get console() {
    return `http://127.0.0.1:${this.ports.console}`
  }

  get classic() {
    return `ws://127.0.0.1:${this.ports.chat}/`
  }

  /** A token made as an operator makes one; it allows everything where no scopes are named. */
  async token(...scopes) {
    const program = spawn(BINARY, ['token', 'create', '--sub', 'me', '--scope', ...(scopes.length > 0 ? scopes : ['admin']), '--data', this.data])
    let output = ''
    program.stdout.on('data', (text) => (output += text))
    await once(program, 'close')
    return output.trim().split('\n').at(-1)
  }

  /** The link with which the first account is made, as the suite printed it. */
  get setupLink() {
    return /https?:\/\/[\w.:-]+\/#setup=[\w-]+/.exec(this.log)?.[0]
  }

  async run() {
    this.log = ''
    this.child = spawn(BINARY, ['run', '--services', 'all', '--dev'], { env: this.environment() })
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => (this.log += text))
    await waitUntil('the suite is ready', READY_MS, async () => {
      if (this.child.exitCode !== null) throw new Error(`the suite ended:\n${this.log}`)
      return (await fetch(`http://127.0.0.1:${this.ports.ops}/readyz`).catch(() => undefined))?.ok
    })
  }

  async stop() {
    if (this.child.exitCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    const killed = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS)
    const [code] = await ended
    clearTimeout(killed)
    if (code !== 0) throw new Error(`the suite ended with ${code}:\n${this.log.slice(-4000)}`)
  }

  /** Deletes what was kept, so that the next start begins new streams. */
  async forget() {
    await rm(join(this.data, 'backplane.redb'), { force: true })
  }

  async end() {
    await this.stop()
    await rm(this.data, { recursive: true, force: true })
  }

  environment() {
    const at = (name) => `127.0.0.1:${this.ports[name]}`
    return {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PATCHBAY_DATA__DIR: this.data,
      PATCHBAY_OPS__LISTEN: at('ops'),
      PATCHBAY_CHAT_GATEWAY__LISTEN__HTTP: at('chat'),
      PATCHBAY_CHAT_GATEWAY__GRPC__LISTEN: at('chatGrpc'),
      PATCHBAY_CAMERA_RELAY__LISTEN__HTTP: at('camera'),
      PATCHBAY_CAMERA_RELAY__GRPC__LISTEN: at('cameraGrpc'),
      PATCHBAY_CAMERA_RELAY__MEDIA__UDP: at('media'),
      PATCHBAY_CAMERA_RELAY__MEDIA__TCP: at('media'),
      PATCHBAY_CRYPTO_SERVICE__LISTEN__HTTP: at('crypto'),
      PATCHBAY_CRYPTO_SERVICE__GRPC__LISTEN: at('cryptoGrpc'),
      PATCHBAY_CONSOLE__HTTP__LISTEN: at('console'),
      PATCHBAY_CONSOLE__GRPC__LISTEN: at('consoleGrpc'),
      PATCHBAY_CONSOLE__UPSTREAMS__CHAT: `http://${at('chat')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CHAT_GRPC: `http://${at('chatGrpc')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CAMERA: `http://${at('camera')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CAMERA_GRPC: `http://${at('cameraGrpc')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CRYPTO: `http://${at('crypto')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CRYPTO_GRPC: `http://${at('cryptoGrpc')}`,
      PATCHBAY_CONSOLE__UPSTREAMS__CONSOLE_GRPC: `http://${at('consoleGrpc')}`,
      ...this.changes,
    }
  }
}

/** Waits for a condition instead of a time. */
export async function waitUntil(what, deadlineMs, condition) {
  const end = Date.now() + deadlineMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`)
    await pause(50)
  }
}

/** All are held at once, so that none is given twice. */
async function freePorts() {
  const servers = PORTS.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return Object.fromEntries(PORTS.map((name, index) => [name, ports[index]]))
}
