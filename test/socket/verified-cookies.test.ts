import { createHmac } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import cookieParser from 'cookie-parser'
import expressSession, { type SessionOptions } from 'express-session'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { VerifiedCookies } from '../../src/socket/handshake/verified-cookies.js'
import { closeApps, startApp } from '../support/app.js'
import { expectWarning } from '../support/warnings.js'

afterEach(async () => {
  await closeApps()
  vi.restoreAllMocks()
})

const NAME = 'connect.sid'
const genuine = cookieValue('ada')

/** The value of a session cookie. */
function cookieValue(sid: string, secret = 'secret'): string {
  const signature = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
  return encodeURIComponent(`s:${sid}.${signature}`)
}

function requestOf(url: string, headers = {}): IncomingMessage {
  return { method: 'GET', url, headers, socket: {} } as IncomingMessage
}

/** An express-session whose runs are counted, and what reads the ids in its cookies. */
function verifying(options: Partial<SessionOptions> = {}) {
  const store = new expressSession.MemoryStore()
  const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false, store, ...options })
  const run = vi.fn(session)
  const get = vi.spyOn(store, 'get')
  const verified = new VerifiedCookies(run as never)
  const sidIn = (value: string, url = '/socket.io/?EIO=4', secret?: unknown) =>
    verified.sidIn(requestOf(url), NAME, value, secret)
  return { store, run, get, verified, sidIn }
}

