import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { Guarded, onFreePort } from './guarded.js'
import { locked } from './lock.js'

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
  const { binary, libraries } = await findRedis()
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-redis-'))
  const start = (port: number): Promise<Guarded> =>
    Guarded.start(
      [binary, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...settings],
      { env: libraries ? { LD_LIBRARY_PATH: libraries } : {}, signal: 'KILL', ready: /Ready to accept connections/ },
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

interface Found {
  binary: string
  libraries?: string
}

async function findRedis(): Promise<Found> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder && existsSync(join(folder, 'redis-server'))) return { binary: join(folder, 'redis-server') }
  }
  const cache = resolve('node_modules/.cache/sharedsession')
  const target = join(cache, 'redis')
  if (!existsSync(target)) {
    await locked(join(cache, 'redis.lock'), () => {
      if (!existsSync(target)) download(target)
    })
  }
  const libraries = join(target, 'usr/lib')
  const folders = readdirSync(libraries).filter((name) => name.endsWith('-linux-gnu'))
  return { binary: join(target, 'usr/bin/redis-server'), libraries: folders.map((name) => join(libraries, name)).join(':') }
}

const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1']

function download(target: string): void {
  const work = `${target}.${process.pid}`
  const state = join(work, 'apt')
  mkdirSync(join(work, 'root'), { recursive: true })
  mkdirSync(join(state, 'lists/partial'), { recursive: true })
  const run = (command: string, ...args: string[]): unknown =>
    execFileSync(command, args, { cwd: work, stdio: 'pipe', timeout: 120_000 })
  try {
    try {
      run('apt-get', 'download', ...PACKAGES)
    } catch {
      // No package lists, or old ones. Fetching them into a folder of our own needs no root.
      const own = ['-o', `Dir::State::lists=${join(state, 'lists')}`, '-o', `Dir::Cache=${state}`]
      run('apt-get', ...own, 'update')
      run('apt-get', ...own, 'download', ...PACKAGES)
    }
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) run('dpkg', '-x', file, 'root')
    renameSync(join(work, 'root'), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
