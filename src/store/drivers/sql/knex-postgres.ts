import type { Bus } from '../../../bus.js'
import { type ClientClass, PostgresBus } from '../postgres/bus.js'
import type { Row, Table } from '../postgres/driver.js'
import type { TableNames } from '../postgres/statements.js'
import type { KnexTable } from './knex-table.js'

/** The table of a connect-session-knex store on Postgres. */
export class KnexPostgres implements Table {
  readonly names: TableNames
  readonly #driver: string
  readonly #store: KnexTable

  /** @param driver its name */
  constructor(driver: string, store: KnexTable) {
    this.#driver = driver
    this.#store = store
    const { knex, tableName, sidFieldName } = store
    const quoted = (identifier: string): string => knex.raw('??', [identifier]).toString().replaceAll('?', '\\?')
    this.names = { table: quoted(tableName), sid: quoted(sidFieldName), expire: 'expired' }
  }

  get now(): number {
    return Date.now() / 1000
  }

  end(expires: Date | undefined): number {
    return this.#store.end(expires) / 1000
  }

  async query(statement: string, values: unknown[]): Promise<Row | undefined> {
    const ordered: unknown[] = []
    // knex has its own placeholders. What is in quotes is a name.
    const text = statement.replace(/"[^"]*"|\$(\d+)/g, (match, number) => {
      if (number === undefined) return match
      ordered.push(values[Number(number) - 1])
      return '?'
    })
    return (await this.#store.run(text, ordered)).rows[0]
  }

  /** Listens on a connection with the settings of the pool. */
  bus(): Bus | undefined {
    const store = this.#store
    const Client = store.knex.client.driver?.Client
    if (typeof Client !== 'function') return undefined
    const pool = {
      query: (text: string, values: unknown[]): Promise<unknown> => store.knex.raw(text.replace(/\$\d+/g, '?'), values),
      // Settings that a function provides are known when a connection was made.
      get options() {
        return store.knex.client.connectionSettings ?? {}
      },
    }
    const bus = new PostgresBus(pool, Client as ClientClass, this.#driver)
    store.onReplaced = () => bus.moved()
    return bus
  }
}
