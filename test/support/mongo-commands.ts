import { Aggregator, Query } from 'mingo'
import { BSON } from 'mongodb'

/** A document, a command, or an answer. */
// As loose as the protocol.
export type Doc = Record<string, any>

/** The collections of a server, and the commands on them that session stores use. */
export class MongoCommands {
  /** Is called with what change streams tell of it, after an insert and after a collection was dropped. */
  onChange: (change: Doc) => void = () => undefined
  readonly #collections = new Map<string, Map<string, Doc>>()

  /** Carries out a command in one turn. */
  run(name: string, command: Doc): Doc {
    const documents = this.documents(String(command[name]), command.$db)
    try {
      switch (name) {
        case 'find':
          return batch(documents, command)
        case 'findAndModify':
          return { ok: 1, ...this.#findAndModify(documents, command) }
        case 'update':
          return { ok: 1, ...this.#each(command.updates, (update, index) => this.#update(documents, update, index)) }
        case 'delete':
          return { ok: 1, ...this.#each(command.deletes, (each) => ({ n: remove(documents, each) })) }
        case 'insert':
          return { ok: 1, ...this.#each(command.documents, (each) => this.#insert(documents, each, command)) }
        case 'drop':
          this.#collections.delete(`${command.$db}.${command.drop}`)
          this.onChange({ operationType: 'drop', ns: { db: command.$db, coll: command.drop } })
          return { ok: 1 }
        case 'dropDatabase':
          for (const each of this.#collections.keys()) if (each.startsWith(`${command.$db}.`)) this.#collections.delete(each)
          return { ok: 1 }
        case 'createIndexes':
          return { ok: 1, numIndexesBefore: 1, numIndexesAfter: 2 }
        case 'aggregate':
          return {
            ok: 1,
            cursor: { id: BSON.Long.ZERO, ns: name, firstBatch: aggregate([...documents.values()], command.pipeline) },
          }
        default:
          return failed(59, 'CommandNotFound', `no such command: '${name}'`)
      }
    } catch (error) {
      if (error instanceof DuplicateKey) return failed(11000, 'DuplicateKey', error.message)
      return failed(2, 'BadValue', String((error as Error).message))
    }
  }

  /** What a collection holds, by ids. */
  documents(collection: string, database = 'test'): Map<string, Doc> {
    const name = `${database}.${collection}`
    const found = this.#collections.get(name) ?? new Map<string, Doc>()
    this.#collections.set(name, found)
    return found
  }

  /** The statements of one command, of which one after the other is carried out, up to the first that fails. */
  #each(statements: Doc[], run: (statement: Doc, index: number) => Doc): Doc {
    const sum: Doc = { n: 0 }
    for (const [index, statement] of statements.entries()) {
      try {
        const { n, nModified, upserted } = run(statement, index)
        sum.n += n
        if (nModified !== undefined) sum.nModified = (sum.nModified ?? 0) + nModified
        if (upserted) sum.upserted = [...(sum.upserted ?? []), upserted]
      } catch (error) {
        const code = error instanceof DuplicateKey ? 11000 : 2
        return { ...sum, writeErrors: [{ index, code, errmsg: String((error as Error).message) }] }
      }
    }
    return sum
  }

  #insert(documents: Map<string, Doc>, fullDocument: Doc, { $db, insert: coll }: Doc): Doc {
    const n = insert(documents, fullDocument)
    const documentKey = { _id: fullDocument._id }
    this.onChange({ operationType: 'insert', ns: { db: $db, coll }, documentKey, fullDocument })
    return { n }
  }

  #update(documents: Map<string, Doc>, { q, u, upsert }: Doc, index: number): Doc {
    const { before, after } = upserting(documents, q, u, upsert)
    if (!after) return { n: 0, nModified: 0 }
    if (!before) return { n: 1, nModified: 0, upserted: { index, _id: after._id } }
    return { n: 1, nModified: isSame(before, after) ? 0 : 1 }
  }

  #findAndModify(documents: Map<string, Doc>, { query, update, upsert, remove: removes, new: wantsNew, fields }: Doc): Doc {
    if (removes) {
      const found = find(documents, query)
      if (found) documents.delete(keyOf(found._id))
      return { value: found ?? null, lastErrorObject: { n: found ? 1 : 0 } }
    }
    const { before, after } = upserting(documents, query, update, upsert)
    const value = (wantsNew ? after : before) ?? null
    const lastErrorObject = {
      n: after ? 1 : 0,
      updatedExisting: before !== undefined,
      ...(after && !before && { upserted: after._id }),
    }
    return { value: value && fields ? aggregate([value], [{ $project: fields }])[0] : value, lastErrorObject }
  }
}

class DuplicateKey extends Error {}

export function failed(code: number, codeName: string, errmsg: string): Doc {
  return { ok: 0, code, codeName, errmsg }
}

function find(documents: Map<string, Doc>, filter: Doc): Doc | undefined {
  const query = new Query(filter)
  for (const document of candidates(documents, filter)) if (query.test(document)) return document
  return undefined
}

/** Those that a filter by an id can mean. */
function candidates(documents: Map<string, Doc>, { _id }: Doc): Iterable<Doc> {
  if (_id === undefined) return documents.values()
  const ids = _id.$in ?? [_id]
  return ids.map((id: unknown) => documents.get(keyOf(id))).filter(Boolean)
}

function batch(documents: Map<string, Doc>, { filter = {}, limit = 0, projection, find: name, $db }: Doc): Doc {
  const query = new Query(filter)
  const found = [...candidates(documents, filter)].filter((each) => query.test(each))
  const limited = limit > 0 ? found.slice(0, limit) : found
  const firstBatch = projection ? aggregate(limited, [{ $project: projection }]) : limited
  return { ok: 1, cursor: { id: BSON.Long.ZERO, ns: `${$db}.${name}`, firstBatch } }
}

function upserting(
  documents: Map<string, Doc>,
  filter: Doc,
  update: Doc | Doc[],
  upsert: boolean,
): { before?: Doc; after?: Doc } {
  const before = find(documents, filter)
  if (before) {
    const after = updated(before, update, false)
    documents.set(keyOf(after._id), after)
    return { before, after }
  }
  if (!upsert) return {}
  const equalities = Object.entries(filter).filter(([name, value]) => !name.startsWith('$') && !isOperator(value))
  const after = updated(Object.fromEntries(equalities), update, true)
  insert(documents, after)
  return { after }
}

function insert(documents: Map<string, Doc>, document: Doc): number {
  document._id ??= new BSON.ObjectId()
  const key = keyOf(document._id)
  if (documents.has(key)) throw new DuplicateKey(`E11000 duplicate key error collection: dup key: { _id: ${key} }`)
  documents.set(key, document)
  return 1
}

function remove(documents: Map<string, Doc>, { q, limit }: Doc): number {
  const query = new Query(q)
  const found = [...candidates(documents, q)].filter((each) => query.test(each))
  for (const each of limit === 1 ? found.slice(0, 1) : found) documents.delete(keyOf(each._id))
  return limit === 1 ? Math.min(1, found.length) : found.length
}

function updated(document: Doc, update: Doc | Doc[], isNew: boolean): Doc {
  if (Array.isArray(update)) return aggregate([document], update)[0] as Doc
  const copy = copyOf(document)
  for (const [operator, fields] of Object.entries(update)) {
    for (const [path, value] of Object.entries<any>(fields)) {
      if (operator === '$set' || (operator === '$setOnInsert' && isNew)) setAt(copy, path, value)
      else if (operator === '$max') setAt(copy, path, copy[path] === undefined || copy[path] < value ? value : copy[path])
      else if (operator === '$currentDate') setAt(copy, path, new Date())
      else if (operator === '$unset') delete copy[path]
      else if (operator !== '$setOnInsert') throw new Error(`Unknown modifier: ${operator}`)
    }
  }
  return copy
}

function setAt(document: Doc, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  let at = document
  for (const name of names) at = at[name] ??= {}
  at[last] = value
}

function aggregate(documents: Doc[], pipeline: Doc[]): Doc[] {
  return new Aggregator(pipeline, { variables: { NOW: new Date() } } as never).run(documents.map(copyOf)) as Doc[]
}

function copyOf(document: Doc): Doc {
  return BSON.deserialize(BSON.serialize(document))
}

function isSame(a: Doc, b: Doc): boolean {
  return Buffer.compare(BSON.serialize(a), BSON.serialize(b)) === 0
}

function keyOf(id: unknown): string {
  return BSON.EJSON.stringify({ id })
}

function isOperator(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).some((name) => name.startsWith('$'))
}
