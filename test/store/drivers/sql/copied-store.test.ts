import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import expressSession, { type Store } from 'express-session'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { comparing, newSid, plainDriver } from '../fixture.js'

const SOURCE = readFileSync(createRequire(import.meta.url).resolve('better-sqlite3-session-store'), 'utf8')

// The store starts a timer that holds the process open.
beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A store of a copy of better-sqlite3-session-store, and the statements that its client was given. */
function copied(change: (source: string) => string): { store: Store; statements: string[] } {
  const copy = { exports: (_session: object): (new (options: object) => Store) => expect.fail() }
  new Function('module', change(SOURCE))(copy)
  const statements: string[] = []
  const prepare = (text: string): object => {
    statements.push(text)
    return { reader: true, get: () => undefined, all: () => [] }
  }
  const store = new (copy.exports(expressSession))({ client: { exec() {}, prepare } })
  return { store, statements }
}

it('better-sqlite3-session-store: choosing its driver runs no statement', () => {
  const { store, statements } = copied((source) => source)
  expect(comparing(store).name).toBe('better-sqlite3-session-store')
  expect(statements).toEqual([])
})

it('a copy of it with another table is driven on that table', async () => {
  const { store, statements } = copied((source) => source.replace('"sessions"', '"web_sessions"'))
  await comparing(store).read(newSid())
  expect(statements).toEqual([expect.stringContaining('FROM web_sessions ')])
})

it('a copy that reads otherwise has the generic driver', () => {
  const { store } = copied((source) => source.replace('SELECT sess', 'SELECT content AS sess'))
  expect(plainDriver(store).name).toBe('generic')
})
