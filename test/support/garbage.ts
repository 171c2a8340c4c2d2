import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { turns } from './live.js'

/** What nothing holds is gone then. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  // A weak reference holds until the end of the turn in which it was looked at.
  for (let round = 0; round < 3; round++) {
    await turns()
    gc()
  }
}
