import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { watchErrorOutput } from '../support/warnings.js'
import { cleanup } from './scene.js'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const built = process.env.TEST_BUILT === '1'

/** Writes files to a folder of their own in which the repository's packages are found, and `sharedsession` is this one. */
export function folderWith(files: Record<string, string>): string {
  const cache = at('node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'readme-'))
  cleanup(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, code] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    const own = code
      .replace(
        "require('sharedsession')",
        built ? `require('${at('dist/index.cjs')}')` : `require('${at('src/index.ts')}').default`,
      )
      .replace("from 'sharedsession'", `from '${at(built ? 'dist/index.js' : 'src/index.ts')}'`)
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), own)
  }
  return folder
}

export interface Program {
  /** Everything it has written so far. */
  readonly output: string
  /** Resolves with the first match in what it writes; rejects when it ends without one. */
  line(pattern: RegExp): Promise<string>
  /** Its exit code. */
  ended: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

/**
 * Runs tests by Vitest in a process of its own. Their folder is below node_modules, where Vitest looks for no tests, and compiles nothing.
 */
export function vitest(files: Record<string, string>): Program {
  const alias = {
    'sharedsession/client/testing': at(built ? 'dist/testing.js' : 'src/client/testing/index.ts'),
    'sharedsession/client': at(built ? 'dist/client.js' : 'src/client/index.ts'),
  }
  const config = {
    resolve: { alias },
    test: { exclude: [], hookTimeout: 120_000, testTimeout: 120_000, server: { deps: { inline: ['readme-'] } } },
  }
  const code = `export default ${JSON.stringify(config).replace('"readme-"', '/readme-/')}`
  return program(folderWith({ ...files, 'vitest.config.js': code }), at('node_modules/vitest/vitest.mjs'), 'run')
}

/** Runs a file of that folder in a Node process of its own. */
export function program(folder: string, ...args: string[]): Program {
  return programAt('0', folder, ...args)
}

/** The same on a port that is known. */
export function programAt(PORT: string, folder: string, ...args: string[]): Program {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: folder, env: { ...process.env, PORT } })
  watchErrorOutput(args.join(' '), child)
  let output = ''
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const hear = (data: Buffer) => {
    output += data
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  cleanup(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    get output() {
      return output
    },
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = output.match(pattern)
          if (found) resolve(found[0])
        }
        child.stdout.on('data', look)
        ended.then(() => reject(new Error(`It ended without ${pattern}:\n${output}`)))
        look()
      }),
    ended,
    signal: (name) => child.kill(name),
  }
}
