import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './debian.js'
import { Guarded, onFreePort } from './guarded.js'

const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1']

/** A Redis of its own for a test file. */
export interface TestRedis {
  port: number
  url: string
  /** It is there and does not answer, until `resume()`. */
  pause(): void
  resume(): void
  /** Killed and started again, empty, on the same port. */
  restart(): Promise<void>
  /** Leaves nothing running and nothing on the disk. */
  stop(): Promise<void>
}

/**
 * Starts a Redis: the one on the PATH, else Debian's, downloaded once and installed nowhere.
 * @param settings more of its command line
 */
export async function startRedis(settings: string[] = []): Promise<TestRedis> {
  const { binary, env } = await findProgram('redis', 'usr/bin/redis-server', PACKAGES)
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-redis-'))
  const start = (port: number): Promise<Guarded> =>
    Guarded.start(
      [binary, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...settings],
      { env, signal: 'KILL', ready: /Ready to accept connections/ },
    )
  let port = 0
  let server = await onFreePort((free) => {
    port = free
    return start(free)
  })
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    pause: () => server.pause(),
    resume: () => server.resume(),
    async restart() {
      await server.kill()
      server = await start(port)
    },
    async stop() {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
