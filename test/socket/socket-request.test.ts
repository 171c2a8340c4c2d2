import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createSocketRequest } from '../../src/socket/handshake/socket-request.js'

function pair() {
  const first = Object.assign(new IncomingMessage(new Socket()), {
    method: 'GET',
    url: '/socket.io/?EIO=4',
    user: 'of the engine',
  })
  first.headers = { host: 'localhost' }
  return { first, request: createSocketRequest(first, { cookies: { a: '1', b: { json: true } } }).request as typeof first }
}

test('a socket’s request is an IncomingMessage, and has what the connection’s request has, also what is added later', () => {
  const { first, request } = pair()
  expect(request).toBeInstanceOf(IncomingMessage)
  expect(Object.getPrototypeOf(request)).toBe(first)
  expect(request.headers).toBe(first.headers)
  expect(request.socket).toBe(first.socket)
  expect('user' in request).toBe(true)
  first.url = '/other'
  expect(request.url).toBe('/other')
  const heard: unknown[] = []
  request.on('closed', (value) => heard.push(value))
  first.emit('closed', 1)
  expect(heard).toEqual([1])
})

test('a socket’s request keeps what is written to it for itself', () => {
  const { first, request } = pair()
  request.user = 'of the socket'
  request.headers = { host: 'other.example' }
  expect([first.user, request.user]).toEqual(['of the engine', 'of the socket'])
  expect([first.headers.host, request.headers.host]).toEqual(['localhost', 'other.example'])
  Reflect.deleteProperty(request, 'user')
  expect(request.user).toBe('of the engine')
})

test('a socket’s request has its own session and cookies, which are not enumerable', () => {
  const { first, request } = pair()
  Object.assign(first, { session: {}, sessionStore: {}, sessionID: 'of the engine', cookies: {} })
  expect(request).toMatchObject({ session: undefined, sessionStore: undefined, sessionID: undefined, cookies: { a: '1' } })
  Object.assign(request, { session: 'session', sessionID: 'id' })
  expect(first).toMatchObject({ session: {}, sessionID: 'of the engine' })
  expect(Object.keys(request)).toEqual([])
})

test('a socket’s request knows the id in the cookie, also when it gets a new session', () => {
  const { first } = pair()
  for (const [assigned, cookieSid] of [
    ['of the cookie', 'of the cookie'],
    [false, undefined],
    [undefined, undefined],
  ]) {
    const own = createSocketRequest(first, {})
    Object.assign(own.request, { sessionID: assigned })
    expect(own.request.sessionID).toBe(cookieSid)
    Object.assign(own.request, { sessionID: 'new' })
    expect([own.cookieSid(), own.request.sessionID]).toEqual([cookieSid, 'new'])
  }
})
