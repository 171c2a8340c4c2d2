// Runs the program of a process, bundled beside this file, with the code that V8 compiled for a process before it.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { constants, Script } from 'node:vm'

/** ms after which most of what a process runs is compiled. */
const WARM = 4000

const folder = dirname(process.argv[1]!)
const filename = join(folder, 'process.cjs')
const compiled = `${filename}.compiled`
const cachedData = read(compiled)
const script = new Script(`(function (require, module, exports, __filename, __dirname) {${readFileSync(filename, 'utf8')}\n})`, {
  filename,
  ...(cachedData && { cachedData }),
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
if (!cachedData) setTimeout(keep, WARM).unref()
const program = { exports: {} }
script.runInThisContext()(createRequire(filename), program, program.exports, filename, folder)

/** Several processes may do so at once. */
function keep(): void {
  if (read(compiled)) return
  const own = `${compiled}-${process.pid}`
  writeFileSync(own, script.createCachedData())
  renameSync(own, compiled)
}

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
