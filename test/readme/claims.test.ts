import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { client, listen, scene, tidy } from './scene.js'
import { readme, snippets } from './snippets.js'

afterEach(tidy)

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
const documents = { 'README.md': readme, 'CONTRIBUTING.md': read('CONTRIBUTING.md'), 'ARCHITECTURE.md': read('ARCHITECTURE.md') }

/** The first column of the table under a heading; what each row says. */
function table(heading: string): Map<string, string> {
  const section = readme.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  return new Map([...section.matchAll(/^\| `([\w.]+).*?` \|(.*)\|$/gm)].map(([, name, rest]) => [name!, rest!]))
}

describe('the README names all there is, and nothing else', () => {
  it('options, with their defaults', () => {
    const [, body] = read('src/options.ts').match(/interface SharedSessionOptions \{\n(.*?)^\}/ms)!
    const options = [...body!.matchAll(/\/\*\*(.*?)\*\/\s+(\w+)\?:/gs)]
    const rows = table('Options')
    expect([...rows.keys()].sort()).toEqual(options.map(([, , name]) => name).sort())
    for (const [, comment, name] of options) {
      const preset = comment!.match(/@default (\S+)/)?.[1]
      if (preset) expect(rows.get(name!), name).toContain(`\`${preset}\``)
    }
  })

  it('error codes', () => {
    const codes = [...read('src/errors.ts').matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code)
    expect([...table('Error codes').keys()].sort()).toEqual(codes.sort())
  })

  it('members', () => {
    const { shared } = scene()
    const named = [...table('Members').keys()].map((name) => name.replace('shared.', ''))
    expect(named.sort()).toEqual(Object.keys(shared).sort())
  })

  it('counts of stats()', async () => {
    const around = scene()
    await listen(around, around.shared)
    const row = table('Members').get('shared.stats')!
    for (const name of Object.keys(around.shared.stats())) expect(row).toContain(`\`${name}\``)
  })

  it('events', () => {
    const events = [...read('src/types.ts').matchAll(/^ {2}'(session:\w+)':/gm)].map(([, name]) => name!)
    const section = readme.match(/^## Events(.*?)^## /ms)![1]!
    for (const name of events) expect(section).toContain(`| \`${name}\` |`)
  })

  it.each(Object.entries(documents))('%s links to files and headings that are there', (_name, text) => {
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(
      ([, title]) =>
        `#${title!
          .toLowerCase()
          .replace(/[^\w\- ]/g, '')
          .replaceAll(' ', '-')}`,
    )
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const there = target!.startsWith('#')
        ? headings.includes(target!)
        : existsSync(fileURLToPath(new URL(`../../${target}`, import.meta.url)))
      expect(there, target).toBe(true)
    }
  })

  it('CONTRIBUTING.md names files, folders and scripts that are there', () => {
    const text = documents['CONTRIBUTING.md']
    for (const [, path] of text.matchAll(/`((?:[a-z]+\/)*[\w.-]*\.ts|(?:src|test|tracking|examples)\/[\w./-]*)`/g)) {
      const places = ['', 'src/'].map((folder) => fileURLToPath(new URL(`../../${folder}${path}`, import.meta.url)))
      expect(places.some(existsSync), path).toBe(true)
    }
    const { scripts } = JSON.parse(read('package.json'))
    for (const [, name] of text.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(name)
  })

  it('each block has a language, and code that a test does not run is of a kind that none can', () => {
    const unmarked = snippets.filter(({ name }) => !name)
    expect(new Set(unmarked.map(({ language }) => language))).toEqual(new Set(['sh', 'nginx']))
  })
})

describe('its limits', () => {
  async function connected() {
    const around = scene()
    const url = await listen(around, around.shared)
    const socket = next(around.io, 'connection')
    client(url)
    return { ...around, session: around.shared.session(await socket), socket: await socket }
  }

  it('a direct store.set() is merged, and has taken effect by its callback, not before', async () => {
    const { session, store } = await connected()
    session.theme = 'dark'
    await session.save()
    const found = await new Promise<any>((resolve) => store.get(session.id, (_error, data) => resolve(data)))
    session.count = 1
    await session.save()
    found.credit = 7
    await new Promise((resolve) => store.set(session.id, found, resolve))
    expect(session).toMatchObject({ theme: 'dark', count: 1, credit: 7 })
    const { sessions } = store as unknown as { sessions: object }
    const set = new Promise((resolve) => store.set('new', { cookie: { originalMaxAge: null } }, resolve))
    expect(sessions).not.toHaveProperty('new')
    await set
    expect(sessions).toHaveProperty('new')
  })

  it('structuredClone is impossible; snapshot(), JSON and spread are not', async () => {
    const { session, shared, socket } = await connected()
    session.cart = { items: [] }
    expect(() => structuredClone(session)).toThrow('could not be cloned')
    expect(structuredClone(shared.snapshot(socket))).toEqual({ cart: { items: [] } })
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ cart: { items: [] } })
    expect({ ...session }.cart).toEqual({ items: [] })
  })

  it('a Date becomes a string, a Map {}, undefined and functions disappear', async () => {
    expectWarning('SHAREDSESSION_NOT_JSON')
    const { session, shared, socket } = await connected()
    const values = { date: new Date(0), map: new Map([[1, 2]]), nothing: undefined, call: () => 1 }
    Object.assign(session, { values })
    await session.save()
    expect(shared.snapshot(socket)).toEqual({ values: { date: '1970-01-01T00:00:00.000Z', map: {} } })
  })

  it('a reference that was read stays good across an await', async () => {
    const { session, shared, socket } = await connected()
    session.cart = { items: [] }
    const { cart } = session
    await session.save()
    cart.items.push('apple')
    await session.save()
    expect(shared.snapshot(socket)).toEqual({ cart: { items: ['apple'] } })
  })
})
