import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { IndeterminateWriteError, registerDriver, type StoreDriver } from '../../src/driver.js'
import { cases } from '../../src/driver-testing/index.js'
import sharedsession from '../../src/index.js'
import { publicCases } from '../store/drivers/public-cases.js'
import { networkOf } from '../support/driver-network.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { run, snippet } from './snippets.js'

it('the example has sixty lines', () => {
  expect(snippet('driver').trimEnd().split('\n').length).toBeLessThanOrEqual(60)
})

await withService('Postgres', startPostgres, (postgres) => {
  let proxy: TcpProxy
  let pool: pg.Pool
  let webSessionDriver: (pool: pg.Pool) => StoreDriver
  let driver: StoreDriver

  beforeAll(async () => {
    proxy = await TcpProxy.start(postgres().port)
    pool = new pg.Pool({ host: '127.0.0.1', port: proxy.port, user: 'test', database: 'postgres', max: 20 })
    pool.on('error', () => undefined)
    await pool.query('CREATE TABLE web_session (id text PRIMARY KEY, data text NOT NULL, ends timestamptz NOT NULL)')
    ;({ webSessionDriver } = await run('driver', { IndeterminateWriteError }, 'webSessionDriver'))
    driver = webSessionDriver(pool)
  })

  afterAll(async () => {
    await pool?.end()
    await proxy?.stop()
  })

  describe('the example', () => {
    const left = async (sid: string): Promise<number> => {
      const { rows } = await pool.query('SELECT ends FROM web_session WHERE id = $1', [sid])
      return rows[0].ends - Date.now()
    }
    const network = () => networkOf(proxy, (request) => request.includes('{"cookie"'))
    publicCases(() => ({ driver, left, network: network() }), ['left', 'network'])
  })

  it('is used by the option, and by registerDriver()', async () => {
    const of = (store: expressSession.Store) => expressSession({ secret: 'x', store, resave: false, saveUninitialized: false })
    const session = of(new expressSession.MemoryStore())
    const { shared } = await run('driver-option', { pool, session, sharedsession, webSessionDriver }, 'shared')
    expect(shared.stats()).toMatchObject({ driver: 'web-session', severalProcesses: true })
    await shared.close()
    const mine = Object.assign(new expressSession.MemoryStore(), { pool })
    const isPlainWebSessionStore = (store: object): boolean => store === mine
    await run('driver-register', { isPlainWebSessionStore, registerDriver, webSessionDriver })
    const registered = sharedsession(of(mine))
    const other = sharedsession(of(new expressSession.MemoryStore()))
    expect([registered.stats().driver, other.stats().driver]).toEqual(['web-session', 'memory'])
    await Promise.all([registered.close(), other.close()])
  })

  it('is tested with any runner', async () => {
    const names: string[] = []
    await run('driver-cases', { cases, it: (name: string) => names.push(name), pool, webSessionDriver })
    expect(names).toContain('loses nothing where eight write at once')
  })
})
