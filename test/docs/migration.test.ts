import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { next, until } from '../support/wait.js'
import { folderWith, program } from './program.js'
import { client, cookieOf, json, listen, surroundings, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

afterEach(tidy)

/** A process of its own starts slowly where many do. */
const SLOW = 60_000

describe('migration', () => {
  it('migration: the example of the superseded package runs with another import', { timeout: SLOW }, async () => {
    const server = program(folderWith({ 'server.cjs': snippet('migration') }), 'server.cjs')
    const url = await server.line(/http:\S+/)
    const cookie = cookieOf(await fetch(url))!
    const userdata = () => json(url, cookie)
    const socket = client(url, cookie)
    await next(socket, 'connect')
    socket.emit('login', { name: 'Ada' })
    await until(async () => (await userdata())?.name === 'Ada')
    socket.emit('logout')
    await until(async () => (await userdata()) === null)
  })

  it('from Socket.IO’s recipe: a visitor and a guest reload, count and save; without saveUninitialized a guest cannot', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    app.use(session)
    app.get('/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    let shared = undefined as unknown as SharedSession
    const recipe = async (options: object, scene: object) =>
      run('recipe', { ...around, ...scene, session, sharedsession: (given: any) => (shared = sharedsession(given, options)) })
    await recipe({ saveUninitialized: true }, {})
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const visitor = client(url, cookie)
    expect([await visitor.emitWithAck('count'), await visitor.emitWithAck('count')]).toEqual([1, 2])
    expect(await json(`${url}/session`, cookie)).toMatchObject({ theme: 'dark', count: 2 })
    const guest = client(url)
    expect([await guest.emitWithAck('count'), await guest.emitWithAck('count')]).toEqual([1, 2])
    await shared.close()
    expect(io.engine).toBeDefined()

    const without = surroundings()
    without.app.use(session)
    await recipe({}, without)
    const refused = client(await listen(without, shared), undefined, { reconnection: false })
    const gone = next(refused, 'disconnect')
    refused.emit('count', () => {})
    expect(await gone).toBe('io server disconnect')
  })
})
