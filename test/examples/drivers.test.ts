import type { Store } from 'express-session'
import pg from 'pg'
import { afterAll, beforeAll, describe } from 'vitest'
import type { StoreDriver } from '../../src/driver.js'
import { publicCases } from '../store/drivers/public-cases.js'
import { networkOf } from '../support/driver-network.js'
import { installExample } from '../support/example-packages.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/wait.js'

const isWrite = (request: Buffer): boolean => request.includes('{"cookie"')

/** What the suites of a driver need. */
interface Opened {
  driver: StoreDriver
  store: Store
  left(sid: string): Promise<number>
  close(): Promise<unknown>
}

async function openPrisma(load: NodeJS.Require, port: number, pool: pg.Pool): Promise<Opened> {
  const { prismaDriver } = await import('../../examples/drivers/prisma.js')
  const { PrismaPg } = load('@prisma/adapter-pg')
  const { PrismaClient } = load('./client')
  const { PrismaSessionStore } = load('@quixo3/prisma-session-store')
  await pool.query(
    'CREATE TABLE "Session" (id text PRIMARY KEY, sid text NOT NULL UNIQUE, data text NOT NULL, "expiresAt" timestamptz(3) NOT NULL)',
  )
  const adapter = new PrismaPg({ host: '127.0.0.1', port, user: 'test', database: 'postgres', max: 20 })
  const prisma = new PrismaClient({ adapter, log: [] })
  const store = new PrismaSessionStore(prisma, { dbRecordIdIsSessionId: true })
  return {
    driver: prismaDriver(prisma),
    store,
    async left(sid) {
      const { rows } = await pool.query('SELECT "expiresAt" AS ends FROM "Session" WHERE sid = $1', [sid])
      return rows[0].ends - Date.now()
    },
    close: () => prisma.$disconnect(),
  }
}

async function openTypeorm(load: NodeJS.Require, port: number, pool: pg.Pool): Promise<Opened> {
  const { typeormDriver } = await import('../../examples/drivers/typeorm.js')
  load('reflect-metadata')
  const { DataSource, EntitySchema } = load('typeorm')
  const { TypeormStore } = load('connect-typeorm')
  const Session = new EntitySchema({
    name: 'web_session',
    columns: {
      id: { type: 'varchar', primary: true, length: 255 },
      json: { type: 'text' },
      expiredAt: { type: 'bigint' },
      destroyedAt: { type: 'timestamp', deleteDate: true, nullable: true },
    },
  })
  const database = { type: 'postgres', host: '127.0.0.1', port, username: 'test', database: 'postgres' }
  const source = await new DataSource({ ...database, entities: [Session], synchronize: true, poolSize: 20 }).initialize()
  // A pool that nobody listens to ends the process when the server is gone.
  source.driver.master.on('error', () => undefined)
  const repository = source.getRepository(Session)
  const driver = typeormDriver(repository)
  const store = new TypeormStore({ onError: () => undefined }).connect(repository)
  const { destroy } = store
  // It calls back before the session is gone.
  store.destroy = (sid: string, done: (error?: unknown) => void) =>
    destroy(sid, () => void until(async () => (await driver.read(sid)) === undefined).then(() => done(), done))
  return {
    driver,
    store,
    async left(sid) {
      const { rows } = await pool.query('SELECT "expiredAt" AS ends FROM web_session WHERE id = $1', [sid])
      return Number(rows[0].ends) - Date.now()
    },
    close: () => source.destroy(),
  }
}

const started = async () => {
  const load = await installExample()
  const postgres = await startPostgres()
  return { load, postgres, stop: () => postgres.stop() }
}

await withService('Prisma and TypeORM', started, (service) => {
  describe.each<[string, typeof openPrisma]>([
    ['@quixo3/prisma-session-store', openPrisma],
    ['connect-typeorm', openTypeorm],
  ])('the example for %s', (_name, open) => {
    let proxy: TcpProxy
    let pool: pg.Pool
    let opened: Opened

    beforeAll(async () => {
      const { load, postgres }: { load: NodeJS.Require; postgres: TestPostgres } = service()
      proxy = await TcpProxy.start(postgres.port)
      pool = new pg.Pool({ host: '127.0.0.1', port: postgres.port, user: 'test', database: 'postgres' })
      opened = await open(load, proxy.port, pool)
    })
    afterAll(async () => {
      await opened?.close()
      await pool?.end()
      await proxy?.stop()
    })

    publicCases(
      () => ({ driver: opened.driver, store: opened.store as never, left: opened.left, network: networkOf(proxy, isWrite) }),
      ['store', 'left', 'network'],
    )
  })
})
