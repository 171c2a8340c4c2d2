import { inspect } from 'node:util'
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'
import expressSession from 'express-session'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { IndeterminateWriteError } from '../../../../src/driver.js'
import { touch } from '../../../../src/driver-testing/fixture.js'
import { chooseDriver } from '../../../../src/store/drivers/choose.js'
import { dynamodbDriver } from '../../../../src/store/drivers/dynamodb/driver.js'
import type { NextSession, StoreDriver, StoredSession } from '../../../../src/store/drivers/store-driver.js'
import { startDynalite } from '../../../support/dynalite.js'
import { failure } from '../../../support/live.js'
import { HOUR, methodsOf, newSid } from '../fixture.js'
import { itemOf, type Opened, open } from './fixture.js'

let server: { port: number; stop(): Promise<void> }
let store: Opened
let driver: StoreDriver
/** What the client has sent. */
let sent: object[]
/** What happens to the answers of the next puts. */
let answers: ((answer: Promise<unknown>) => Promise<unknown>)[]

beforeAll(async () => {
  server = await startDynalite()
})
afterAll(() => server.stop())

beforeEach(async () => {
  await use()
  return () => store.client.destroy()
})

async function use(options: object = {}): Promise<void> {
  store = await open(server.port, options)
  driver = dynamodbDriver(store)
  sent = []
  answers = []
  const send = store.client.send.bind(store.client) as (command: unknown) => Promise<unknown>
  Object.assign(store.client, {
    async send(command: object) {
      sent.push(command)
      const change = command instanceof PutItemCommand ? answers.shift() : undefined
      if (!change) return send(command)
      const answer = send(command)
      answer.catch(() => undefined)
      return change(answer)
    },
  })
}

const inHours = (hours: number): Date => new Date(Date.now() + hours * HOUR)
const next = (n: unknown, more: Partial<NextSession> = {}): NextSession => ({
  text: JSON.stringify({ cookie: { originalMaxAge: HOUR }, n }),
  expires: inHours(1),
  atLeast: true,
  ...more,
})

async function created(sid: string): Promise<StoredSession> {
  const { text, expires } = next(1)
  expect(await driver.write(sid, { text, expires, atLeast: false }, undefined)).toEqual({ written: true })
  return { text }
}

/** The client has sent it before. */
const again = async (answer: Promise<unknown>): Promise<unknown> => {
  const error: any = await answer.catch((error) => error)
  error.$metadata.attempts = 2
  throw error
}

it('is not chosen by itself: a hint says where it is', () => {
  const { driver, hint } = chooseDriver(store, methodsOf(store))
  expect(driver.name).toBe('generic')
  expect(hint).toContain('sharedsession/dynamodb')
})

it('takes a store of connect-dynamodb only', () => {
  for (const other of [new expressSession.MemoryStore(), undefined, null])
    expect(() => dynamodbDriver(other as never)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }))
})

it('writes whole seconds, as the time to live of DynamoDB has to be', async () => {
  const sid = newSid()
  const expires = new Date(1_900_000_000_500)
  await driver.write(sid, next(1, { expires }), undefined)
  expect((await itemOf(store, sid))?.expires).toEqual({ N: '1900000001' })
  await touch(driver, sid, expires)
  expect((await itemOf(store, sid))?.expires).toEqual({ N: '1900000001' })
})

it('a session without an end lives for a day, as in the store itself', async () => {
  const sid = newSid()
  await driver.write(sid, next(1, { expires: undefined }), undefined)
  const item = await itemOf(store, sid)
  expect(Math.abs(Number(item?.expires.N) * 1000 - inHours(24).getTime())).toBeLessThan(60_000)
})

it('a touch makes no item', async () => {
  const sid = newSid()
  expect(await touch(driver, sid, inHours(1))).toBe(false)
  expect(await itemOf(store, sid)).toBeUndefined()
})

it('reads sessions by hundreds, and what an answer has left out', async () => {
  const sids = Array.from({ length: 120 }, newSid)
  for (const sid of sids.slice(0, 30)) await driver.write(sid, next('x'.repeat(300_000)), undefined)
  sent = []
  const found = await driver.readMany!([...sids, sids[0]!])
  expect(found.filter(Boolean).length).toBe(31)
  expect(found[120]).toEqual(found[0])
  expect(sent.length).toBeGreaterThanOrEqual(2)
})

describe('an end that is later than the new one', () => {
  it('stays, with one more statement, where the server hands out what is there', async () => {
    const sid = newSid()
    const held = await created(sid)
    await touch(driver, sid, inHours(3))
    const before = (await itemOf(store, sid))?.expires
    answers.push(async (answer) => {
      const item = await itemOf(store, sid)
      return answer.catch((error) => Promise.reject(Object.assign(error, { Item: item })))
    })
    sent = []
    expect(await driver.write(sid, next(2), held)).toEqual({ written: true })
    expect(sent.filter((each) => each instanceof PutItemCommand).length).toBe(2)
    expect((await itemOf(store, sid))?.expires).toEqual(before)
  })

  it('stays where it is touched again and again, and the write is refused at last', async () => {
    const sid = newSid()
    const held = await created(sid)
    await touch(driver, sid, inHours(3))
    let hours = 3
    const touched = async (answer: Promise<unknown>): Promise<unknown> => {
      hours++
      await touch(driver, sid, inHours(hours))
      return answer
    }
    // Before the second statement of each time.
    const send = store.client.send as (command: unknown) => Promise<unknown>
    Object.assign(store.client, {
      async send(command: object) {
        if (command instanceof PutItemCommand && command.input.ConditionExpression?.endsWith('expires = :end'))
          await touched(Promise.resolve())
        return send(command)
      },
    })
    expect(await driver.write(sid, next(2), held)).toEqual({ written: false })
    expect(await driver.read(sid)).toEqual(held)
  })
})