describe('the id in a session cookie', () => {
  it('is read once for a value, without a read of the store', () => {
    const { run, get, sidIn } = verifying()
    for (let time = 0; time < 3; time++) expect(sidIn(genuine, `/socket.io/?t=${time}`)).toBe('ada')
    expect(run).toHaveBeenCalledTimes(1)
    expect(get).not.toHaveBeenCalled()
  })

  it('is read by the session middleware up to its read, which does not reach the store', async () => {
    const made: string[] = []
    class Counting extends expressSession.MemoryStore {
      reads = 0
      override get(sid: string, callback: (error?: unknown, session?: expressSession.SessionData | null) => void) {
        this.reads++
        super.get(sid, callback)
      }
    }
    const store = new Counting()
    store.set('ada', { cookie: { originalMaxAge: null }, user: 'ada' } as never)
    const genid = () => {
      made.push(`made-${made.length}`)
      return made.at(-1) as string
    }
    const app = await startApp({ store, session: { genid }, wire: (io, shared) => void shared.attach(io) })
    const connected = async (value: string) => {
      const browser = app.browser()
      browser.cookie = `${NAME}=${value}`
      await browser.connect()
      return app.sockets.at(-1)!.handshake.session
    }
    expect((await connected(genuine)).user).toBe('ada')
    expect([store.reads, made]).toEqual([1, []])
    expect((await connected(genuine.replace('ada', 'bob'))).user).toBeUndefined()
    expect([store.reads, made]).toEqual([1, ['made-0']])
  })

  const forged: Record<string, string> = {
    'with another signature': `${genuine.slice(0, -1)}${genuine.endsWith('A') ? 'B' : 'A'}`,
    'with more at its end': `${genuine}x`,
    'with less at its end': genuine.slice(0, -1),
    'with another id and the same signature': genuine.replace('ada', 'bob'),
    'with the id alone': encodeURIComponent('s:ada'),
    'without a signature': 'ada',
    'with the signature of another secret': cookieValue('ada', 'other'),
    empty: '',
    'with another cookie in it': `x; ${NAME}=${genuine.slice(0, -1)}`,
  }
  for (const [how, value] of Object.entries(forged)) {
    it(`is not read from a value ${how}, also right after the genuine one`, () => {
      const { run, sidIn } = verifying()
      expect(sidIn(value)).toBeUndefined()
      expect(sidIn(genuine)).toBe('ada')
      expect(sidIn(value)).toBeUndefined()
      expect(sidIn(genuine)).toBe('ada')
      // What was not accepted is verified each time, and does not displace what was.
      expect(run).toHaveBeenCalledTimes(3)
    })
  }

  it('is read through a middleware that uses more of the request and of the response', () => {
    const session = expressSession({
      secret: 'secret',
      resave: false,
      saveUninitialized: false,
      store: new expressSession.MemoryStore(),
    })
    const seen: unknown[] = []
    const verified = new VerifiedCookies(((request: any, response: any, next: any) => {
      response.setHeader('x-frame-options', 'DENY')
      response.on('finish', () => undefined)
      seen.push(request.httpVersion, request.user)
      session(request, response, next)
    }) as never)
    const first = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/socket.io/', user: 'of the engine' })
    first.httpVersion = '1.1'
    expect(verified.sidIn(first, NAME, genuine)).toBe('ada')
    expect(verified.sidIn(first, NAME, `${genuine}x`)).toBeUndefined()
    expect(seen).toEqual(['1.1', 'of the engine', '1.1', 'of the engine'])
    expect(first).not.toHaveProperty('sessionStore')
  })

  it('is not known on another path, which the cookie’s path does not cover', () => {
    const { sidIn } = verifying({ cookie: { path: '/chat' } })
    expect(sidIn(genuine, '/chat/?EIO=4')).toBe('ada')
    expect(sidIn(genuine, '/socket.io/?EIO=4')).toBeUndefined()
    expect(sidIn(genuine, '/socket.io/?x=/chat/')).toBeUndefined()
    expect(sidIn(genuine, '/chat/?EIO=4')).toBe('ada')
  })

  it('is read with each secret of an array, and with no other', () => {
    const { sidIn } = verifying({ secret: ['new', 'old'] })
    expect([sidIn(cookieValue('ada', 'new')), sidIn(cookieValue('bob', 'old'))]).toEqual(['ada', 'bob'])
    expect(sidIn(cookieValue('eve', 'secret'))).toBeUndefined()
  })

  it('is read with the secret of a cookie parser', () => {
    expectWarning('req.secret')
    const { sidIn } = verifying({ secret: undefined as never })
    expect(sidIn(genuine)).toBeUndefined()
    expect(sidIn(genuine, undefined, 'another')).toBeUndefined()
    expect(sidIn(genuine, undefined, 'secret')).toBe('ada')
    expect(cookieParser.signedCookie(decodeURIComponent(genuine), 'secret')).toBe('ada')
  })

  it('is verified again after clear()', () => {
    const { run, verified, sidIn } = verifying()
    sidIn(genuine)
    verified.clear()
    expect(sidIn(genuine)).toBe('ada')
    expect(run).toHaveBeenCalledTimes(2)
  })

  it('is verified again after ten seconds', () => {
    const { run, sidIn } = verifying()
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000)
    sidIn(genuine)
    now.mockReturnValue(10_999)
    sidIn(genuine)
    expect(run).toHaveBeenCalledTimes(1)
    now.mockReturnValue(11_000)
    expect(sidIn(genuine)).toBe('ada')
    expect(run).toHaveBeenCalledTimes(2)
    now.mockReturnValue(12_000)
    sidIn(genuine)
    expect(run).toHaveBeenCalledTimes(2)
  })

  it('is not read while the store is disconnected', () => {
    const { store, sidIn } = verifying()
    store.emit('disconnect')
    expect(sidIn(genuine)).toBeUndefined()
    store.emit('connect')
    expect(sidIn(genuine)).toBe('ada')
  })

  it('is remembered for ten thousand values, and not for those that nobody signed', () => {
    // A value is forgotten after ten seconds.
    vi.spyOn(performance, 'now').mockReturnValue(1000)
    let runs = 0
    const verified = new VerifiedCookies(((request: any) => {
      runs++
      const value = request.headers.cookie.slice(NAME.length + 1)
      request.sessionID = value.startsWith('bad') ? false : value
    }) as never)
    const sidIn = (value: string) => verified.sidIn(requestOf('/'), NAME, value)
    for (let n = 0; n < 10_000; n++) sidIn(`good${n}`)
    for (let n = 0; n < 10_000; n++) expect(sidIn(`bad${n}`)).toBeUndefined()
    expect(sidIn('good0')).toBe('good0')
    expect(runs).toBe(20_000)
    sidIn('one more')
    expect(sidIn('good0')).toBe('good0')
    expect(runs).toBe(20_002)
  })

  it('is not read by a middleware that throws, or that rejects', () => {
    const thrower = new VerifiedCookies((() => {
      throw new Error('mine')
    }) as never)
    const rejecter = new VerifiedCookies((async () => {
      throw new Error('mine')
    }) as never)
    for (const verified of [thrower, rejecter]) expect(verified.sidIn(requestOf('/'), NAME, genuine)).toBeUndefined()
  })
})
