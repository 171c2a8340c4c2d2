// @ts-check
import cluster from 'node:cluster'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter'
import expressSession from 'express-session'
import fileStore from 'session-file-store'
import { createNode } from './node.js'

const NAMES = ['amber', 'teal']

/**
 * Starts two workers of Node's cluster module; in a worker, the node.
 * @param {number} port
 * @returns {Promise<{ port: number, stop(): void } | undefined>}
 */
export function startClustered(port) {
  return cluster.isPrimary ? startPrimary(port) : startWorker(port)
}

/**
 * @param {number} port
 * @returns {Promise<{ port: number, stop(): void }>}
 */
function startPrimary(port) {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-demo-'))
  let stopping = false
  const names = new Map()
  const start = (/** @type {string} */ name) => {
    const worker = cluster.fork({ NODE_NAME: name, SESSION_FOLDER: folder })
    names.set(worker.id, name)
    return worker
  }
  setupPrimary()
  cluster.on('exit', (worker) => {
    if (!stopping) setTimeout(() => stopping || start(names.get(worker.id)), 500)
  })
  const listening = NAMES.map(
    (name) => new Promise((resolve) => start(name).once('listening', (address) => resolve(address.port))),
  )
  return Promise.all(listening).then(([shown]) => ({
    port: Number(shown ?? port),
    stop() {
      stopping = true
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }))
}

/**
 * @param {number} port
 * @returns {Promise<undefined>}
 */
async function startWorker(port) {
  // Files cannot compare and set: two nodes that save one session in the same moment can lose one of the two writes.
  const store = new (fileStore(expressSession))({
    path: `${process.env.SESSION_FOLDER}`,
    logFn: () => undefined,
    reapInterval: -1,
  })
  // The adapter tells the nodes of each other's writes.
  const { server } = createNode(`${process.env.NODE_NAME}`, store, { adapter: createAdapter() })
  server.listen(port)
  process.once('SIGINT', () => undefined)
  process.once('disconnect', () => process.exit())
}
