import { type ChildProcess, execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'
import { type Example, launchExample } from '../support/launch-example.js'
import { watchErrorOutput } from '../support/warnings.js'

export type { Example } from '../support/launch-example.js'

const children = new Set<ChildProcess>()
// A hook that runs out of time gives its example up before it could be stopped.
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts an example for the tests of a file: what it writes to its standard error fails the test, and it ends with the file. */
export function startExample(path: string, args: string[] = [], more: Record<string, string> = {}): Promise<Example> {
  return launchExample(path, args, more, (child) => {
    watchErrorOutput(path, child)
    children.add(child)
    child.once('close', () => children.delete(child))
  })
}

/** Builds the page of an example with Vite, as its script in package.json does. */
export async function buildPage(name: string): Promise<void> {
  const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
  const { VITEST: _, NODE_ENV: __, ...env } = process.env
  await promisify(execFile)(process.execPath, [at('node_modules/vite/bin/vite.js'), 'build', at(`examples/${name}`)], { env })
}
