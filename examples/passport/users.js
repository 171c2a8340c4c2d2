// @ts-check
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** @type {(password: string, salt: Buffer, length: number, options: import('node:crypto').ScryptOptions) => Promise<Buffer>} */
const derive = promisify(scrypt)

/** What each guess costs: 32 MB, three times over. Kept next to each hash where it may be raised one day. */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 2 ** 20 }

/** @typedef {{ salt: Buffer, key: Buffer }} Hash */

/**
 * @param {string} password
 * @returns {Promise<Hash>}
 */
async function hash(password) {
  const salt = randomBytes(16)
  return { salt, key: await derive(password.normalize('NFKC'), salt, 32, COST) }
}

/**
 * @param {string} password
 * @param {Hash} hash
 */
async function matches(password, { salt, key }) {
  return timingSafeEqual(await derive(password.normalize('NFKC'), salt, key.length, COST), key)
}

// A database would have the hashes alone; the passwords are on the page, for whoever tries it.
const users = new Map([
  ['ada', { id: '1', name: 'Ada', password: await hash('engine') }],
  ['grace', { id: '2', name: 'Grace', password: await hash('compiler') }],
])
/** For names that nobody has: an answer that came sooner would say so. */
const nobody = await hash(randomBytes(16).toString('hex'))

/**
 * A server for the world also limits how often somebody may try.
 * @param {unknown} username
 * @param {unknown} password
 * @returns {Promise<Express.User | false>} `false` for a wrong name as for a wrong password
 */
export async function verify(username, password) {
  // A body of JSON may have anything in it.
  if (typeof username !== 'string' || typeof password !== 'string') return false
  const user = users.get(username.trim().toLowerCase())
  const right = await matches(password, user?.password ?? nobody)
  return user && right ? shown(user) : false
}

/**
 * @param {string} id
 * @returns {Express.User | false}
 */
export function findUser(id) {
  const user = [...users.values()].find((one) => one.id === id)
  return user ? shown(user) : false
}

/**
 * Without the hash: this is `req.user`, and may find its way into a log.
 * @param {Express.User} user
 * @returns {Express.User}
 */
function shown({ id, name }) {
  return { id, name }
}
