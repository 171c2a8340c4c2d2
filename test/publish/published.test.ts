import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type App, type AppOptions, closeApps, startApp } from '../support/app.js'
import { thrown } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

const newSession = () => expressSession({ secret: 'secret', resave: false, saveUninitialized: false })

function pageOf(options: AppOptions = {}): Promise<App> {
  let app: App
  const routes: AppOptions['routes'] = (http) => {
    http.get('/page', (req, res) => {
      if (req.query.user) req.session.user = String(req.query.user)
      res.json(app.shared.published(req))
    })
  }
  return startApp({ shared: { publish: ['user', 'n'] as never }, routes, ...options }).then((started) => {
    app = started
    return app
  })
}

describe('published()', () => {
  it('is what a page needs to begin with: unchanged since, no state is sent', async () => {
    const app = await pageOf()
    const browser = app.browser()
    // The session is new, and the request has just written to it.
    const { body } = await browser.get('/page?user=ada')
    expect(body).toEqual({ state: { user: 'ada' }, tag: expect.stringMatching(/^[\w-]{12}$/) })
    const mirror = await mirrored(browser, { before: body })
    expect(mirror.frames).toEqual([{ t: body.tag, n: expect.any(String) }])
    await browser.get('/set?n=1')
    const later = await mirrored(browser, { before: body })
    expect(later.state).toEqual({ n: '1', user: 'ada' })
    expect(app.shared.published(app.sockets[0]!)).toEqual({ state: later.state, tag: later.tag })
    expect(app.shared.published(sidOf(browser))).toEqual({ state: later.state, tag: later.tag })
    expect(app.shared.published(app.sockets[0]!.handshake)).toEqual({ state: later.state, tag: later.tag })
    expect(app.shared.published(app.sockets[0]!.request)).toEqual({ state: later.state, tag: later.tag })
  })

  it('of a socket is what the store holds, not what is unsaved', async () => {
    const app = await pageOf({ shared: { publish: ['user'] as never, autoSave: false } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const mirror = await mirrored(browser)
    await mirror.client.emitWithAck('set', 'user', 'bob')
    expect(app.shared.published(app.sockets[0]!).state).toEqual({ user: 'ada' })
    await app.shared.session(app.sockets[0]!).save()
    expect(app.shared.published(app.sockets[0]!).state).toEqual({ user: 'bob' })
    await mirror.when((state) => state.user === 'bob')
  })

  it.each<[string, object, string]>([
    ['without the option', {}, 'NOT_PUBLISHED'],
    ['with a second parameter', { publish: (_session: object, _socket: object) => ({}) }, 'BAD_OPTION'],
    ['that throws', { publish: () => JSON.parse('{') }, 'PUBLISH_FAILED'],
    ['that is too large', { publish: () => ({ a: 'x'.repeat(100) }), publishMaxBytes: 100 }, 'TOO_LARGE_TO_PUBLISH'],
  ])('fails %s', (_what, options, code) => {
    const shared = sharedsession(newSession(), options as never)
    expect(thrown(() => shared.published({ session: {} } as never))).toMatchObject({ code })
  })

  it('fails for a session that is not live here', () => {
    const shared = sharedsession(newSession(), { publish: () => ({}) })
    expect(thrown(() => shared.published('nobody'))).toMatchObject({ code: 'NO_SESSION' })
    expect(thrown(() => shared.published({ sessionID: 'x' }))).toMatchObject({ code: 'NO_SESSION' })
    expect(thrown(() => shared.published({} as never))).toMatchObject({ code: 'BAD_ARGUMENT' })
  })
})

describe('what is published', () => {
  const publish = (options: object, session: object) =>
    sharedsession(newSession(), options as never).published({ session } as never)

  it.each<[string, string[], object, object]>([
    ['keys', ['user', 'n'], { n: 1, other: 2 }, { n: 1 }],
    ['paths', ['user.name', 'cart.items'], { user: { name: 'ada', hash: 'x' }, cart: {} }, { user: { name: 'ada' } }],
    ['two paths of a parent', ['a.b', 'a.c'], { a: { b: 1, c: 2, d: 3 } }, { a: { b: 1, c: 2 } }],
    ['a path and its parent', ['a.b', 'a'], { a: { b: 1, c: 2 } }, { a: { b: 1, c: 2 } }],
    ['a key with a dot', ['hosts.example\\.org'], { hosts: { 'example.org': 1, b: 2 } }, { hosts: { 'example.org': 1 } }],
    ['what is null', ['a', 'b.c'], { a: null, b: null }, { a: null }],
    ['nothing', ['a.b', 'toString', 'c.length'], { a: 'text', c: [1] }, {}],
  ])('%s', (_what, paths, session, state) => {
    expect(publish({ publish: paths }, session).state).toEqual(state)
  })

  it('has sorted keys, so that equal states have equal tags', () => {
    const [one, two] = [
      { b: 1, a: { d: [{ z: 1, y: 2 }], c: 1 } },
      { a: { c: 1, d: [{ y: 2, z: 1 }] }, b: 1 },
    ].map((state) => publish({ publish: () => state }, {}))
    expect(JSON.stringify(one)).toBe(JSON.stringify(two))
    expect(JSON.stringify(one!.state)).toBe('{"a":{"c":1,"d":[{"y":2,"z":1}]},"b":1}')
  })

  it('is JSON: no __proto__, no undefined, dates as texts', () => {
    const { state } = publish(
      { publish: () => ({ at: new Date(0), no: undefined, ...JSON.parse('{"x":{"__proto__":{"a":1}}}') }) },
      {},
    )
    expect(JSON.stringify(state)).toBe('{"at":"1970-01-01T00:00:00.000Z","x":{}}')
  })

  it('has keys with the names of inherited members, and nothing that is inherited', () => {
    const { state } = publish(
      { publish: ['constructor.prototype', 'a.constructor', 'toString'] },
      { constructor: { prototype: 1 }, a: {} },
    )
    expect(JSON.stringify(state)).toBe('{"constructor":{"prototype":1}}')
    expect('prototype' in {}).toBe(false)
  })

  it('is made of a copy without the cookie, the methods and the keys of one socket', () => {
    let seen: unknown
    publish({ perSocket: ['room'], publish: (session: object) => (seen = { ...session }) }, { cookie: {}, room: 1, n: { a: 1 } })
    expect(seen).toEqual({ n: { a: 1 } })
  })
})

describe('the option publish', () => {
  it.each<[string, unknown]>([
    ['a number', 1],
    ['an object', {}],
    ['true', true],
    ['a path that is no text', [1]],
    ['an empty path', ['']],
    ['a path without a key', ['a..b']],
    ['any key', ['a.*']],
    ['the cookie', ['cookie']],
    ['what is in the cookie', ['cookie.expires']],
    ['passport', ['passport']],
    ['a token for forms', ['csrfToken']],
    ["a token for forms, as lusca's", ['_csrf']],
    ['a token', ['user.Token']],
    ['a token of an API', ['user.accessToken']],
    ['a token with an underscore', ['refresh_token']],
    ['a secret', ['secret']],
    ['a secret of an API', ['clientSecret']],
    ['a password', ['user.password.hash']],
    ['the hash of a password', ['user.passwordHash']],
    ['__proto__', ['__proto__.a']],
  ])('does not take %s', (_what, publish) => {
    expect(thrown(() => sharedsession(newSession(), { publish } as never))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('The option publish takes'),
    })
  })

  it('takes a secret from a function, and names such as cookieConsent from a list', () => {
    sharedsession(newSession(), { publish: (({ token }: { token: string }) => ({ token })) as never })
    sharedsession(newSession(), { publish: ['cookieConsent', 'passportNumber'] as never })
  })

  it.each([
    { publishMaxBytes: 0 },
    { publishMaxBytes: '1' },
    { publishInterval: -1 },
    { publishInterval: Number.POSITIVE_INFINITY },
  ])('%j is a BAD_OPTION', (options) => {
    expect(thrown(() => sharedsession(newSession(), options as never))).toMatchObject({ code: 'BAD_OPTION' })
  })

  it('undefined is the default', () => {
    sharedsession(newSession(), { publish: undefined, publishMaxBytes: undefined, publishInterval: undefined } as never)
    sharedsession(newSession(), { publishInterval: 0 })
  })
})
