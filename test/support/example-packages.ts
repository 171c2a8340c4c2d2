import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { sha256 } from '../../src/util/hash.js'
import { CACHE } from './debian.js'
import { locked } from './lock.js'

const example = resolve('examples/drivers')
const FILES = ['package.json', 'schema.prisma']

/**
 * What examples/drivers needs, installed once: it is no dependency of the repository, as it is large. Prisma's client is generated from the
 * schema, which takes no engine. Its command downloads one all the same, unless it is told of a file that is there.
 * @returns what loads it
 */
export async function installExample(): Promise<NodeJS.Require> {
  const texts = FILES.map((name) => readFileSync(join(example, name), 'utf8'))
  const folder = join(CACHE, `drivers-${sha256(texts.join()).slice(0, 16).replace(/\W/g, '_')}`)
  if (!existsSync(folder)) {
    await locked(`${folder}.lock`, () => {
      if (!existsSync(folder)) install(folder)
    })
  }
  return createRequire(join(folder, 'package.json'))
}

function install(folder: string): void {
  const work = `${folder}.${process.pid}`
  mkdirSync(work, { recursive: true })
  try {
    for (const name of FILES) cpSync(join(example, name), join(work, name))
    const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath }
    const options = { cwd: work, stdio: 'pipe', timeout: 900_000, env } as const
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], options)
    execFileSync(process.execPath, ['node_modules/prisma/build/index.js', 'generate', '--schema', 'schema.prisma'], options)
    renameSync(work, folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
