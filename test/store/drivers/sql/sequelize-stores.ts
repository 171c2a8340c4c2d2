import connectSessionSequelize from 'connect-session-sequelize'
import expressSession, { type Store } from 'express-session'
import { DataTypes, Sequelize } from 'sequelize'
import { installSqlite } from '../../../support/sqlite-modules.js'

type Options = { disableTouch?: boolean; extendDefaultFields?: (defaults: object, session: any) => object; table?: string }

const SequelizeStore = connectSessionSequelize(expressSession.Store) as new (
  options: object,
) => Store & {
  sync(): Promise<unknown>
  sessionModel: any
  stopExpiringSessions(): void
}

/** A Sequelize on a server of this machine. */
export function openSequelize(dialect: 'postgres' | 'mysql', port: number): Sequelize {
  const database = dialect === 'postgres' ? 'postgres' : 'test'
  return new Sequelize(database, 'test', '', { dialect, host: '127.0.0.1', port, logging: false, pool: { max: 20 } })
}

export function sequelizeStore(db: Sequelize, options: Options = {}): InstanceType<typeof SequelizeStore> {
  return new SequelizeStore({ db, checkExpirationInterval: -1, ...options })
}

/** A model with names of its own, and one more column. */
export function defineOwn(db: Sequelize): { table: string; extendDefaultFields: (defaults: object, session: any) => object } {
  db.define(
    'Own',
    {
      sid: { type: DataTypes.STRING(64), primaryKey: true, field: 'session_id' },
      expires: { type: DataTypes.DATE, field: 'ends_at' },
      data: { type: db.getDialect() === 'mysql' ? DataTypes.TEXT('long') : DataTypes.TEXT, field: 'content' },
      user: DataTypes.STRING,
    },
    { tableName: 'own_sessions' },
  )
  return { table: 'Own', extendDefaultFields: (defaults, { user }) => ({ ...defaults, user: user ?? null }) }
}

export async function openSqliteSequelize(storage: string): Promise<Sequelize> {
  const dialectModule = (await installSqlite())('sqlite3')
  return new Sequelize({ dialect: 'sqlite', dialectModule, storage, logging: false })
}
