import type { Sequelize } from 'sequelize'
import { afterEach, beforeAll, describe } from 'vitest'
import { isWrite } from '../support/driver-network.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { openSequelize, sequelizeStore } from './drivers/sql/sequelize-stores.js'
import { describeProcesses } from './several-processes.js'

const SERVERS = [
  ['Postgres', 'postgres', startPostgres],
  ['MariaDB', 'mysql', startMariaDb],
] as const

for (const [name, dialect, start] of SERVERS) {
  await withService<{ port: number; stop(): Promise<void> }>(name, start, (server) => suite(dialect, () => server().port))
}

function suite(dialect: 'postgres' | 'mysql', port: () => number): void {
  describe('connect-session-sequelize', () => {
    const databases: Sequelize[] = []
    let direct: ReturnType<typeof sequelizeStore>

    beforeAll(async () => {
      const database = openSequelize(dialect, port())
      direct = sequelizeStore(database)
      await direct.sync()
      return () => database.close()
    })
    afterEach(async () => {
      for (const database of databases.splice(0)) await database.close()
    })

    describeProcesses({
      driver: 'connect-session-sequelize',
      port,
      async open(port) {
        const database = openSequelize(dialect, port)
        databases.push(database)
        return { store: sequelizeStore(database) }
      },
      async stored(sid) {
        const row = await direct.sessionModel.findOne({ where: { sid } })
        return row ? JSON.parse(row.data) : undefined
      },
      isWrite,
      readsAfterTouch: dialect === 'mysql',
    })
  })
}
