import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { Checkers, canCheck } from './protocol/spin.js'

// The commit protocol as a model, all of whose states SPIN visits: protocol/commit.pml.

const checkers = new Checkers()
afterAll(() => checkers.close())

/** @param flaw leaves a deciding line of the protocol out */
async function check(flaw?: string): Promise<string> {
  const program = await checkers.make(flaw ? [flaw] : [], ['-DCOLLAPSE'])
  return (await promisify(execFile)(program, ['-m20000'], { cwd: dirname(program) })).stdout
}

describe.runIf(await canCheck())('the commit protocol, for two writers with three writes and one lost answer each', () => {
  it('writes nothing twice, and acknowledges nothing that was not written', async () => {
    const report = await check()
    expect(report).toMatch(/errors: 0/)
    expect(report).not.toMatch(/max search depth too small|out of memory/)
    expect(Number(report.match(/(\d+) states, stored/)?.[1])).toBeGreaterThan(2_500_000)
  }, 300_000)

  it.each(['NO_INCLUDES', 'NO_COVERS', 'NEW_ID'])(
    'fails with the flaw %s',
    async (flaw) => {
      expect(await check(flaw)).toMatch(/errors: 1/)
    },
    300_000,
  )
})
