// What the scripts beside this one share.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Runs a program to its end. `code` is its exit code; `output` what it wrote, when it was not shown. */
export function run(command, args, { cwd = root, env, show = true, timeout } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
      timeout,
    })
    let output = ''
    child.stdout?.on('data', (data) => (output += data))
    child.stderr?.on('data', (data) => (output += data))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code: code ?? 1, signal, output }))
  })
}

/** The test suite without what one run is enough for; vitest.config.ts says what that is. */
export const suite = (args, { env, ...options } = {}) =>
  run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...args], { env: { TEST_AGAIN: '1', ...env }, ...options })

/** As `run`, quietly; throws with what was written if it fails. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, { show: false, ...options })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}\n${output}`)
  return output
}

/** A folder that is gone when the process is. */
export function temporary(name) {
  const folder = mkdtempSync(join(tmpdir(), `sharedsession-${name}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  return folder
}

/** The packed package, as it would be published. `npm run build` comes first. */
export async function pack() {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('There is no dist: run `npm run build` first.')
  const folder = temporary('pack')
  const [{ filename }] = JSON.parse(
    await must('npm', ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', folder]),
  )
  return join(folder, filename)
}

/** A copy of the repository without what is installed or built. */
export function copyOfRepository(name) {
  const left = new Set(['node_modules', 'dist', 'coverage', '.git'])
  const folder = temporary(name)
  cpSync(root, folder, {
    recursive: true,
    filter: (path) => !left.has(basename(path)) || path.slice(root.length).split(sep).length > 1,
  })
  return folder
}

/** Runs named checks one after the other and says in the last line how many passed. Fails if one did. */
export const report = (what, checks) =>
  reportInStages(
    what,
    checks.map((check) => [check]),
  )

/** As `report`, but the checks of one stage run side by side, as many as there are processors. */
export async function reportInStages(what, stages) {
  const count = { passed: 0, failed: 0 }
  for (const stage of stages) {
    const left = [...stage]
    const lane = async () => {
      for (let check = left.shift(); check; check = left.shift()) count[(await passes(check)) ? 'passed' : 'failed']++
    }
    await Promise.all(Array.from({ length: availableParallelism() }, lane))
  }
  console.log(`${what}: ${count.passed} passed, ${count.failed} failed`)
  if (count.failed > 0) process.exitCode = 1
}

async function passes([name, check]) {
  const start = performance.now()
  const problem = await Promise.resolve()
    .then(check)
    .then(
      () => undefined,
      (error) => (error instanceof Error ? error.message : String(error)),
    )
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${problem === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
  if (problem) console.log(problem.replace(/^/gm, '     '))
  return problem === undefined
}
