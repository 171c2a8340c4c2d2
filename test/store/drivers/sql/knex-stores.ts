import { ConnectSessionKnexStore } from 'connect-session-knex'
import knex, { type Knex } from 'knex'

const silent = { warn() {}, error() {}, debug() {}, deprecate() {} }

export type Client = 'pg' | 'mysql2'

/** A knex on a server of this machine. An outage is not to be printed. */
export function openKnex(client: Client, port: number, database = client === 'pg' ? 'postgres' : 'test'): Knex {
  const connection = { host: '127.0.0.1', port, user: 'test', database }
  return knex({ client, connection, pool: { min: 0, max: 20 }, log: silent })
}

export function knexStore(database: Knex, names: { tableName?: string; sidFieldName?: string } = {}): ConnectSessionKnexStore {
  return new ConnectSessionKnexStore({ knex: database, cleanupInterval: 0, ...names })
}
