import { io as connect, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Mirror, mirror } from '../../src/client/index.js'
import { refused } from '../support/handshake.js'
import { next } from '../support/wait.js'
import { type Example, startExample } from './run.js'

interface User {
  user: string | null
}

interface Tab {
  socket: Socket
  live: Mirror<User>
  user: string | null
}

const ADA = { username: 'ada', password: 'engine' }
const GRACE = { username: 'grace', password: 'compiler' }

/** Passwords are slow on purpose, and clients that are back before their new cookie wait a moment. */
const SLOW = 30_000

/** Whether they come by WebSocket or by polling. */
describe.each(['websocket', 'polling'])('the demo of Passport, by %s', { timeout: SLOW }, (transport) => {
  let example: Example
  const sockets: Socket[] = []

  beforeAll(async () => {
    example = await startExample('passport/server.js')
  })
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.disconnect()
  })
  afterAll(async () => {
    expect(await example.stop()).toEqual({ code: 0, signal: null, errors: '' })
  })

  /** Who a tab is after the end of its session. */
  const nextUser = ({ live }: Tab): Promise<string | null> =>
    new Promise((resolve) => {
      const states: (User | undefined)[] = []
      live.listen((state) => {
        states.push(state)
        if (state && states.includes(undefined)) resolve(state.user)
      })
    })

  /** A browser: its cookie, its requests, its tabs. */
  function visitor(cookie = '') {
    const own = {
      cookie,
      async http(path: string, body?: object): Promise<{ status: number; body: any }> {
        const headers = { cookie: own.cookie, 'content-type': 'application/json' }
        const response = await fetch(example.url + path, {
          ...{ headers, method: body ? 'POST' : 'GET' },
          ...(body && { body: JSON.stringify(body) }),
        })
        const set = response.headers.getSetCookie()[0]
        if (set) own.cookie = set.split(';')[0]!
        const text = await response.text()
        return { status: response.status, body: text && JSON.parse(text) }
      },
      open(namespace = '/') {
        const socket = connect(example.url + namespace, {
          ...{ forceNew: true, transports: [transport], reconnectionDelay: 1, randomizationFactor: 0 },
          // Looked at when it connects, as a browser does.
          extraHeaders: {
            get cookie() {
              return own.cookie
            },
          },
        })
        sockets.push(socket)
        return socket
      },
      /** A tab, and who it is. */
      async tab(): Promise<Tab> {
        const socket = own.open()
        const live = mirror<User>(socket, { renew: () => own.http('/session', {}) })
        return { socket, live, user: (await live.ready).user }
      },
      /** Does something by HTTP that ends the session. @returns who its tabs are when they have come back */
      async meanwhile(act: () => Promise<unknown>, ...tabs: Tab[]): Promise<(string | null)[]> {
        const back = tabs.map(nextUser)
        await act()
        return Promise.all(back)
      },
    }
    return own
  }

  const pin = (socket: Socket, text: string) => socket.emitWithAck('note', text)

  it('a login makes the sockets of all tabs the user, and a logout makes them nobody', async () => {
    const one = visitor()
    const tabs = [await one.tab(), await one.tab()]
    const before = one.cookie
    expect((await one.http('/me')).body).toEqual({ user: null })
    expect(tabs.map(({ user }) => user)).toEqual([null, null])
    expect(await one.meanwhile(() => one.http('/login', ADA), ...tabs)).toEqual(['Ada', 'Ada'])
    const during = one.cookie
    expect(during).not.toBe(before)
    expect((await one.http('/me')).body).toEqual({ user: 'Ada' })
    expect(await one.meanwhile(() => one.http('/login', GRACE), ...tabs)).toEqual(['Grace', 'Grace'])
    expect(await one.meanwhile(() => one.http('/logout', {}), ...tabs)).toEqual([null, null])
    expect(one.cookie).not.toBe(during)
    expect((await one.http('/me')).body).toEqual({ user: null })
    // The guest's session that the logout made is one that the tabs share, and the next login ends.
    expect(await one.meanwhile(() => one.http('/login', ADA), ...tabs)).toEqual(['Ada', 'Ada'])
  })

  it('nobody may not pin a note, nor enter the namespace for members; a user may', async () => {
    const one = visitor()
    const tab = await one.tab()
    expect(await pin(tab.socket, 'I am nobody')).toEqual({ error: 'Log in first.' })
    expect((await refused(one.open('/members'))).message).toBe('Log in first.')
    await one.meanwhile(() => one.http('/login', ADA), tab)
    const told = next(tab.socket, 'notes', ([note]) => note?.text === 'I am Ada')
    expect(await pin(tab.socket, 'I am Ada')).toEqual({})
    expect((await told)[0].by).toBe('Ada')
    const members = one.open('/members')
    expect(await next(members, 'members')).toEqual(['Ada'])
    // The second namespace ends with the session as well.
    const out = next(members, 'disconnect')
    await one.meanwhile(() => one.http('/logout', {}), tab)
    expect(await out).toBe('transport close')
    expect((await refused(members.connect())).message).toBe('Log in first.')
    expect(await pin(tab.socket, 'I was Ada')).toEqual({ error: 'Log in first.' })
  })

  it('what is wrong with a login is not said, and leaves everybody who they were', async () => {
    const one = visitor()
    const tab = await one.tab()
    const { cookie } = one
    const wrong: object[] = [
      { username: 'ada', password: 'compiler' },
      { username: 'nobody', password: 'engine' },
      { username: 'ada' },
      { username: ['ada'], password: { engine: 1 } },
      {},
      [],
    ]
    for (const body of wrong) {
      expect(await one.http('/login', body)).toEqual({ status: 401, body: { error: 'Wrong name or password.' } })
    }
    expect(one.cookie).toBe(cookie)
    expect(await pin(tab.socket, 'still here')).toEqual({ error: 'Log in first.' })
  })

  it('fixation: whoever knew the id before the login does not become the user, by socket or by HTTP', async () => {
    const attacker = visitor()
    const spy = await attacker.tab()
    // The victim was made to use the attacker's session.
    const victim = visitor(attacker.cookie)
    const tab = await victim.tab()
    const back = nextUser(spy)
    expect(await victim.meanwhile(() => victim.http('/login', ADA), tab)).toEqual(['Ada'])
    expect(victim.cookie).not.toBe(attacker.cookie)
    expect(await back).toBeNull()
    expect((await refused(attacker.open('/members'))).message).toBe('Log in first.')
    expect((await attacker.http('/me')).body).toEqual({ user: null })
    expect(await pin(spy.socket, 'I am Ada')).toEqual({ error: 'Log in first.' })
    expect(await pin(tab.socket, 'I am Ada')).toEqual({})
  })

  it('an id that was logged in is worth nothing after the logout', async () => {
    const one = visitor()
    await one.http('/login', ADA)
    const thief = visitor(one.cookie)
    const stolen = await thief.tab()
    expect(stolen.user).toBe('Ada')
    const back = nextUser(stolen)
    await one.http('/logout', {})
    expect(await back).toBeNull()
    expect((await thief.http('/me')).body).toEqual({ user: null })
  })

  it('what a client should not send', async () => {
    const one = visitor()
    await one.http('/login', ADA)
    const { socket } = await one.tab()
    socket.emit('note')
    socket.emit('note', 'no ack')
    for (const text of ['', '  ', null, { text: 'x' }, 1]) {
      expect(await socket.emitWithAck('note', text)).toEqual({ error: 'Write something.' })
    }
  })
})
