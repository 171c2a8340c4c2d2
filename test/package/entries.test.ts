import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, it } from 'vitest'

const parse = (path: string) =>
  ts.createSourceFile(path, readFileSync(new URL(path, import.meta.url), 'utf8'), ts.ScriptTarget.Latest, true)

const folder = fileURLToPath(new URL('../../dist', import.meta.url))
const dist = (name: string) => new URL(`../../dist/${name}`, import.meta.url).href

it('the CommonJS entry names every type that the package exports', () => {
  const exported = parse('../../src/index.ts')
    .statements.filter(ts.isExportDeclaration)
    .flatMap(({ exportClause }) => (exportClause && ts.isNamedExports(exportClause) ? [...exportClause.elements] : []))
    .map(({ name }) => name.text)
    .filter((name) => !['default', 'sharedsession', 'postgresBus'].includes(name))
  const named = parse('../../src/entry/index.d.cts')
    .statements.filter(ts.isModuleDeclaration)
    .flatMap(({ body }) => (body && ts.isModuleBlock(body) ? [...body.statements] : []))
    .filter(ts.isTypeAliasDeclaration)
    .map(({ name }) => name.text)
  expect(named.sort()).toEqual(exported.sort())
})

it.each([
  ['index.d.ts', ['../../src/index.ts']],
  ['driver.d.ts', ['../../src/driver.ts']],
  ['driver.d.cts', ['../../src/driver.ts']],
])('the types of %s are those that its source exports', (entry, sources) => {
  const names = (path: string): string[] =>
    parse(path)
      .statements.filter(ts.isExportDeclaration)
      .flatMap(({ exportClause }) => (exportClause && ts.isNamedExports(exportClause) ? [...exportClause.elements] : []))
      .map(({ name }) => name.text)
  // What a driver's bus is typed by.
  const more = entry.startsWith('driver') ? ['Bus', 'BusListener'] : []
  expect(names(`../../src/entry/${entry}`).sort()).toEqual([...sources.flatMap(names), ...more].sort())
})

it('sharedsession/driver is the code of sharedsession, for import and for require', () => {
  const program = `
    const [api, required] = ['api.cjs', 'driver.cjs'].map((name) => require(${JSON.stringify(`${folder}/`)} + name))
    Promise.all([import('sharedsession/driver'), import('sharedsession/driver/testing')]).then(([imported, { cases }]) => {
      const same = ['registerDriver', 'IndeterminateWriteError'].map((name) => api[name] === required[name] && imported[name] === api[name])
      console.log(same.join(), cases({ driver: {} }).length > 20)
    })`
  expect(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8' }).trim()).toBe('true,true true')
})

it('drivers that most processes do not need are not loaded before a store needs them', () => {
  const program = `
    const sharedsession = require(${JSON.stringify(fileURLToPath(dist('index.cjs')))})
    const expressSession = require('express-session')
    const of = (store) => sharedsession(expressSession({ secret: 'x', store, resave: false, saveUninitialized: false }))
    const loaded = () => Object.keys(require.cache).some((file) => /dist.sql\\.cjs$/.test(file))
    const first = of(new expressSession.MemoryStore()).stats().driver + loaded()
    const { ConnectSessionKnexStore } = require('connect-session-knex')
    const knex = Object.assign(() => undefined, { client: { dialect: 'mysql' }, schema: { hasTable: async () => true } })
    const second = of(new ConnectSessionKnexStore({ knex, cleanupInterval: 0 })).stats().driver + loaded()
    console.log(first, second)`
  const output = execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8' }).trim()
  expect(output).toBe('memoryfalse connect-session-knextrue')
})

it('the doctor is not loaded before it is asked', () => {
  const program = `
    const sharedsession = require(${JSON.stringify(fileURLToPath(dist('index.cjs')))})
    const expressSession = require('express-session')
    const shared = sharedsession(expressSession({ secret: 'x', resave: false, saveUninitialized: false }))
    const loaded = () => Object.keys(require.cache).some((file) => /dist.doctor\\.cjs$/.test(file))
    console.log(loaded(), shared.doctor().findings.length > 0, loaded())`
  expect(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8' }).trim()).toBe('false true true')
})

it.each(['index.js', 'index.cjs'])('the import of %s loads no other module than mitt', (entry) => {
  const program = `
    import(${JSON.stringify(dist(entry))}).then(() => {
      const files = Object.keys(require.cache).filter((file) => file.includes('node_modules'))
      console.log(files.map((file) => file.split('node_modules').pop().split(/[\\\\/]/)[1]).join())
    })`
  expect(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8' }).trim()).toBe('mitt')
})

it('the entry for import has the names of the entry for require', async () => {
  const { default: required } = await import(dist('index.cjs'))
  const { default: imported, ...names } = await import(dist('index.js'))
  expect(imported).toBe(required)
  expect({ ...names, default: imported }).toEqual({ ...required })
})
