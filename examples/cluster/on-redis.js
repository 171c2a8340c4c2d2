// @ts-check
import { fork, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { startBalancer } from './balancer.js'
import { createNode } from './node.js'

const file = fileURLToPath(import.meta.url)
const NAMES = ['amber', 'teal']

/**
 * Starts two nodes as processes of their own, and a balancer before them.
 * @param {number} port
 */
export async function startOnRedis(port) {
  const redis = process.env.REDIS_URL ? undefined : await startRedis()
  const url = process.env.REDIS_URL ?? redis?.url
  let stopping = false
  /** @type {Map<string, { child: import('node:child_process').ChildProcess, port: number | undefined }>} */
  const nodes = new Map()
  const start = (/** @type {string} */ name) =>
    new Promise((resolve) => {
      const child = fork(file, [name], { env: { ...process.env, REDIS_URL: url } })
      const node = { child, port: /** @type {number | undefined} */ (undefined) }
      nodes.set(name, node)
      child.on('message', (listening) => {
        node.port = Number(listening)
        resolve(undefined)
      })
      child.on('exit', () => {
        node.port = undefined
        if (!stopping) setTimeout(() => stopping || start(name), 500)
      })
    })
  await Promise.all(NAMES.map(start))
  const balancer = await startBalancer(port, () => [...nodes.values()].flatMap((node) => node.port ?? []))
  return {
    port: balancer.port,
    stop() {
      stopping = true
      balancer.stop()
      for (const { child } of nodes.values()) child.kill()
      redis?.stop()
    },
  }
}

/** @returns {Promise<{ url: string, stop(): void }>} */
async function startRedis() {
  const port = await freePort()
  const server = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'])
  await new Promise((resolve, reject) => {
    server.once('error', () =>
      reject(new Error('This needs Redis: set REDIS_URL, install redis-server, or try it with --no-redis.')),
    )
    server.stdout.on('data', (chunk) => `${chunk}`.includes('Ready to accept connections') && resolve(undefined))
  })
  return { url: `redis://127.0.0.1:${port}`, stop: () => void server.kill() }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** @param {string} name */
async function runNode(name) {
  const client = createClient({ url: process.env.REDIS_URL })
  client.on('error', (error) => console.error(`${name}: ${error.message}`))
  await client.connect()
  // No bus to set up: the store is it.
  const { server, io, shared } = createNode(name, new RedisStore({ client, prefix: 'cluster-demo:' }))
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
  const stop = async () => {
    await io.close()
    await shared.close()
    client.destroy()
    process.disconnect?.()
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', () => undefined)
  process.once('disconnect', () => process.exit())
}

if (process.argv[1] === file && process.argv[2]) await runNode(process.argv[2])
