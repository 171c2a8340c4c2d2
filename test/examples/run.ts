import type { ChildProcess } from 'node:child_process'
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
