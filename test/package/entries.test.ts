import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { expect, it } from 'vitest'

const parse = (path: string) =>
  ts.createSourceFile(path, readFileSync(new URL(path, import.meta.url), 'utf8'), ts.ScriptTarget.Latest, true)

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
