import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { locked } from '../support/lock.js'

// The commit protocol as a model, all of whose states SPIN visits: protocol/commit.pml.

const run = promisify(execFile)
const model = fileURLToPath(new URL('./protocol/commit.pml', import.meta.url))

function isThere(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** SPIN makes a program in C of the model. As root on Debian it is installed if it is missing. */
async function canCheck(): Promise<boolean> {
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

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** @param flaw leaves a deciding line of the protocol out */
async function check(flaw?: string): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'sharedsession-spin-'))
  folders.push(cwd)
  await run('spin', ['-a', ...(flaw ? [`-D${flaw}`] : []), model], { cwd })
  await run('gcc', ['-O2', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c'], { cwd })
  return (await run('./pan', ['-m20000'], { cwd })).stdout
}

describe.runIf(await canCheck())('the commit protocol, for two writers with three writes and one lost answer each', () => {
  it('writes nothing twice, and acknowledges nothing that was not written', async () => {
    const report = await check()
    expect(report).toMatch(/errors: 0/)
    expect(report).not.toMatch(/max search depth too small|out of memory/)
    expect(Number(report.match(/(\d+) states, stored/)?.[1])).toBeGreaterThan(1_000_000)
  }, 300_000)

  it.each(['NO_INCLUDES', 'NO_COVERS', 'NEW_ID'])(
    'fails with the flaw %s',
    async (flaw) => {
      expect(await check(flaw)).toMatch(/errors: 1/)
    },
    300_000,
  )
})
