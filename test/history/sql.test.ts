import { it } from 'vitest'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { withService } from '../support/service.js'
import { startSqlite } from '../support/sqlite-modules.js'
import { holds, losesWithoutDriver, seed, TIME_LIMIT } from './holds.js'
import type { StoreName } from './stores.js'

/** Stores of SQL databases: with their driver everything is there. */
function sqlStore(store: StoreName, url: () => string, steps = 15): void {
  it(
    `${store}, three processes: everything acknowledged is there, once, and the destroyed session stays away`,
    { timeout: TIME_LIMIT },
    () => holds({ store, url: url(), seed, processes: 3, steps }),
  )
}

await withService('Postgres', startPostgres, (postgres) => {
  sqlStore('knex-postgres', () => postgres().url)
  sqlStore('sequelize-postgres', () => postgres().url, 8)
})

await withService('MariaDB', startMariaDb, (mariadb) => {
  sqlStore('knex-mariadb', () => mariadb().url)
  losesWithoutDriver('knex-mariadb', () => mariadb().url)
})

await withService('MariaDB', startMariaDb, (mariadb) => {
  sqlStore('express-mysql-session', () => mariadb().url)
})

await withService('MariaDB', startMariaDb, (mariadb) => {
  sqlStore('sequelize-mariadb', () => mariadb().url)
})

await withService('SQLite', startSqlite, (sqlite) => {
  sqlStore('better-sqlite3', () => sqlite().url)
  for (const store of ['connect-sqlite3', 'knex-sqlite', 'sequelize-sqlite'] as const) {
    sqlStore(store, () => sqlite().url.replace('sessions', store), 8)
  }
})
