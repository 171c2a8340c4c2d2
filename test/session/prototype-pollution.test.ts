import expressSession from 'express-session'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { apply } from '../../src/document/patch.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, failure, live, tab } from '../support/live.js'
import { sidOf } from '../support/sid.js'

const names = (): unknown[] => [Object.prototype, Array.prototype, Function.prototype].map((each) => Reflect.ownKeys(each))
let before: unknown[]

beforeEach(() => {
  before = names()
})

afterEach(async () => {
  await closeApps()
  expect(names()).toEqual(before)
})

/** As a client, or whoever writes to the store, may send it: `JSON.parse` makes an own property of it. */
const FORGED = '{"name":"ada","__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}'
const forged = (): any => JSON.parse(FORGED)

/** An own key that would become a prototype where it is copied by an assignment. */
const isClean = (json: string): boolean => !json.includes('__proto__')

function storedJson(store: ControlledStore, sid: string): string {
  return (store as unknown as { sessions: Record<string, string> }).sessions[sid] as string
}

describe('prototypes in what a store holds', () => {
  async function scene() {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const browser = app.browser()
    await browser.get('/set?a=1')
    const sid = sidOf(browser)
    const cookie = JSON.stringify(store.stored(sid)?.cookie)
    const json = `{"cookie":${cookie},"user":${FORGED},"list":[${FORGED}],"__proto__":{"admin":true},"constructor":{"x":1}}`
    ;(store as unknown as { sessions: Record<string, string> }).sessions[sid] = json
    return { store, app, browser, sid }
  }

  it('do not become prototypes in a socket session', async () => {
    const { app, browser, store, sid } = await scene()
    const { client, session } = await tab(app, browser)
    const { user, list } = session
    expect([session.admin, user.admin, list[0].admin, session.user.name]).toEqual([undefined, undefined, undefined, 'ada'])
    expect(Object.getPrototypeOf(user)).toBe(Object.prototype)
    await client.emitWithAck('set', 'b', 2)
    expect(store.stored(sid)).toMatchObject({ b: 2, user: { name: 'ada' } })
    const copy = app.shared.snapshot(sid) as any
    expect([copy.admin, copy.user.admin, copy.list[0].admin]).toEqual([undefined, undefined, undefined])
    expect(isClean(JSON.stringify(copy))).toBe(true)
  })

  it('do not become prototypes in requests, nor in the sockets that are notified of their writes', async () => {
    const { app, browser, store, sid } = await scene()
    const { session } = await tab(app, browser)
    await browser.get('/set?b=2')
    const { body } = await browser.get('/session')
    expect(body).toMatchObject({ b: '2', user: { name: 'ada' } })
    expect(session).toMatchObject({ b: '2' })
    expect([session.admin, session.user.admin]).toEqual([undefined, undefined])
    expect(store.stored(sid)).toMatchObject({ b: '2' })
  })

  it('do not become prototypes in update()', async () => {
    const { app, store, sid } = await scene()
    const seen: unknown[] = []
    const data: any = await app.shared.update(sid, (draft: any) => {
      seen.push(draft.admin, draft.user.admin, draft.list[0].admin)
      draft.user.name = 'eve'
      draft.list[0].name = 'bob'
    })
    expect(seen).toEqual([undefined, undefined, undefined])
    expect([data.admin, data.user.admin, data.list[0].admin]).toEqual([undefined, undefined, undefined])
    expect(store.stored(sid)).toMatchObject({ user: { name: 'eve' }, list: [{ name: 'bob' }] })
  })

  it('in the cookie do not become prototypes', async () => {
    const { app, browser, store, sid } = await scene()
    const sessions = (store as unknown as { sessions: Record<string, string> }).sessions
    sessions[sid] = `{"cookie":{"originalMaxAge":null,"path":"/","constructor":1},"user":"ada"}`
    const { client, session } = await tab(app, browser)
    await client.emitWithAck('set', 'b', 2)
    expect(session).toMatchObject({ user: 'ada', b: 2 })
  })
})

