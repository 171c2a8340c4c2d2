import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { findProgram } from './debian.js'
import { Guarded, onFreePort } from './guarded.js'

/** A MariaDB of its own for a test file. Anybody may do anything on it; its database is `test`. */
export interface TestMariaDb {
  port: number
  url: string
  /** It is there and does not answer, until `resume()`. */
  pause(): void
  resume(): void
  /** Killed and started again, with its data, on the same port. */
  restart(): Promise<void>
  /** Leaves nothing running and nothing on the disk. */
  stop(): Promise<void>
}

const PACKAGES = ['mariadb-server-core', 'libaio1|libaio1t64', 'liburing2', 'libnuma1', 'libpcre2-8-0']

/** Without grants it needs no system tables. */
const SETTINGS = [
  '--skip-grant-tables',
  '--bind-address=127.0.0.1',
  '--skip-log-bin',
  '--innodb-use-native-aio=0',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-buffer-pool-size=16M',
  '--innodb-log-file-size=8M',
  '--max-connections=300',
]

/**
 * Starts a MariaDB: the one on the PATH, else Debian's, downloaded once and installed nowhere.
 * @param settings more of its command line
 */
export async function startMariaDb(settings: string[] = []): Promise<TestMariaDb> {
  const { binary, root = '/', env } = await findProgram('mariadb', 'usr/sbin/mariadbd', PACKAGES)
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-mariadb-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  const command = [
    binary,
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${data}`,
    `--socket=${join(folder, 'socket')}`,
    `--lc-messages-dir=${join(root, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(root, 'usr/share/mysql/charsets')}`,
    ...SETTINGS,
    ...settings,
  ]
  const start = (port: number): Promise<Guarded> =>
    Guarded.start([...command, `--port=${port}`], { env, signal: 'KILL', ready: /ready for connections/ })
  let port = 0
  let server = await onFreePort((free) => {
    port = free
    return start(free)
  })
  const connection = await createConnection({ host: '127.0.0.1', port, user: 'test' })
  await connection.query('CREATE DATABASE test CHARACTER SET utf8mb4')
  await connection.end()
  return {
    port,
    url: `mysql://test@127.0.0.1:${port}/test`,
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
