import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { describeProcesses } from './several-processes.js'

const PgStore = connectPgSimple(expressSession)

await withService('Postgres', startPostgres, (postgres) => {
  let direct: pg.Pool
  const pools: pg.Pool[] = []

  function connect(port: number): pg.Pool {
    const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'test', database: 'postgres', max: 10 })
    pool.on('error', () => undefined)
    return pool
  }

  beforeAll(() => {
    direct = connect(postgres().port)
  })
  afterAll(() => direct.end())
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.end()
  })

  describe.each(['json', 'jsonb'])('connect-pg-simple, %s column', (type) => {
    const tableName = `session_${type}`

    beforeAll(async () => {
      await direct.query(
        `CREATE TABLE ${tableName} (sid varchar PRIMARY KEY, sess ${type} NOT NULL, expire timestamp(6) NOT NULL)`,
      )
    })

    describeProcesses({
      driver: 'postgres',
      port: () => postgres().port,
      async open(port) {
        const pool = connect(port)
        pools.push(pool)
        return { store: new PgStore({ pool, tableName, pruneSessionInterval: false }) }
      },
      async stored(sid) {
        const { rows } = await direct.query(`SELECT sess FROM ${tableName} WHERE sid = $1`, [sid])
        return rows[0]?.sess
      },
      isWrite: (request) => request.includes('WITH written'),
    })
  })
})
