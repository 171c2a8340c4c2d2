import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { turns } from './live.js'
import { checkWarnings, expectWarning, watchErrorOutput } from './warnings.js'

// Each of these takes what the check after the test would find.
it('a warning that no test expects fails the test in which it comes, with the text of the warning', async () => {
  process.emitWarning('something is odd', { type: 'OddWarning', code: 'ODD' })
  await turns()
  expect(checkWarnings()).toMatch(
    /no test expects .*fails the test in which it comes.*\n {2}OddWarning \[ODD\]: something is odd/,
  )
  expect(checkWarnings()).toBeUndefined()
})

it('an error on the console that no test expects fails its test', () => {
  console.error('no %s', 'apples')
  expect(checkWarnings()).toContain('console.error: no apples')
})

it('what a child process writes to its standard error fails the test that does not expect it', async () => {
  const child = spawn(process.execPath, ['--eval', 'console.error("no pears")'], { stdio: ['ignore', 'ignore', 'pipe'] })
  watchErrorOutput('a child', child)
  await once(child, 'close')
  expect(checkWarnings()).toContain('standard error of a child: no pears')
})

it('a warning that was expected fails nothing, and another one beside it does', async () => {
  // Codes of its own: where modules are not loaded anew, a warning of an earlier test counts as well.
  const messages = expectWarning('EXPECTED')
  process.emitWarning('something is expected', { code: 'EXPECTED' })
  process.emitWarning('something is even', { code: 'EVEN' })
  await turns()
  expect(messages).toEqual(['something is expected'])
  expect(checkWarnings()).toMatch(/^A warning that no test expects .*\n.*something is even$/)
})

it('an expected warning that does not come fails its test', () => {
  expectWarning('NEVER')
  expect(checkWarnings()).toBe('An expected warning did not come: NEVER')
})