it('a refusal brings what is there, where the server hands it out', async () => {
  const sid = newSid()
  const held = await created(sid)
  const second = next(2)
  await driver.write(sid, second, held)
  const item = await itemOf(store, sid)
  const telling = (answer: Promise<unknown>): Promise<unknown> =>
    answer.catch((error) => Promise.reject(Object.assign(error, { Item: item })))
  for (const atLeast of [true, false]) {
    answers.push(telling)
    sent = []
    expect(await driver.write(sid, next(3, { atLeast }), held)).toEqual({ written: false, stored: { text: second.text } })
    expect(sent.some((each) => each instanceof GetItemCommand)).toBe(false)
  }
  answers.push(telling)
  expect(await driver.write(sid, next(3), undefined)).toEqual({ written: false, stored: { text: second.text } })
})

describe('an error of a write', () => {
  it('is passed on where the server has refused: an item of more than 400 kB', async () => {
    const sid = newSid()
    const held = await created(sid)
    expect(await failure(driver.write(sid, next('x'.repeat(410_000)), held))).toMatchObject({ name: 'ValidationException' })
    expect(await driver.read(sid)).toEqual(held)
  })

  it('tells nothing where the client had sent it before', async () => {
    const sid = newSid()
    const held = await created(sid)
    answers.push(again)
    expect(await failure(driver.write(sid, next('x'.repeat(410_000)), held))).toBeInstanceOf(IndeterminateWriteError)
    await driver.write(sid, next(2), held)
    answers.push(again)
    expect(await failure(driver.write(sid, next(3), held))).toBeInstanceOf(IndeterminateWriteError)
  })

  it('tells that the first time was done, where the server hands it out', async () => {
    const sid = newSid()
    const held = await created(sid)
    const second = next(2)
    await driver.write(sid, second, held)
    const item = await itemOf(store, sid)
    answers.push((answer) => again(answer.catch((error) => Promise.reject(Object.assign(error, { Item: item })))))
    expect(await driver.write(sid, second, held)).toEqual({ written: true })
  })

  it('does not show what the server hands out', async () => {
    const sid = newSid()
    const held = await created(sid)
    await driver.write(sid, next('secret'), held)
    const item = await itemOf(store, sid)
    answers.push((answer) => again(answer.catch((error) => Promise.reject(Object.assign(error, { Item: item })))))
    const shown = inspect(await failure(driver.write(sid, next(3), held)), { depth: 9, showHidden: true })
    expect(shown).toMatch('ConditionalCheckFailedException')
    expect(shown).not.toMatch(/secret/)
    expect(shown).not.toContain(sid)
  })

  it.each([
    ['a failure of the server', { name: 'InternalServerError', $metadata: { httpStatusCode: 500, attempts: 1 } }],
    ['a connection that was lost', { name: 'Error', code: 'ECONNRESET', $metadata: { attempts: 1 } }],
  ])('tells nothing: %s', async (_what, fields) => {
    answers.push(async () => Promise.reject(Object.assign(new Error('lost'), fields)))
    expect(await failure(driver.write(newSid(), next(1), undefined))).toBeInstanceOf(IndeterminateWriteError)
  })

  it('is passed on where the client has no credentials', async () => {
    answers.push(async () => Promise.reject(Object.assign(new Error('none'), { name: 'CredentialsProviderError' })))
    expect(await failure(driver.write(newSid(), next(1), undefined))).toMatchObject({ name: 'CredentialsProviderError' })
  })
})

describe('the option specialKeys', () => {
  const specialKeys = [
    { name: 'user', type: 'S' },
    { name: 'n', type: 'N' },
  ]

  it('members of the session are attributes of the item as well', async () => {
    await use({ specialKeys })
    const sid = newSid()
    await driver.write(sid, next(1, { text: '{"cookie":{},"user":"ada","n":7}' }), undefined)
    expect(await itemOf(store, sid)).toMatchObject({ user: { S: 'ada' }, n: { N: '7' }, type: { S: 'connect-session' } })
  })

  it('a session without them is refused, unless the store lets it', async () => {
    await use({ specialKeys })
    expect(await failure(driver.write(newSid(), next(1), undefined))).toMatchObject({ message: expect.stringContaining('user') })
    await use({ specialKeys, skipThrowMissingSpecialKeys: true })
    expect(await driver.write(newSid(), next(1), undefined)).toEqual({ written: true })
  })
})
