import type { KnownStore } from '../driver-names.js'
import { assertConflict } from '../errors.js'
import { outcomeOf as postgresOutcomeOf } from '../postgres/answers.js'
import type { NextSession, StoreDriver, StoredSession, WriteAnswer } from '../store-driver.js'
import { createRow } from './create-row.js'
import type { Outcome } from './dialect.js'
import { withoutStatement } from './errors.js'
import { inOrder } from './in-order.js'
import { mysql } from './mysql.js'
import { foreignOf, isFit, isSequelizeStore, type Model, type Row, type SequelizeStore } from './sequelize-model.js'
import { sqlite } from './sqlite.js'

const UNFIT =
  'has a model that changes what it is given (hooks, accessors, a default scope, paranoid, a column that is no text) or whose ids need not be unique, or is on a database for which sharedsession has no driver'

/** connect-session-sequelize 8; `undefined` for another store. */
export function sequelizeStore(store: object): KnownStore | undefined {
  if (!isSequelizeStore(store)) return undefined
  return {
    name: 'connect-session-sequelize',
    foreign: foreignOf(store),
    unfit: !isFit(store) && UNFIT,
    driver: () => new SequelizeDriver(store),
  }
}

/**
 * By the store's model, as it has names, columns and times of its own. The store's own `get` hands out a session whose end has passed, until
 * its row is removed; here it is not there.
 */
class SequelizeDriver implements StoreDriver {
  readonly name = 'connect-session-sequelize'
  readonly #store: SequelizeStore
  readonly #dialect: string

  constructor(store: SequelizeStore) {
    this.#store = store
    this.#dialect = store.sessionModel.sequelize.getDialect()
  }

  get touchDisabled(): boolean {
    return this.#store.options.disableTouch
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    return this.#toStored(await this.#run((model) => model.findOne({ where: this.#alive({ sid }), ...READ })))
  }

  async write(sid: string, next: NextSession, expected: StoredSession | undefined): Promise<WriteAnswer> {
    const values = { ...this.#extended(next), data: next.text, expires: this.#end(next.expires) }
    if (!expected) {
      const answer = await this.#create(sid, values)
      if (!answer.written) return answer
    } else if (!(await this.#replace(sid, values, next.atLeast, expected))) {
      return { written: false, stored: await this.read(sid) }
    }
    return { written: true, stored: { text: next.text, token: this.#tokenOf(next.text) } }
  }

  async touch(sid: string, expires: Date | undefined): Promise<boolean> {
    const where = this.#alive({ sid })
    if (!this.touchDisabled) {
      const [count] = await this.#run((model) => model.update({ expires: this.#end(expires) }, { where, ...this.#write }))
      if (count > 0) return true
    }
    // MySQL does not count a row that has this end already.
    return (await this.read(sid)) !== undefined
  }

  async destroy(sid: string): Promise<void> {
    await this.#run((model) => model.destroy({ where: { sid } }))
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    if (sids.length === 0) return []
    const rows = await this.#run((model) => model.findAll({ where: this.#alive({ sid: [...sids] }), ...READ }))
    return inOrder(
      sids,
      rows,
      (row) => this.#toStored(row),
      (sid) => this.read(sid),
    )
  }

  #replace(sid: string, values: { expires: Date }, atLeast: boolean, expected: StoredSession): Promise<boolean> {
    const { col, fn } = this.#sequelize
    const later = this.#dialect === 'sqlite' ? 'max' : 'greatest'
    const expires = atLeast ? fn(later, col(this.#field('expires')), values.expires) : values.expires
    const where = { [this.#sequelize.Op.and]: [this.#alive({ sid }), this.#same(expected)] }
    return this.#send(async (model) => (await model.update({ ...values, expires }, { where, ...this.#write }))[0])
  }

  #create(sid: string, values: object): Promise<WriteAnswer> {
    return createRow({
      insert: () =>
        this.#send(async (model) => {
          await model.create({ ...values, sid }, this.#write)
          return 1
        }),
      replaceEnded: () => {
        const where = { sid, expires: { [this.#sequelize.Op.lte]: new Date() } }
        return this.#send(async (model) => (await model.update(values, { where, ...this.#write }))[0])
      },
      isDuplicate: (error) => (error as Error).name === 'SequelizeUniqueConstraintError',
      read: () => this.read(sid),
    })
  }

  /** The row holds the expected text. A collation of MySQL takes others for the same: there a digest is compared. */
  #same({ text, token }: StoredSession): object {
    const { fn, literal, where } = this.#sequelize
    if (token === undefined) return { data: text }
    const name = this.#store.sessionModel.sequelize.getQueryInterface().quoteIdentifier(this.#field('data'))
    return where(fn('SHA2', literal(`CONVERT(${name} USING utf8mb4)`), 256), token)
  }

  #alive(where: object): object {
    return { ...where, expires: { [this.#sequelize.Op.gt]: new Date() } }
  }

  #end(expires: Date | undefined): Date {
    return expires ?? new Date(Date.now() + this.#store.options.expiration)
  }

  /** A digest is part of the statement: prepared, each write would be another statement, and two round trips. */
  get #write(): { bindParam?: false } {
    return this.#isMysql ? { bindParam: false } : {}
  }

  get #isMysql(): boolean {
    return this.#dialect === 'mysql' || this.#dialect === 'mariadb'
  }

  /** What the application keeps beside a session, from what is in it. */
  #extended({ text, expires }: NextSession): object {
    const { extendDefaultFields } = this.#store.options
    if (!extendDefaultFields) return {}
    const session = JSON.parse(text)
    return extendDefaultFields(
      { data: text, expires: this.#end(expires) },
      { ...session, cookie: { ...session.cookie, expires } },
    )
  }

  #tokenOf(text: string): string | undefined {
    return this.#isMysql ? mysql.tokenOf(text) : undefined
  }

  #toStored(row: Row | null | undefined): StoredSession | undefined {
    return row ? { text: row.data, token: this.#tokenOf(row.data) } : undefined
  }

  /** @returns whether a row was written */
  async #send(write: (model: Model) => Promise<number>): Promise<boolean> {
    try {
      return (await this.#run(write)) > 0
    } catch (error) {
      assertConflict(this.#outcomeOf(error), error)
      return false
    }
  }

  #outcomeOf(error: unknown): Outcome {
    const { name, cause } = error as Error
    // There was no connection to send the statement on, or the model did not take the values.
    if (name.startsWith('SequelizeConnection') || name === 'SequelizeValidationError') return 'failed'
    if (this.#dialect === 'sqlite') return sqlite.outcomeOf(cause)
    return this.#dialect === 'postgres' ? postgresOutcomeOf(cause) : mysql.outcomeOf(cause)
  }

  async #run<T>(call: (model: Model) => Promise<T>): Promise<T> {
    try {
      return await call(this.#store.sessionModel)
    } catch (error) {
      throw withoutStatement(error as Error)
    }
  }

  get #sequelize(): Model['sequelize']['constructor'] {
    return this.#store.sessionModel.sequelize.constructor
  }

  #field(attribute: 'data' | 'expires'): string {
    return this.#store.sessionModel.rawAttributes[attribute]?.field ?? attribute
  }
}

/** As the store reads: not from a replica, which may be late. */
const READ = { raw: true, useMaster: true }
