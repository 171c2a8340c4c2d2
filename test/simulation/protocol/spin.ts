import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { locked } from '../../support/lock.js'

const run = promisify(execFile)
const model = fileURLToPath(new URL('./commit.pml', import.meta.url))

function isThere(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** SPIN makes a program in C of the model. As root on Debian it is installed if it is missing. */
export async function canCheck(): Promise<boolean> {
  const isComplete = (): boolean => isThere('spin') && isThere('gcc')
  if (!isComplete() && process.getuid?.() === 0 && isThere('apt-get')) {
    await locked(join(tmpdir(), 'sharedsession-spin.lock'), async () => {
      if (isComplete()) return
      await run('apt-get', ['update', '-qq']).catch(() => undefined)
      await run('apt-get', ['install', '-y', '--no-install-recommends', 'spin', 'gcc', 'libc6-dev']).catch(() => undefined)
    })
  }
  if (!isComplete() && process.env.CI === 'true') throw new Error('spin or gcc is missing')
  return isComplete()
}

/** Folders of programs, which `close()` removes. */
export class Checkers {
  readonly #folders: string[] = []

  /**
   * Makes the program that visits the states of the model.
   * @param define the symbols of the model, as a flaw that leaves a deciding line out
   * @param flags of the compiler
   * @returns the program, in a folder of its own
   */
  async make(define: readonly string[], flags: readonly string[]): Promise<string> {
    const cwd = mkdtempSync(join(tmpdir(), 'sharedsession-spin-'))
    this.#folders.push(cwd)
    await run('spin', ['-a', ...define.map((name) => `-D${name}`), model], { cwd })
    await run('gcc', ['-O2', '-DSAFETY', ...flags, `-I${dirname(model)}`, '-o', 'pan', 'pan.c'], { cwd })
    return join(cwd, 'pan')
  }

  close(): void {
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true })
  }
}
