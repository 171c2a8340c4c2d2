import { IndeterminateWriteError, type NextSession, type StoreDriver, type StoredSession } from 'sharedsession/driver'

const DAY = 86_400_000

interface Row {
  sid: string
  data: string
}

/** The part of a Prisma client that is used. */
export interface Prisma {
  session: {
    findFirst(query: { where: object }): PromiseLike<Row | null>
    findMany(query: { where: object }): PromiseLike<Row[]>
    updateMany(query: { where: object; data: object }): PromiseLike<{ count: number }>
    create(query: { data: { id: string; sid: string; data: string; expiresAt: Date } }): PromiseLike<unknown>
    deleteMany(query: { where: object }): PromiseLike<unknown>
  }
}

/** The driver for @quixo3/prisma-session-store 3, on Postgres. Give `ttl` to it as to the store, in ms. */
export function prismaDriver({ session }: Prisma, { ttl = DAY } = {}): StoreDriver {
  const alive = () => ({ gt: new Date() })
  const endOf = (expires: Date | undefined) => expires ?? new Date(Date.now() + ttl)

  async function read(sid: string): Promise<StoredSession | undefined> {
    const found = await run(() => session.findFirst({ where: { sid, expiresAt: alive() } }))
    return found ? { text: found.data } : undefined
  }

  /** One statement, whose condition decides. */
  const update = async (where: object, data: object) => (await send(() => session.updateMany({ where, data }))).count > 0

  async function replace(sid: string, { text, expires, atLeast }: NextSession, expected: StoredSession): Promise<boolean> {
    const end = endOf(expires)
    const same = { sid, data: expected.text }
    if (!atLeast) return update({ ...same, expiresAt: alive() }, { data: text, expiresAt: end })
    // Prisma has no `greatest`: one statement for each case, of which at most one finds the row.
    if (await update({ ...same, expiresAt: { ...alive(), lte: end } }, { data: text, expiresAt: end })) return true
    return update({ ...same, expiresAt: { gt: later(end) } }, { data: text })
  }

  async function create(sid: string, { text, expires }: NextSession): Promise<boolean> {
    const data = { data: text, expiresAt: endOf(expires) }
    try {
      await send(() => session.create({ data: { ...data, id: sid, sid } }))
      return true
    } catch (error) {
      // The id is there.
      if (codeOf(error) !== 'P2002') throw error
      return update({ sid, expiresAt: { lte: new Date() } }, data)
    }
  }

  return {
    name: 'prisma',
    read,

    async write(sid, next, expected) {
      const written = expected ? await replace(sid, next, expected) : await create(sid, next)
      return written ? { written } : { written, stored: await read(sid) }
    },

    async touch(sid, expires) {
      const where = { sid, expiresAt: alive() }
      return (await run(() => session.updateMany({ where, data: { expiresAt: endOf(expires) } }))).count > 0
    },

    async destroy(sid) {
      await run(() => session.deleteMany({ where: { sid } }))
    },

    async readMany(sids) {
      const rows = await run(() => session.findMany({ where: { sid: { in: [...sids] }, expiresAt: alive() } }))
      const texts = new Map(rows.map(({ sid, data }) => [sid, data]))
      return sids.map((sid) => stored(texts.get(sid)))
    },
  }
}

function stored(text: string | undefined): StoredSession | undefined {
  return text === undefined ? undefined : { text }
}

/** An end that has passed is none, whatever it is to be. */
function later(end: Date): Date {
  return new Date(Math.max(end.getTime(), Date.now()))
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? '')
}

/** Errors of Prisma show the query. */
async function run<T>(query: () => PromiseLike<T>): Promise<T> {
  try {
    return await query()
  } catch (error) {
    const code = codeOf(error)
    throw Object.assign(new Error(`Prisma could not run the query (${code || (error as Error).name}).`), { code })
  }
}

/** For a write, of which the library has to know how it ended. */
async function send<T>(query: () => PromiseLike<T>): Promise<T> {
  try {
    return await run(query)
  } catch (error) {
    const code = codeOf(error)
    // What the database refused, or there was no connection. After anything else the write may have happened.
    if (/^P20(?!28|37)|^P1001$|^ECONNREFUSED$/.test(code)) throw error
    throw new IndeterminateWriteError(error)
  }
}
