/**
 * sql/: drivers for stores that keep their sessions in an SQL database, and that put no notifications into it.
 *
 * | file | |
 * |---|---|
 * | sql-driver.ts | the driver: what it runs, and in which order |
 * | create-row.ts | creates a row that may be there |
 * | dialect.ts, mysql.ts, sqlite.ts | the statements of a kind of server, and what its errors tell |
 * | statement.ts | a statement and its values |
 * | knex.ts, knex-table.ts | connect-session-knex; knex-postgres.ts: on Postgres, by the driver of ../postgres |
 * | express-mysql-session.ts, sqlite-stores.ts | express-mysql-session, connect-sqlite3, better-sqlite3-session-store |
 * | sequelize.ts, sequelize-model.ts | connect-session-sequelize, by its model |
 */

import type { KnownStore } from '../driver-names.js'
import { mysqlStore } from './express-mysql-session.js'
import { knexStore } from './knex.js'
import { sequelizeStore } from './sequelize.js'
import { sqliteStore } from './sqlite-stores.js'

/** A store that keeps its sessions in an SQL database; `undefined` for any other one. */
export function sqlStore(store: object): KnownStore | undefined {
  return knexStore(store) ?? mysqlStore(store) ?? sqliteStore(store) ?? sequelizeStore(store)
}
