/** camera-relay as a process of its own on free ports, with cameras for each test, and what its operations port says. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { waitUntil } from './suite.mjs'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = process.env.PATCHBAY_BINARY ? dirname(process.env.PATCHBAY_BINARY) : join(ROOT, 'target/debug')

/** Time to become ready, and to stop. */
const READY_MS = 30_000
const STOP_MS = 20_000

/** `rare` makes a key frame when somebody asks, and else once a minute. */
const CAMERAS = [
  '{ name = "test", test = {} }',
  '{ name = "small", test = { width = 320, height = 240, fps = 15, bitrate = 200000, silent = true } }',
  '{ name = "rare", test = { width = 320, height = 240, bitrate = 300000, key_frame_interval = "60s", silent = true } }',
].join(', ')

export class Relay {
  /** Reached at `host` alone, or with `0.0.0.0` from other networks too. `settings` are environment variables beside those that all have. */
  static async start({ host = '127.0.0.1', ports, settings = {} } = {}) {
    const relay = new Relay()
    relay.folder = await mkdtemp(join(tmpdir(), 'patchbay-relay-'))
    await writeFile(join(relay.folder, 'jwks.json'), '{"keys":[]}')
    relay.ports = { ...(await freePorts(['http', 'grpc', 'ops', 'media'])), ...ports }
    relay.log = ''
    relay.child = spawn(join(FOLDER, 'camera-relay'), [], { env: { ...relay.environment(host), ...settings } })
    for (const stream of [relay.child.stdout, relay.child.stderr]) stream.on('data', (text) => (relay.log += text))
    await waitUntil('the relay is ready', READY_MS, async () => {
      if (relay.child.exitCode !== null) throw new Error(`the relay ended:\n${relay.log}`)
      return (await fetch(`http://127.0.0.1:${relay.ports.ops}/readyz`).catch(() => undefined))?.ok
    })
    return relay
  }

  get pid() {
    return this.child.pid
  }

  url(host = '127.0.0.1') {
    return `http://${host}:${this.ports.http}`
  }

  /** Sum of a figure over its labels. */
  async metric(name) {
    const text = await (await fetch(`http://127.0.0.1:${this.ports.ops}/metrics`)).text()
    const lines = text.split('\n').filter((line) => new RegExp(`^patchbay_camera_relay_${name}(\\{| )`).test(line))
    if (lines.length === 0) throw new Error(`there is no metric ${name}`)
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  viewers() {
    return this.metric('viewers')
  }

  async end() {
    if (this.child.exitCode === null) {
      const ended = once(this.child, 'exit')
      this.child.kill('SIGTERM')
      const killed = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS)
      const [code] = await ended
      clearTimeout(killed)
      if (code !== 0) throw new Error(`the relay ended with ${code}:\n${this.log.slice(-4000)}`)
    }
    await rm(this.folder, { recursive: true, force: true })
  }

  environment(host) {
    const { http, grpc, ops, media } = this.ports
    return {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PATCHBAY_LISTEN__HTTP: `${host}:${http}`,
      PATCHBAY_GRPC__LISTEN: `127.0.0.1:${grpc}`,
      PATCHBAY_OPS__LISTEN: `127.0.0.1:${ops}`,
      PATCHBAY_MEDIA__UDP: `${host}:${media}`,
      PATCHBAY_MEDIA__TCP: `${host}:${media}`,
      PATCHBAY_MEDIA__IDLE_TIMEOUT: '12s',
      PATCHBAY_CAMERAS__CONFIGURED: `[${CAMERAS}]`,
      PATCHBAY_AUTH__JWKS_FILE: join(this.folder, 'jwks.json'),
      PATCHBAY_AUTH__GUEST__ENABLED: 'true',
      PATCHBAY_AUTH__GUEST__SCOPES: '["media:view:*", "media:read:*"]',
      PATCHBAY_DRAIN__DELAY: '0s',
      PATCHBAY_DRAIN__SPREAD: '0s',
      PATCHBAY_DRAIN__DEADLINE: '5s',
    }
  }
}

/** All are held at once, so that none is given twice. */
export async function freePorts(names) {
  const servers = names.map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return Object.fromEntries(names.map((name, index) => [name, ports[index]]))
}
