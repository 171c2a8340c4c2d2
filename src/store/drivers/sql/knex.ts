import type { KnownStore } from '../driver-names.js'
import { PostgresDriver } from '../postgres/driver.js'
import type { StoreDriver } from '../store-driver.js'
import { KnexPostgres } from './knex-postgres.js'
import { KnexTable } from './knex-table.js'
import { mysql } from './mysql.js'
import { SqlDriver } from './sql-driver.js'
import { sqlite } from './sqlite.js'
import { identifier, type Statement, sql, value } from './statement.js'

const NAME = 'connect-session-knex'

/** By the names that knex has for databases. */
const DRIVERS: Partial<Record<string, (table: KnexTable) => StoreDriver>> = {
  postgresql: (table) => new PostgresDriver(NAME, new KnexPostgres(NAME, table)),
  mysql: (table) => inTable(table, mysql, sql`CAST(${value('now')} AS DATETIME) <= expired`, inSeconds),
  sqlite3: (table) => inTable(table, sqlite, sql`datetime(${value('now')}) <= datetime(expired)`, inMs),
}

/** connect-session-knex 5; `undefined` for another store. */
export function knexStore(store: object): KnownStore | undefined {
  const table = KnexTable.of(store)
  if (!table) return undefined
  const { dialect } = table.knex.client
  const driver = DRIVERS[dialect]
  return {
    name: NAME,
    foreign: table.foreign,
    unfit: !driver && `is on a database (${dialect}) for which sharedsession has no driver`,
    driver: () => driver?.(table) as StoreDriver,
  }
}

function inTable(table: KnexTable, dialect: typeof mysql, alive: Statement, format: (ms: number) => string): StoreDriver {
  const { tableName, sidFieldName } = table
  return new SqlDriver({
    name: NAME,
    dialect,
    table: {
      name: identifier(tableName),
      sid: identifier(sidFieldName),
      data: sql`sess`,
      end: sql`expired`,
      alive,
    },
    column: [tableName, 'sess'],
    run: (text, values) => table.run(text, values),
    now: () => format(Date.now()),
    end: (expires) => format(table.end(expires)),
  })
}

/** As the store writes moments: UTC. */
const inMs = (ms: number): string => new Date(ms).toISOString()
const inSeconds = (ms: number): string => inMs(ms).slice(0, 19).replace('T', ' ')
