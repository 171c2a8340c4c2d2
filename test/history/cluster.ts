import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Replacement } from '../simulation/bundle.js'
import { bundleProcess } from './bundle.js'
import type { Networks } from './networks.js'
import type { Call, ProcessOptions } from './process.js'

/** Where a process is, and how many processes were in its place before it. */
export interface Address {
  url: string
  generation: number
}

/** A script that imports modules causes a warning, and nothing must be printed. */
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning']

/** The server processes of a run. */
export class Cluster {
  /** What processes printed, and that they ended by themselves: neither must happen. */
  readonly crashes: string[] = []
  /** How often a process found that another one had been faster, as far as `countRefusals()` has asked. */
  refusals = 0
  readonly #script: string
  readonly #options: ProcessOptions
  readonly #members: Promise<Member>[]
  readonly #networks: Networks | undefined
  #closed = false

  private constructor(count: number, script: string, options: ProcessOptions, networks?: Networks) {
    this.#script = script
    this.#options = options
    this.#networks = networks
    this.#members = Array.from({ length: count }, (_, index) => this.#spawn(index))
  }

  /**
   * Resolves when all processes listen.
   * @param networks in which the processes are; absent: in that of this process
   * @param mutant a mistake that they all make
   */
  static async start(count: number, options: ProcessOptions, networks?: Networks, mutant?: Replacement): Promise<Cluster> {
    const cluster = new Cluster(count, await bundleProcess(mutant && [mutant]), options, networks)
    try {
      await cluster.ready()
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  get size(): number {
    return this.#members.length
  }

  /** Resolves when all processes listen. */
  async ready(): Promise<void> {
    await Promise.all(this.#members)
  }

  /** That of its successor, where a process was killed. */
  async address(index: number): Promise<Address> {
    return (await this.#members[index]!).address
  }

  /** SIGKILL, and another process in its place. */
  async kill(index: number): Promise<void> {
    const member = await this.#members[index]!
    this.#members[index] = member.kill().then(() => this.#spawn(index, member.address.generation + 1))
    await this.#members[index]
  }

  async call(index: number, call: Call, sid = ''): Promise<any> {
    return (await this.#members[index]!).call(call, sid)
  }

  /** What a process had counted since it was asked is lost when it is killed. */
  async countRefusals(): Promise<void> {
    const counts = await Promise.all(this.#members.map(async (member) => (await member).call('refusals', '')))
    for (const count of counts) this.refusals += Number(count ?? 0)
  }

  /** Has all processes save what is pending. */
  async flush(): Promise<void> {
    await Promise.all(this.#members.map(async (member) => (await member).call('flush', '')))
  }

  async close(): Promise<void> {
    this.#closed = true
    const members = await Promise.allSettled(this.#members)
    await Promise.all(members.map((member) => (member.status === 'fulfilled' ? member.value.kill() : undefined)))
    rmSync(dirname(this.#script), { recursive: true, force: true })
  }

  #spawn(index: number, generation = 0): Promise<Member> {
    if (this.#closed) return Promise.reject(new Error('closed'))
    const network = this.#networks?.of(index)
    const { host = '127.0.0.1', storeHost = '127.0.0.1', command = [] } = network ?? {}
    const options = { ...this.#options, url: this.#options.url.replace('127.0.0.1', storeHost), host }
    const [program, ...args] = [...command, process.execPath, ...NODE_OPTIONS, this.#script, JSON.stringify(options)]
    // The channel is also what ends the child: also where this process is killed.
    const child = spawn(program as string, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    return Member.started(child, { host, generation }, (text) => this.crashes.push(text))
  }
}

class Member {
  readonly address: Address
  readonly #child: ChildProcess
  readonly #asked: Map<number, (value: unknown) => void>
  #killed = false
  #asks = 0

  private constructor(child: ChildProcess, address: Address, asked: Map<number, (value: unknown) => void>) {
    this.#asked = asked
    this.#child = child
    this.address = address
  }

  static started(
    child: ChildProcess,
    { host, generation }: { host: string; generation: number },
    crashed: (text: string) => void,
  ): Promise<Member> {
    return new Promise((resolve, reject) => {
      let member: Member | undefined
      const asked = new Map<number, (value: unknown) => void>()
      let printed = ''
      child.stderr?.on('data', (chunk) => {
        printed = (printed + chunk).slice(-10_000)
      })
      child.on('message', (message: any) => {
        if (message.crash) printed += message.crash
        if (message.port) {
          member = new Member(child, { url: `http://${host}:${message.port}`, generation }, asked)
          resolve(member)
        }
        if (message.ask) asked.get(message.ask)?.(message.value)
      })
      child.once('error', reject)
      child.once('close', (code, signal) => {
        if (member && !member.#killed) crashed(`a process ended with ${code ?? signal}: ${printed}`)
        else if (printed) crashed(`a process printed: ${printed}`)
        for (const answer of asked.values()) answer(undefined)
        reject(new Error(`a process ended with ${code ?? signal}: ${printed}`))
      })
    })
  }

  call(call: Call, sid: string): Promise<unknown> {
    const ask = ++this.#asks
    return new Promise((resolve) => {
      this.#asked.set(ask, resolve)
      this.#child.send({ call, ask, sid })
    })
  }

  async kill(): Promise<void> {
    this.#killed = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
  }
}
