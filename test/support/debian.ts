import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { locked } from './lock.js'

/** Where what tests download is kept. */
export const CACHE = resolve('node_modules/.cache/sharedsession')

/** A program, and what it needs to run. */
export interface Program {
  binary: string
  /** The folder that it was unpacked to, instead of `/`. Absent: it is installed. */
  root?: string
  env: NodeJS.ProcessEnv
}

/**
 * A program: the one on the PATH, else Debian's, downloaded once and installed nowhere.
 * @param name of the cached folder
 * @param path of the program in its package, as `usr/bin/redis-server`
 * @param packages with the libraries that a bare system does not have; `a|b` for one that has another name elsewhere
 */
export async function findProgram(name: string, path: string, packages: string[]): Promise<Program> {
  const file = path.split('/').at(-1) as string
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    if (folder && existsSync(join(folder, file))) return { binary: join(folder, file), env: {} }
  }
  const root = join(CACHE, name)
  if (!existsSync(root)) {
    await locked(join(CACHE, `${name}.lock`), () => {
      if (!existsSync(root)) download(root, packages)
    })
  }
  const libraries = ['usr/lib', 'lib']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((each) => join(root, folder, each)))
    .filter((folder) => folder.endsWith('-linux-gnu'))
  return { binary: join(root, path), root, env: { LD_LIBRARY_PATH: libraries.join(':') } }
}

function download(target: string, packages: string[]): void {
  const work = `${target}.${process.pid}`
  const state = join(work, 'apt')
  mkdirSync(join(work, 'root'), { recursive: true })
  mkdirSync(join(state, 'lists/partial'), { recursive: true })
  const run = (command: string, ...args: string[]): unknown =>
    execFileSync(command, args, { cwd: work, stdio: 'pipe', timeout: 120_000 })
  const fetch = (options: string[], names: string[]): void => {
    const [name, ...others] = names
    try {
      run('apt-get', ...options, 'download', String(name))
    } catch (error) {
      if (others.length === 0) throw error
      fetch(options, others)
    }
  }
  const fetchAll = (options: string[] = []): void => {
    for (const each of packages) fetch(options, each.split('|'))
  }
  try {
    try {
      fetchAll()
    } catch {
      // No package lists, or old ones. Fetching them into a folder of our own needs no root.
      const own = ['-o', `Dir::State::lists=${join(state, 'lists')}`, '-o', `Dir::Cache=${state}`]
      run('apt-get', ...own, 'update')
      fetchAll(own)
    }
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) run('dpkg', '-x', file, 'root')
    renameSync(join(work, 'root'), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
