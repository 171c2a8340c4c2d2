import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createSocketRequest } from '../../src/socket/socket-request.js'

function pair() {
  const first = Object.assign(new IncomingMessage(new Socket()), {
    method: 'GET',
    url: '/socket.io/?EIO=4',
    user: 'of the engine',
  })
  first.headers = { host: 'localhost' }
  return { first, request: createSocketRequest(first, { cookies: { a: '1', b: { json: true } } }).request as typeof first }
}

test('is an IncomingMessage and shows what the connection has, also what comes later', () => {
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

test('keeps for itself what is written to it', () => {
  const { first, request } = pair()
  request.user = 'of the socket'
  request.headers = { host: 'elsewhere' }
  expect([first.user, request.user]).toEqual(['of the engine', 'of the socket'])
  expect([first.headers.host, request.headers.host]).toEqual(['localhost', 'elsewhere'])
  Reflect.deleteProperty(request, 'user')
  expect(request.user).toBe('of the engine')
})

test('has a session and cookies of its own, which nobody prints or sends', () => {
  const { first, request } = pair()
  Object.assign(first, { session: {}, sessionStore: {}, sessionID: 'of the engine', cookies: {} })
  expect(request).toMatchObject({ session: undefined, sessionStore: undefined, sessionID: undefined, cookies: { a: '1' } })
  Object.assign(request, { session: 'session', sessionID: 'id' })
  expect(first).toMatchObject({ session: {}, sessionID: 'of the engine' })
  expect(Object.keys(request)).toEqual([])
})

test('tells the id of the cookie from that of a session that is made for it', () => {
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
