import expressSession, { type Store } from 'express-session'
import { expect, it } from 'vitest'
import sharedsession from '../../src/index.js'

/** What one call of a store's method gave its caller, with the ids of the run taken out. */
export interface Answered {
  /** What the callback was called with; absent where none was given, or it was not called. */
  said?: unknown[]
  /** `promise` or the value that was returned, or what was thrown. */
  returned: unknown
  /** What a promise came to. */
  came?: unknown
}

export interface Surface {
  store: any
  /** Calls a method with a callback. */
  call(method: string, ...args: unknown[]): Promise<Answered>
  /** Calls a method without one. */
  bare(method: string, ...args: unknown[]): Promise<Answered>
}

/** Runs a scenario on a store alone, and on one that was given to this package: all that is returned by it has to be the same. */
export function sameSurface(
  name: string,
  open: () => Promise<Store> | Store,
  scenario: (surface: Surface) => Promise<unknown>,
): void {
  it(name, async () => {
    const alone = await scenario(surfaceOf(await open()))
    const store = await open()
    const session = expressSession({ secret: 's', store, resave: false, saveUninitialized: false })
    const shared = sharedsession(session, { bus: false })
    try {
      expect(shared.stats().driver).not.toBe('generic')
      expect(await scenario(surfaceOf(store))).toEqual(alone)
    } finally {
      await shared.close()
    }
  })
}

function surfaceOf(store: any): Surface {
  return {
    store,
    call(method, ...args) {
      return new Promise((resolve) => {
        let returned: unknown
        const callback = (...said: unknown[]): string => {
          setImmediate(async () => resolve({ said: said.map(plainly), ...(await settled(returned)) }))
          return 'what the callback returned'
        }
        try {
          returned = store[method](...args, callback)
        } catch (error) {
          resolve({ returned: plainly(error) })
        }
      })
    },
    async bare(method, ...args) {
      const { came } = await settled(store[method](...args))
      return { returned: came }
    },
  }
}

async function settled(returned: unknown): Promise<Pick<Answered, 'returned' | 'came'>> {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== 'function') return { returned: plainly(returned) }
  try {
    return { returned: 'promise', came: plainly(await returned) }
  } catch (error) {
    return { returned: 'promise', came: plainly(error) }
  }
}

/** An error by what it says, and without what differs from run to run. */
function plainly(value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message}` : value
}
