import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Example {
  url: string
  child: ChildProcess
  /** Asks it to stop; resolves to the exit code and the signal that killed it, if any. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>
}

/**
 * Starts an example on a free port, as a reader would, and waits until it says where it is. It imports the built package.
 * @param onSpawn is given the process at once
 */
export async function launchExample(
  path: string,
  args: string[] = [],
  more: Record<string, string> = {},
  onSpawn: (child: ChildProcess) => void = () => {},
): Promise<Example> {
  const file = fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))
  const { VITEST: _, NODE_ENV: __, ...env } = process.env
  const loader = path.endsWith('.ts') ? ['--import', 'tsx'] : []
  const child = spawn(process.execPath, [...loader, file, ...args], {
    env: { ...env, PORT: '0', ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onSpawn(child)
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      const found = /http:\/\/\S+(?=\s)/.exec(output)
      if (found) resolve(found[0])
    })
    child.on('close', () => reject(new Error(`${path} ended at once. Is the package built?\n${errors}`)))
  })
  return {
    url,
    child,
    async stop(asked = 'SIGTERM') {
      child.kill(asked)
      const [code, signal] = await closed
      return { code, signal, errors }
    },
  }
}
