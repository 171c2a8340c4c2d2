import type { Knex } from 'knex'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { isWrite } from '../support/driver-network.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { type Client, knexStore, openKnex } from './drivers/sql/knex-stores.js'
import { describeProcesses } from './several-processes.js'

const SERVERS = [
  ['Postgres', 'pg', startPostgres],
  ['MariaDB', 'mysql2', startMariaDb],
] as const

for (const [name, client, start] of SERVERS) {
  await withService<{ port: number; stop(): Promise<void> }>(name, start, (server) => suite(client, () => server().port))
}

function suite(client: Client, port: () => number): void {
  describe('connect-session-knex', () => {
    const databases: Knex[] = []
    let direct: Knex

    beforeAll(async () => {
      direct = openKnex(client, port())
      await knexStore(direct).ready
    })
    afterAll(() => direct.destroy())
    afterEach(async () => {
      for (const database of databases.splice(0)) await database.destroy()
    })

    describeProcesses({
      driver: 'connect-session-knex',
      port,
      async open(port) {
        const database = openKnex(client, port)
        databases.push(database)
        const store = knexStore(database)
        await store.ready
        return { store }
      },
      async stored(sid) {
        const [row] = await direct('sessions').where({ sid })
        return typeof row?.sess === 'string' ? JSON.parse(row.sess) : row?.sess
      },
      isWrite,
    })
  })
}
