/** Bad networks: a UDP port that loses packets, and a network namespace in which a browser can be cut off from UDP. */

import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Passes datagrams on, both ways, to whom they belong by their source address, and loses some of those that come from the server. */
export class LossyPort {
  static async open(port, server) {
    const lossy = new this()
    Object.assign(lossy, { server, clients: new Map(), loss: 'none', passed: 0, lost: 0, seed: 1, until: 0 })
    lossy.socket = createSocket('udp4')
    lossy.socket.on('message', (data, { address, port }) => lossy.fromClient(data, address, port))
    lossy.socket.bind(port, '127.0.0.1')
    await once(lossy.socket, 'listening')
    return lossy
  }

  fromClient(data, address, port) {
    const key = `${address}:${port}`
    let way = this.clients.get(key)
    if (!way) {
      way = createSocket('udp4')
      way.on('message', (answer) => this.fromServer(answer, address, port))
      // The server may have gone.
      way.on('error', () => {})
      this.clients.set(key, way)
    }
    way.send(data, this.server, '127.0.0.1')
  }

  fromServer(data, address, port) {
    if (this.isLost()) {
      this.lost += 1
      return
    }
    this.passed += 1
    this.socket.send(data, port, address)
  }

  /** `none`, `all`, or `some`: five in a hundred, apart from each other, so that what is sent again is not lost again. */
  isLost() {
    if (this.loss !== 'some') return this.loss === 'all'
    if (this.until > 0) {
      this.until -= 1
      return false
    }
    // After the lost one 9 to 29 are passed on, 19 on average.
    this.until = 9 + Math.floor(this.random() * 21)
    return true
  }

  /** The same in each run, as far as the packets are the same: a linear congruential generator. */
  random() {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0
    return this.seed / 2 ** 32
  }

  close() {
    for (const socket of [this.socket, ...this.clients.values()]) socket.close()
  }
}

/** The same with a bottleneck on the way from the server: a line of so many bits a second with a queue, in which what comes too late is lost. */
export class NarrowPort extends LossyPort {
  /** Longest time in the queue, and the time behind it. */
  static QUEUE_MS = 500
  static DELAY_MS = 10

  static async open(port, server) {
    return Object.assign(await super.open(port, server), { rate: 1e9, free: 0, longest: 0, flying: [] })
  }

  fromServer(data, address, port) {
    const now = performance.now()
    const begins = Math.max(this.free, now)
    if (begins - now > NarrowPort.QUEUE_MS) {
      this.lost += 1
      return
    }
    this.passed += 1
    this.longest = Math.max(this.longest, begins - now)
    this.free = begins + ((data.length + 28) * 8_000) / this.rate
    const at = this.free + NarrowPort.DELAY_MS
    this.flying.push({ at, send: () => this.socket.send(data, port, address) })
    setTimeout(() => this.arrive(), at - now + 1)
  }

  /** In the order in which they were sent, which timers of several lengths do not keep. */
  arrive() {
    while (!this.isClosed && this.flying[0]?.at <= performance.now()) this.flying.shift().send()
  }

  close() {
    this.isClosed = true
    super.close()
  }

  /** Longest time, in milliseconds, that a packet has waited since the last call. */
  waited() {
    const { longest } = this
    this.longest = 0
    return Math.round(longest)
  }
}

function run(...command) {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${error ?? stderr}`)
  return stdout
}

/** A network of its own with one cable to ours. */
export class Namespace {
  /** Why there can be none on this machine; nothing where there can. */
  static refused() {
    const name = `pb-try-${process.pid}`
    try {
      run('ip', 'netns', 'add', name)
    } catch (error) {
      return error.message.trim()
    }
    try {
      run('ip', 'netns', 'exec', name, 'iptables', '-S')
    } catch (error) {
      return error.message.trim()
    } finally {
      run('ip', 'netns', 'del', name)
    }
  }

  static async open() {
    const space = new Namespace()
    space.name = `pb-${process.pid}`
    // Of 198.18.0.0/15, which is for tests (RFC 2544), a network by our process number.
    const block = `198.18.${process.pid % 256}`
    Object.assign(space, { outside: `${block}.1`, inside: `${block}.2`, folder: await mkdtemp(join(tmpdir(), 'patchbay-netns-')) })
    const [here, there] = [`pbh${process.pid}`, `pbn${process.pid}`]
    run('ip', 'netns', 'add', space.name)
    try {
      run('ip', 'link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', space.name)
      run('ip', 'addr', 'add', `${space.outside}/30`, 'dev', here)
      run('ip', 'link', 'set', here, 'up')
      space.run('ip', 'addr', 'add', `${space.inside}/30`, 'dev', there)
      for (const device of ['lo', there]) space.run('ip', 'link', 'set', device, 'up')
      space.run('ip', 'route', 'add', 'default', 'via', space.outside)
    } catch (error) {
      await space.close()
      throw error
    }
    return space
  }

  run(...command) {
    return run('ip', 'netns', 'exec', this.name, ...command)
  }

  /** A program that starts another one inside; for those who start programs by their path. */
  async wrapper(program) {
    const path = join(this.folder, 'inside')
    await writeFile(path, `#!/bin/sh\nexec ip netns exec ${this.name} ${program} "$@"\n`)
    await chmod(path, 0o755)
    return path
  }

  /** From now on no datagram leaves or enters, but on its own loopback. */
  blockUdp() {
    for (const [chain, way, device] of [['OUTPUT', '-o', 'lo'], ['INPUT', '-i', 'lo']]) {
      this.run('iptables', '-A', chain, '-p', 'udp', '!', way, device, '-j', 'DROP')
    }
  }

  /** Datagrams that were not let out. */
  blocked() {
    const rule = this.run('iptables', '-nvxL', 'OUTPUT').split('\n').find((line) => line.includes('DROP'))
    return Number(rule?.trim().split(/\s+/)[0] ?? 0)
  }

  async close() {
    // Its end of the cable goes with it, and ours with that.
    run('ip', 'netns', 'del', this.name)
    await rm(this.folder, { recursive: true, force: true })
  }
}
