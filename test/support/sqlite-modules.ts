import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CACHE } from './debian.js'
import { locked } from './lock.js'

/**
 * SQLite's bindings, and the store that loads one by itself. They are no dependencies: `npm ci` has to pass where nothing can be compiled.
 * connect-sqlite3 is here because it looks for sqlite3 beside itself.
 */
const PACKAGES = { 'better-sqlite3': '12.11.1', sqlite3: '5.1.7', 'connect-sqlite3': '0.9.18', 'express-session': '1.19.0' }

/** What is installed with a Node is for this Node. */
const folder = join(CACHE, `sqlite-${process.versions.modules}-${Object.values(PACKAGES).join('-')}`)

/** Installs SQLite's bindings once. @returns what loads them */
export async function installSqlite(): Promise<NodeJS.Require> {
  if (!existsSync(folder)) {
    await locked(`${folder}.lock`, () => {
      if (!existsSync(folder)) install()
    })
  }
  return createRequire(join(folder, 'package.json'))
}

/** A file for a database, in place of a server. */
export async function startSqlite(): Promise<{ url: string; stop(): Promise<void> }> {
  await installSqlite()
  const folder = mkdtempSync(join(tmpdir(), 'sharedsession-sqlite-'))
  return { url: join(folder, 'sessions.db'), stop: async () => rmSync(folder, { recursive: true, force: true }) }
}

function install(): void {
  const work = `${folder}.${process.pid}`
  mkdirSync(work, { recursive: true })
  const run = (env: NodeJS.ProcessEnv): unknown =>
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: work,
      stdio: 'pipe',
      timeout: 900_000,
      env: { ...process.env, ...env },
    })
  try {
    writeFileSync(join(work, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }))
    try {
      run({})
    } catch {
      // Neither a binary nor the headers of Node could be downloaded: those that are installed with Node.
      run({ npm_config_nodedir: join(process.execPath, '../..') })
    }
    renameSync(work, folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
