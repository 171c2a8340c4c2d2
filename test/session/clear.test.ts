import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { live, turns, visited } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

/** Its `clear()` takes a while, as that of stores that look for the ids first. */
class SlowClear extends ControlledStore {
  readonly #removed = deferred()
  readonly #answered = deferred()

  override clear(callback?: (error?: any) => void): any {
    const cleared = this.#removed.promise.then(() => {
      for (const sid of this.ids()) this.gone(sid)
      return this.#answered.promise
    })
    if (!callback) return cleared
    cleared.then(() => callback(), callback)
  }

  remove(): void {
    this.#removed.resolve()
  }

  answer(): void {
    this.#answered.resolve()
  }

  refuse(): void {
    this.#removed.reject(new Error('down'))
  }
}

const calls: Record<string, (store: ControlledStore) => Promise<unknown>> = {
  'with a callback': (store) =>
    new Promise((resolve, reject) => store.clear((error?: unknown) => (error ? reject(error) : resolve(error)))),
  'that returns a promise': async (store) => store.clear(),
}

describe.each(Object.entries(calls))('a clear() %s', (_name, clear) => {
  it('ends the sockets that have connected while it was under way', async () => {
    const store = new SlowClear()
    const { app, browser } = await visited({ store, shared: { revalidate: false } })
    const cleared = clear(store)
    const client = await browser.connect()
    const gone = next(client, 'disconnect')
    const ended = next(app.sockets[0]!, 'session:destroyed')
    store.remove()
    store.answer()
    await cleared
    expect(await ended).toEqual({ reason: 'destroyed' })
    await gone
  })

  it('removes what a save has brought back that began before the store removed it', async () => {
    const store = new SlowClear()
    const { socket, session, sid } = await live({ store, shared: { revalidate: false } })
    const ended = next(socket, 'session:destroyed')
    const cleared = clear(store)
    const set = store.hold('set', { sid })
    session.x = 1
    await set.called
    store.remove()
    await until(() => !store.stored(sid))
    set.release()
    await session.save()
    await turns()
    expect(store.stored(sid)).toMatchObject({ x: 1 })
    store.answer()
    await cleared
    await ended
    expect(store.stored(sid)).toBeUndefined()
  })

  it('that fails ends no session, also one that is being saved', async () => {
    const store = new SlowClear()
    const { app, client, sid } = await live({ store })
    const cleared = clear(store)
    const set = store.hold('set', { sid })
    const acked = client.emitWithAck('set', 'x', 1)
    await set.called
    store.refuse()
    await expect(cleared).rejects.toThrow('down')
    set.release()
    expect(await acked).toBe('ok')
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ user: 'ada', x: 1 })
    expect(app.shared.stats().sockets).toBe(1)
  })
})
