import { describe, expect, it } from 'vitest'
import type { NextSession, StoreDriver, StoredSession, WriteAnswer } from '../../src/driver.js'
import { cases } from '../../src/driver-testing/index.js'
import { failures, type Rows, sample, sampleNow } from './sample.js'

describe('a driver that does all of it', () => {
  for (const { name, run } of cases({ driver: sample() })) it(name, run)
})

describe('the cases of a driver that reads without a promise', () => {
  const rows: Rows = new Map()
  const now = sampleNow(rows)
  /** Of the same rows, and with members that need it as `this`. */
  class Driver {
    readonly name = 'class'
    readonly #driver = sample(undefined, rows)
    read = this.#driver.read
    touch(...args: Parameters<StoreDriver['touch']>): Promise<boolean> {
      return this.#driver.touch(...args)
    }
    destroy(sid: string): Promise<void> {
      return this.#driver.destroy(sid)
    }
    write(...args: Parameters<StoreDriver['write']>): Promise<WriteAnswer> {
      return this.#driver.write(...args)
    }
    readNow = now.readNow
  }

  for (const { name, run } of cases({ driver: { ...sample(undefined, rows), ...now } })) it(name, run)
  for (const { name, run } of cases({ driver: Object.freeze(new Driver()) })) it(`without writeNow: ${name}`, run)

  it('find a writeNow that compares nothing', async () => {
    const driver = {
      ...sample(undefined, rows),
      ...now,
      writeNow(sid: string, { text }: NextSession): WriteAnswer {
        rows.set(sid, { text, expires: Date.now() + 60_000 })
        return { written: true }
      },
    }
    const failed = await failures(driver)
    expect(failed).toContain('refuses to create a session that is there, without a promise')
    expect(failed.filter((name) => !name.endsWith(', without a promise'))).toEqual([])
  })

  it('find a readNow that does not look at the end', async () => {
    const readNow = (sid: string): StoredSession | undefined => rows.get(sid) && { text: String(rows.get(sid)?.text) }
    expect(await failures({ ...sample(undefined, rows), readNow })).toContain(
      'a session whose end has passed is not there, without a promise',
    )
  })
})

it('a session of maxBytes fits where no larger one does', async () => {
  const maxBytes = 65_535
  let largest = 0
  const driver = sample((_rows, { write }) => ({
    write(sid, next, expected) {
      largest = Math.max(largest, Buffer.byteLength(next.text))
      return write(sid, next, expected)
    },
  }))
  for (const { run } of cases({ driver, maxBytes })) await run()
  expect(maxBytes - largest).toBeLessThan(10)
  expect(maxBytes - largest).toBeGreaterThanOrEqual(0)
})

it('a store that is configured to do nothing on a touch passes', async () => {
  const rows: Rows = new Map()
  const driver = sample(
    (_rows, { read }) => ({ touchDisabled: true, touch: async (sid) => (await read(sid)) !== undefined }),
    rows,
  )
  const left = async (sid: string): Promise<number> => (rows.get(sid)?.expires ?? 0) - Date.now()
  for (const { run } of cases({ driver, left })) await run()
})

/** A case by which several mistakes are found. */
const ENDS = 'a touch to an end that has passed ends the session'

