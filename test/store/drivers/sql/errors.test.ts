import { expect, it } from 'vitest'
import { withoutStatement } from '../../../../src/store/drivers/sql/errors.js'
import { KnexTable } from '../../../../src/store/drivers/sql/knex-table.js'
import { failure } from '../../../support/live.js'

/** What MySQL says of a session that another unique index refuses. The value is the application's. */
const REFUSED = "Duplicate entry 'ada - lovelace' for key 'by_user'"
const SHOWN = "Duplicate entry for key 'by_user'"
const STATEMENT = "INSERT INTO `sessions` (`sid`, `data`) VALUES ('the-id', 'the-content')"

function refusal(message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), { code: 'ER_DUP_ENTRY', errno: 1062, sqlState: '23000', sql: STATEMENT, ...fields })
}

const CLIENTS: [name: string, error: Error][] = [
  ['mysql2', refusal(REFUSED, { sqlMessage: REFUSED })],
  ['mysql', refusal(`ER_DUP_ENTRY: ${REFUSED}`, { sqlMessage: REFUSED })],
  [
    'mariadb 3',
    refusal(`(conn:7, no: 1062, SQLState: 23000) ${REFUSED}\nsql: ${STATEMENT} - parameters:[]`, { sqlMessage: REFUSED }),
  ],
  ['mariadb 2', refusal(`(conn=7, no: 1062, SQLState: 23000) ${REFUSED}\nsql: ${STATEMENT} - parameters:[]`, { text: REFUSED })],
]

it.each(CLIENTS)('an error of %s has neither the statement nor the refused value', (_name, error) => {
  const shown = withoutStatement(error)
  expect(shown).toMatchObject({ message: SHOWN, code: 'ER_DUP_ENTRY', errno: 1062, sqlState: '23000' })
  expect(shown).not.toHaveProperty('sql')
  expect(shown.stack).not.toMatch(/the-id|lovelace/)
})

it.each(CLIENTS)('an error of Sequelize on %s has neither in its message nor in that of its cause', (_name, original) => {
  const error = Object.assign(new Error(original.message), { name: 'SequelizeDatabaseError', original, parent: original })
  const shown = withoutStatement(error)
  expect(shown).toMatchObject({ message: SHOWN, name: 'SequelizeDatabaseError', cause: { message: SHOWN, errno: 1062 } })
  expect(shown).not.toHaveProperty('parent')
  const own = withoutStatement(Object.assign(new Error('Validation error'), { original }))
  expect(own).toMatchObject({ message: 'Validation error', cause: { message: SHOWN } })
})

it('an error of knex has neither, also where the refused value has a hyphen', async () => {
  const error = refusal(`${STATEMENT} - ${REFUSED}`, { sqlMessage: REFUSED })
  const knex = Object.assign(() => undefined, { raw: () => Promise.reject(error) })
  const table = KnexTable.of({ options: { knex, tableName: 'sessions', sidFieldName: 'sid' }, ready: Promise.resolve() })
  expect(await failure(table!.run('', []))).toMatchObject({ message: SHOWN, errno: 1062 })
})

it.each([
  ["Incorrect string value: '\\xF0\\x9F\\x98' for column 'data' at row 1", "Incorrect string value: for column 'data' at row 1"],
  ["Truncated incorrect INTEGER value: 'the-content'", 'Truncated incorrect INTEGER value:'],
  ["Data too long for column 'data' at row 1", "Data too long for column 'data' at row 1"],
])('the value in a message is left out: %s', (sqlMessage, shown) => {
  expect(withoutStatement(refusal(sqlMessage, { sqlMessage })).message).toBe(shown)
})
