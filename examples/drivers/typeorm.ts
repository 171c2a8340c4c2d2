import { IndeterminateWriteError, type NextSession, type StoreDriver, type StoredSession } from 'sharedsession/driver'

const DAY = 86_400_000

/** The part of a TypeORM repository that is used: of the entity with `id`, `json`, `expiredAt` and `destroyedAt`. */
export interface Repository {
  // Its builder has a type of its own for each kind of statement.
  createQueryBuilder(alias?: string): any
  metadata: { findColumnWithPropertyName(name: string): { databaseName: string } | undefined }
  manager: { connection: { driver: { escape(name: string): string } } }
}

/** The answer to a statement. */
interface Answer {
  affected: number
  raw: unknown[]
}

/**
 * The driver for connect-typeorm 2, on Postgres. Give `ttl` to it as to the store, in s. An end is kept in ms. As in the store, a session that was
 * destroyed leaves its row: it is not there for anybody.
 * @param repository that the store was connected to
 */
export function typeormDriver(repository: Repository, { ttl = DAY / 1000 } = {}): StoreDriver {
  const names = quotedNames(repository)
  const alive = `${names.expiredAt} > :now AND ${names.destroyedAt} IS NULL`
  const endOf = (expires: Date | undefined) => expires?.getTime() ?? Date.now() + ttl * 1000

  async function read(sid: string): Promise<StoredSession | undefined> {
    const [found] = await readMany([sid])
    return found
  }

  async function readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    if (sids.length === 0) return []
    const rows: { id: string; json: string }[] = await run(() =>
      repository
        .createQueryBuilder('session')
        .where(`session.id IN (:...sids) AND session.expiredAt > :now AND session.destroyedAt IS NULL`, { sids, now: Date.now() })
        .getMany(),
    )
    const texts = new Map(rows.map(({ id, json }) => [id, json]))
    return sids.map((sid) => stored(texts.get(sid)))
  }

  /** One statement, whose condition decides. */
  const update = (values: object, where: string, parameters: object): Promise<Answer> =>
    repository
      .createQueryBuilder()
      .update()
      .set(values)
      .where(where, { ...parameters, now: Date.now() })
      .execute()

  async function write(sid: string, { text, expires, atLeast }: NextSession, expected: StoredSession | undefined) {
    const end = endOf(expires)
    if (!expected) {
      const inserted: Answer = await send(() =>
        repository
          .createQueryBuilder()
          .insert()
          .values({ id: sid, json: text, expiredAt: end })
          .orIgnore()
          .returning('id')
          .execute(),
      )
      if (inserted.raw.length > 0) return true
      const over = `${names.id} = :sid AND NOT (${alive})`
      return (await send(() => update({ json: text, expiredAt: end, destroyedAt: null }, over, { sid }))).affected > 0
    }
    const expiredAt = atLeast ? () => `GREATEST(${names.expiredAt}, :end)` : end
    const same = `${names.id} = :sid AND ${names.json} = :expected AND ${alive}`
    return (await send(() => update({ json: text, expiredAt }, same, { sid, end, expected: expected.text }))).affected > 0
  }

  return {
    name: 'typeorm',
    read,
    readMany,

    async write(sid, next, expected) {
      const written = await write(sid, next, expected)
      return written ? { written } : { written, stored: await read(sid) }
    },

    async touch(sid, expires) {
      const touched = await run(() => update({ expiredAt: endOf(expires) }, `${names.id} = :sid AND ${alive}`, { sid }))
      return touched.affected > 0
    },

    async destroy(sid) {
      await run(() => update({ destroyedAt: new Date() }, `${names.id} = :sid AND ${names.destroyedAt} IS NULL`, { sid }))
    },
  }
}

function stored(text: string | undefined): StoredSession | undefined {
  return text === undefined ? undefined : { text }
}

/** The columns as they are written in a statement. */
function quotedNames({ manager, metadata }: Repository) {
  const { driver } = manager.connection
  const column = (property: string) => driver.escape(metadata.findColumnWithPropertyName(property)?.databaseName ?? property)
  return { id: column('id'), json: column('json'), expiredAt: column('expiredAt'), destroyedAt: column('destroyedAt') }
}

/** Errors of TypeORM show the statement and its values. */
async function run<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query()
  } catch (error) {
    const { code, syscall } = (Object(error).driverError ?? Object(error)) as { code?: unknown; syscall?: unknown }
    throw Object.assign(new Error(`TypeORM could not run the statement (${code ?? 'no connection'}).`), { code, syscall })
  }
}

/** For a write, of which the library has to know how it ended. */
async function send<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await run(query)
  } catch (error) {
    const { code, syscall } = error as { code?: string; syscall?: string }
    // Postgres has said why it did not write, or there was no connection. Otherwise the write may have happened.
    if (/^(?!08|57P|XX)[0-9A-Z]{5}$/.test(code ?? '') || syscall === 'connect') throw error
    throw new IndeterminateWriteError(error)
  }
}
