import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import { afterEach, expect, it } from 'vitest'
import { sample } from '../driver-testing/sample.js'
import { closeApps, startApp } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { tab } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

/** A socket of a stored session, on a store with that driver. */
async function openTab(driver: StoreDriver) {
  const shared = { driver, revalidate: false, touch: false, retry: { attempts: 1 } } as const
  const app = await startApp({ store: new DriverStore(), shared })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const opened = await tab(app, browser)
  return { app, browser, sid: opened.socket.handshake.sessionID as string, ...opened }
}

/**
 * The outcome of the first write after `lose()` cannot be told: its answer is lost, and then so is the history. Reads wait from then on.
 * @param isStored it was stored
 */
function losingDriver(isStored = false) {
  const readable = deferred<void>()
  const hold = { isHeld: false }
  let writes = Number.NEGATIVE_INFINITY
  const driver = sample((rows, { write, read, readMany }): Partial<StoreDriver> => {
    return {
      async read(sid) {
        if (hold.isHeld) await readable.promise
        return read(sid)
      },
      async readMany(sids) {
        if (hold.isHeld) await readable.promise
        return (readMany as NonNullable<typeof readMany>)(sids)
      },
      async write(sid, ...args) {
        writes++
        if (writes === 1) {
          if (isStored) await write(sid, ...args)
          throw new IndeterminateWriteError(new Error('the connection was lost'))
        }
        if (writes !== 2) return write(sid, ...args)
        hold.isHeld = true
        const row = rows.get(sid)!
        const { cookie, ...data } = JSON.parse(row.text)
        delete cookie.sharedsession
        row.text = JSON.stringify({ cookie, ...data })
        return { written: false, stored: { text: row.text } }
      },
    }
  })
  const lose = (): void => {
    writes = 0
  }
  return { driver, readable, lose, hold }
}