describe('the cases find', () => {
  type Broken = Parameters<typeof sample>[0]
  it.each<[string, Broken, string[]]>([
    [
      'a set that compares nothing',
      (rows) => ({
        async write(sid, { text }) {
          rows.set(sid, { text, expires: Date.now() + 60_000 })
          return { written: true }
        },
      }),
      [
        'refuses to create a session that is there',
        'lets one of eight that create a session at once win',
        'does not bring a destroyed session back',
      ],
    ],
    [
      'a comparison before the write, and not with it',
      (rows, { read }) => ({
        async write(sid, next, expected) {
          const held = await read(sid)
          if (held?.text !== expected?.text) return { written: false }
          await new Promise((resolve) => setImmediate(resolve))
          rows.set(sid, { text: next.text, expires: Date.now() + 60_000 })
          return { written: true }
        },
      }),
      ['loses nothing where eight write at once', 'lets one of eight that create a session at once win'],
    ],
    [
      'versions that begin anew with each session',
      (rows, { read, write }) => {
        const versions = new Map<string, number>()
        const withVersion = (sid: string) => ({ text: String(rows.get(sid)?.text), token: String(versions.get(sid)) })
        return {
          readMany: undefined,
          async read(sid) {
            return (await read(sid)) && withVersion(sid)
          },
          async write(sid, next, expected) {
            const held = await read(sid)
            const isExpected = held === undefined || expected?.token === String(versions.get(sid))
            const answer = await write(sid, next, isExpected ? held && { text: String(rows.get(sid)?.text) } : { text: '' })
            if (!answer.written) return { written: false }
            versions.set(sid, held && expected ? (versions.get(sid) ?? 0) + 1 : 1)
            return { written: true, stored: withVersion(sid) }
          },
        }
      },
      ['refuses a write that expects a session that was destroyed and created again'],
    ],
    ['a touch that only tells', (_rows, { read }) => ({ touch: async (sid) => (await read(sid)) !== undefined }), [ENDS]],
    [
      'ids without case',
      (_rows, { read, write }) => ({
        read: (sid) => read(sid.toLowerCase()),
        write: (sid, next, expected) => write(sid.toLowerCase(), next, expected),
      }),
      ['tells ids apart that differ by case only'],
    ],
    [
      'ids that are put into a statement',
      (_rows, { write }) => ({
        write: async (sid, next, expected) => {
          if (sid.includes("'")) throw new Error('syntax error')
          return write(sid, next, expected)
        },
      }),
      ['takes ids of characters that mean something to a server'],
    ],
    [
      'ids that are patterns',
      (rows) => ({
        async destroy(sid) {
          const pattern = new RegExp(`^${sid.replaceAll('%', '.*').replaceAll('_', '.')}$`)
          for (const each of rows.keys()) if (pattern.test(each)) rows.delete(each)
        },
      }),
      ['takes no id for a pattern'],
    ],
    [
      'a comparison without case',
      (_rows, { write, read }) => ({
        async write(sid, next, expected) {
          const held = await read(sid)
          const same = held && held.text.toLowerCase() === expected?.text.toLowerCase()
          return write(sid, next, same ? held : expected)
        },
      }),
      ['tells texts apart that differ by case only'],
    ],
    [
      'a comparison without blanks at the end',
      (_rows, { write, read }) => ({
        async write(sid, next, expected) {
          const held = await read(sid)
          return write(sid, next, held?.text.trimEnd() === expected?.text.trimEnd() ? held : expected)
        },
      }),
      ['tells texts apart that differ by blanks at their end only'],
    ],
    [
      'characters of four bytes that are lost',
      (_rows, { write }) => ({
        write: (sid, next, expected) =>
          write(sid, { ...next, text: next.text.replace(/[\u{10000}-\u{10ffff}]/gu, '?') }, expected),
      }),
      ['tells texts apart that differ by a character of four bytes only', 'keeps characters that mean something to a server'],
    ],
    [
      'a life that is always the new one',
      (_rows, { write }) => ({ write: (sid, next, expected) => write(sid, { ...next, atLeast: false }, expected) }),
      ['atLeast: a write does not shorten the life of a session', 'atLeast: a write does not shorten a life that was touched'],
    ],
    [
      'an end that is not looked at',
      (rows) => ({ read: async (sid) => rows.get(sid) && { text: String(rows.get(sid)?.text) } }),
      ['a session whose end has passed is not there'],
    ],
    ['a touch that does not tell', () => ({ touch: async () => true }), ['a touch of what is not there']],
    [
      'a touch that makes a session',
      (rows) => ({
        async touch(sid) {
          rows.set(sid, { text: '{}', expires: Date.now() + 60_000 })
          return false
        },
      }),
      ['a touch of what is not there', 'does not bring a destroyed session back'],
    ],
    [
      'a touch that changes the content',
      (rows, { touch }) => ({
        async touch(sid, ...args) {
          const row = rows.get(sid)
          if (row) row.text = row.text.replace('}', ' }')
          return touch(sid, ...args)
        },
      }),
      ['a touch leaves the content alone'],
    ],
    [
      'sessions in another order',
      (_rows, { readMany }) => ({ readMany: async (sids) => ((await readMany?.([...sids])) ?? []).filter(Boolean) }),
      ['reads several sessions in the order of their ids'],
    ],
    [
      'fields of a cookie that are dropped',
      (_rows, { write }) => ({
        write: (sid, next, expected) =>
          write(sid, { ...next, text: next.text.replace(/,"sharedsession":\{[^}]*\}/, '') }, expected),
      }),
      ['creates a session and reads it', 'atLeast: a write does not shorten the life of a session'],
    ],
    [
      'a touch that replaces the cookie',
      (rows, { touch }) => ({
        touchChangesContent: true,
        async touch(sid, expires, session) {
          const row = rows.get(sid)
          if (row) row.text = JSON.stringify({ ...JSON.parse(row.text), cookie: session.cookie })
          return touch(sid, expires, session)
        },
      }),
      ['a touch leaves the content alone'],
    ],
    [
      'a limit of 64 kB',
      (_rows, { write }) => ({
        write: (sid, next, expected) => write(sid, { ...next, text: next.text.slice(0, 65_535) }, expected),
      }),
      ['keeps a large session'],
    ],
    [
      'a limit of 1 MB',
      (_rows, { write }) => ({
        write: (sid, next, expected) =>
          write(sid, { ...next, text: Buffer.from(next.text).subarray(0, 1_000_000).toString() }, expected),
      }),
      ['keeps a large session'],
    ],
  ])('%s', async (_what, broken, expected) => {
    expect(await failures(sample(broken))).toEqual(expect.arrayContaining(expected))
  })
})
