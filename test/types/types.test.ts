import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
const project = fileURLToPath(new URL('.', import.meta.url))

// What is expected stands in the files beside this one: each line of theirs must compile, or must not where it says so.
it('the types accept what is right and refuse what is wrong, with strict library checks', async () => {
  const complaints = await promisify(execFile)(process.execPath, [tsc, '-p', project, '--pretty', 'false']).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout || String(error),
  )
  expect(complaints).toBe('')
})