describe('prototypes in what is written', () => {
  it('by a socket: a value that has them is refused, and so is a name that is one', async () => {
    const { store, client, session, sid, socket } = await live()
    const told = collect(socket, 'session:error')
    const acked: string[] = []
    socket.on('put', (key: string, value: unknown, ack: () => void) => {
      session[key] = value
      ack()
    })
    const { profile } = JSON.parse('{"profile":{"name":"ada","constructor":{"prototype":{"admin":true}}}}')
    await client.emitWithAck('put', 'profile', profile)
    for (const [key, value] of [
      ['profile', forged()],
      ['__proto__', { admin: true }],
      ['n', 1],
    ]) {
      client.emit('put', key, value, () => acked.push(key as string))
    }
    await expect.poll(() => acked).toEqual(['n'])
    expect(told.map(({ code }) => code)).toEqual(['RESERVED_KEY', 'RESERVED_KEY'])
    expect([session.admin, session.profile.admin, session.profile.name]).toEqual([undefined, undefined, 'ada'])
    expect(store.stored(sid)?.profile).toEqual({ name: 'ada', constructor: { prototype: { admin: true } } })
    expect(isClean(storedJson(store, sid))).toBe(true)
    // The walk that pollutes a plain object.
    const key = '__proto__'
    expect(() => {
      session[key].admin = true
    }).toThrow(TypeError)
    expect(() => {
      session.profile[key].admin = true
    }).toThrow(TypeError)
    expect(() => {
      session.cookie[key].admin = true
    }).toThrow(TypeError)
    session.cookie[key] = { admin: true }
    expect(Object.getPrototypeOf(session.cookie)).toBe(Object.getPrototypeOf(new expressSession.Cookie()))
  })

  it('by a request that is merged with another writer: no session has them afterwards', async () => {
    const routes = (http: any): void => {
      http.get('/profile', (req: any, res: any) => {
        req.session.profile = forged()
        store.foreign(req.sessionID, { user: 'eve', more: 1 })
        res.json('done')
      })
    }
    const store = new ControlledStore()
    const { browser, session, sid } = await live({ store, routes })
    await browser.get('/profile')
    expect(session).toMatchObject({ user: 'eve', more: 1, profile: { name: 'ada' } })
    expect([session.admin, session.profile.admin]).toEqual([undefined, undefined])
    expect(store.stored(sid)).toMatchObject({ more: 1, profile: { name: 'ada' } })
  })

  it('by a recipe: values are stored without them, and a draft takes no prototype', async () => {
    const { app, session, sid } = await live()
    const data: any = await app.shared.update(sid, (draft: any) => {
      draft.profile = forged()
    })
    expect([data.admin, data.profile.admin, session.profile.admin, session.profile.name]).toEqual([
      undefined,
      undefined,
      undefined,
      'ada',
    ])
    const key = '__proto__'
    const taken = failure(
      app.shared.update(sid, (draft: any) => {
        draft[key] = { admin: true }
      }),
    )
    expect((await taken).message).toMatch(/setPrototypeOf/)
    expect((await failure(app.shared.update(sid, () => forged()))).message).toBe(
      'constructor: this name is reserved, use another one',
    )
    const returned: any = await app.shared.update(sid, () => {
      const data = forged()
      delete data.constructor
      return data
    })
    expect([returned.admin, session.admin, returned.name]).toEqual([undefined, undefined, 'ada'])
  })
})

it('patches reach no prototype, whatever their path', () => {
  for (const path of [
    ['__proto__'],
    ['user', '__proto__'],
    ['__proto__', 'admin'],
    ['user', '__proto__', 'admin'],
    ['constructor', 'prototype', 'admin'],
    ['user', 'constructor', 'prototype', 'admin'],
    ['list', 'push', 'admin'],
  ]) {
    expect(() => apply({ user: {}, list: [] }, [{ op: 'add', path, value: true }])).toThrow(TypeError)
  }
  const document: any = apply({ user: {} }, [{ op: 'add', path: ['user', 'x'], value: forged() }])
  expect(document.user.x.admin).toBeUndefined()
})