it('a write that repeats one of unknown outcome is not acknowledged', async () => {
  const { driver, readable, lose, hold } = losingDriver()
  const { app, client, socket, sid } = await openTab(driver)
  lose()
  const error = next(socket, 'session:error')
  client.emit('set', 'first', 1)
  expect(await error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  let isAcknowledged = false
  client.emit('set', 'first', 1, () => {
    isAcknowledged = true
  })
  await next(socket, 'set')
  hold.isHeld = false
  readable.resolve()
  // Acks come in the order of their calls.
  await client.emitWithAck('set', 'second', 2)
  expect(isAcknowledged).toBe(false)
  await client.emitWithAck('set', 'first', 1)
  expect((await driver.read(sid))?.text).toContain('"first":1')
  await app.shared.flush()
})

it.each(['set', 'delete'])('a write (%s) that repeats one of another tab whose save fails is not acknowledged', async (event) => {
  let failing: ReturnType<typeof deferred<void>> | undefined
  const sent = deferred<void>()
  const driver = sample((_, { write }): Partial<StoreDriver> => {
    return {
      async write(...args) {
        const failure = failing
        failing = undefined
        if (!failure) return write(...args)
        sent.resolve()
        await failure.promise
        throw new Error('down')
      },
    }
  })
  const { app, browser, client, socket, sid } = await openTab(driver)
  const other = await tab(app, browser)
  for (const each of [socket, other.socket]) {
    each.on('delete', (key: string, _value: unknown, ack: () => void) => {
      delete (each.handshake as any).session[key]
      ack()
    })
  }
  const failure = deferred<void>()
  failing = failure
  const error = next(socket, 'session:error')
  const acknowledged: string[] = []
  client.emit(event, 'user', 'eve', () => acknowledged.push('first'))
  await sent.promise
  other.client.emit(event, 'user', 'eve', () => acknowledged.push('repeated'))
  await next(other.socket, event)
  failure.resolve()
  expect(await error).toMatchObject({ code: 'SAVE_FAILED' })
  // Its save is tried again by whoever writes next.
  await other.client.emitWithAck(event, 'user', 'eve')
  expect(acknowledged).toEqual([])
  expect((await driver.read(sid))?.text).not.toContain('"user":"ada"')
})

interface Refusal {
  sent: ReturnType<typeof deferred<void>>
  answered: ReturnType<typeof deferred<void>>
}

const refusal = (): Refusal => ({ sent: deferred(), answered: deferred() })

/** Refuses each write with the text 'refused'. @param present which refusal the next one is */
function refusingDriver(present: () => Refusal): StoreDriver {
  return sample((_, { write }): Partial<StoreDriver> => {
    return {
      async write(sid, next, ...rest) {
        if (!next.text.includes('refused')) return write(sid, next, ...rest)
        const { sent, answered } = present()
        sent.resolve()
        await answered.promise
        throw Object.assign(new Error('a text that the column cannot hold'), { code: '22P05' })
      },
    }
  })
}

it('a write that repeats one of another tab that the store refuses is not acknowledged', async () => {
  let { sent, answered } = refusal()
  const driver = refusingDriver(() => ({ sent, answered }))
  const { app, browser, client, socket, sid } = await openTab(driver)
  const other = await tab(app, browser)
  const acknowledged: string[] = []
  const errors = [socket, other.socket].map((each) => next(each, 'session:error'))
  client.emit('set', 'text', 'refused', () => acknowledged.push('first'))
  await sent.promise
  other.client.emit('set', 'text', 'refused', () => acknowledged.push('repeated'))
  await next(other.socket, 'set')
  answered.resolve()
  for (const error of errors) expect(await error).toMatchObject({ code: 'NOT_STORABLE' })
  // Acks come in the order of their calls.
  await Promise.all([client, other.client].map((each) => each.emitWithAck('set', 'text', 'kept')))
  expect(acknowledged).toEqual([])
  // Who has repeated one such write is not taken for the author of the next one.
  ;({ sent, answered } = refusal())
  const error = next(socket, 'session:error')
  client.emit('set', 'other', 'refused')
  await sent.promise
  const kept = other.client.emitWithAck('set', 'mine', 1)
  await next(other.socket, 'set')
  answered.resolve()
  expect(await error).toMatchObject({ code: 'NOT_STORABLE' })
  await kept
  expect((await driver.read(sid))?.text).toContain('"text":"kept","mine":1')
})

/** Each socket changes what the first one has written, and changes it back. */
const RESTORED: [string, (session: any) => void][] = [
  ['a key', (session) => [0, 1].map((first) => Object.assign(session, { first }))],
  ['an object', ({ cart }) => [0, 1].map((n) => Object.assign(cart, { n }))],
  ['an object by an equal one', (session) => Object.assign(session, { cart: { n: 1 } })],
  ['an object by one with more in it', (session) => Object.assign(session, { cart: { n: 1, total: 2 } })],
  ['a list', (session) => Object.assign(session, { list: ['a'] })],
  ['a list whose element comes again', ({ list }) => void list.push(list.pop())],
]

it.each(RESTORED)(
  'a write that changes %s of unknown outcome, and changes it back, is not acknowledged',
  async (_what, restore) => {
    const { driver, readable, lose, hold } = losingDriver()
    const { app, client, socket, session } = await openTab(driver)
    socket.on('restore', (ack: () => void) => {
      restore(session)
      ack()
    })
    socket.on('write', () => void Object.assign(session, { first: 1, cart: { n: 1 }, list: ['a'] }))
    await client.emitWithAck('set', 'cart', {})
    lose()
    const error = next(socket, 'session:error')
    client.emit('write')
    expect(await error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const acknowledged: string[] = []
    client.emit('restore', () => acknowledged.push('restored'))
    await next(socket, 'restore')
    hold.isHeld = false
    readable.resolve()
    // Acks come in the order of their calls.
    await client.emitWithAck('set', 'second', 2)
    expect(acknowledged).toEqual([])
    await app.shared.flush()
  },
)

it.each(RESTORED)(
  'a write that changes %s which the store then refuses, and changes it back, is not acknowledged',
  async (_what, restore) => {
    const { sent, answered } = refusal()
    const driver = refusingDriver(() => ({ sent, answered }))
    const { app, browser, client, socket, session } = await openTab(driver)
    const other = await tab(app, browser)
    await client.emitWithAck('set', 'cart', {})
    other.socket.on('restore', (ack: () => void) => {
      restore(other.session)
      ack()
    })
    const error = next(socket, 'session:error')
    Object.assign(session, { first: 1, cart: { n: 1 }, list: ['a'], text: 'refused' })
    await sent.promise
    const acknowledged: string[] = []
    other.client.emit('restore', () => acknowledged.push('restored'))
    await next(other.socket, 'restore')
    answered.resolve()
    expect(await error).toMatchObject({ code: 'NOT_STORABLE' })
    await other.client.emitWithAck('set', 'second', 2)
    expect(acknowledged).toEqual([])
  },
)

it('a write after one of unknown outcome is acknowledged where it writes something else, or the store has the first one', async () => {
  for (const isStored of [false, true]) {
    const { driver, readable, lose, hold } = losingDriver(isStored)
    const { client, socket, sid, session } = await openTab(driver)
    socket.on('append', (ack: () => void) => {
      if (isStored) for (const first of [0, 1]) session.first = first
      session.list.push('b')
      ack()
    })
    await client.emitWithAck('set', 'list', [])
    lose()
    const error = next(socket, 'session:error')
    Object.assign(session, { first: 1, list: ['a'] })
    expect(await error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const acknowledged = client.emitWithAck('append')
    await next(socket, 'append')
    hold.isHeld = false
    readable.resolve()
    await acknowledged
    const { list } = JSON.parse((await driver.read(sid))?.text ?? '')
    expect(list).toEqual(isStored ? ['a', 'b'] : ['b'])
  }
})
