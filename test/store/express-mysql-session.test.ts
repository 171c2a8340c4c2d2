import expressMySqlSession from 'express-mysql-session'
import expressSession from 'express-session'
import { createPool, type Pool } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { isWrite } from '../support/driver-network.js'
import { startMariaDb } from '../support/mariadb.js'
import { withService } from '../support/service.js'
import { describeProcesses } from './several-processes.js'

const MySqlStore = expressMySqlSession(expressSession)

await withService('MariaDB', startMariaDb, (mariadb) => {
  describe('express-mysql-session', () => {
    const pools: Pool[] = []
    let direct: Pool
    const open = (port: number): Pool =>
      createPool({ host: '127.0.0.1', port, user: 'test', database: 'test', connectionLimit: 10 })

    beforeAll(async () => {
      direct = open(mariadb().port)
      await new MySqlStore({ clearExpired: false }, direct).onReady()
    })
    afterAll(() => direct.end())
    afterEach(async () => {
      for (const pool of pools.splice(0)) await pool.end().catch(() => undefined)
    })

    describeProcesses({
      driver: 'express-mysql-session',
      port: () => mariadb().port,
      async open(port) {
        const pool = open(port)
        pools.push(pool)
        return { store: new MySqlStore({ clearExpired: false, createDatabaseTable: false }, pool) }
      },
      async stored(sid) {
        const [rows] = await direct.query<any>('SELECT data FROM sessions WHERE session_id = ?', [sid])
        return rows[0] && JSON.parse(rows[0].data)
      },
      isWrite,
    })
  })
})
