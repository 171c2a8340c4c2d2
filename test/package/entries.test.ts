import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { expect, it } from 'vitest'

const parse = (path: string) =>
  ts.createSourceFile(path, readFileSync(new URL(path, import.meta.url), 'utf8'), ts.ScriptTarget.Latest, true)

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
